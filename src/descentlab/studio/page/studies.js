// What one descent cannot tell: basins of attraction, a survey of many starts, stationary points and their proof.
import { make, shown } from "./core.js";
import { basinColour } from "./paint.js";

const STUDIES_RESOLUTIONS = [64, 256, 1024];
const STUDIES_REST = 250; // milliseconds the settings must rest before a finer map is asked for
const STUDIES_SETTINGS = ["problem", "rate", "schedule", "decay", "steps", "bounds", "tolerance", "ascent", "negate", "seed"];

/** Make the three studies. */
export function makeStudies(ctx) {
  const parts = [studiesBasins(ctx), studiesSurvey(ctx), studiesPoints(ctx)];
  const el = make("div", { class: "dl-studies" }, ...parts.map((part) => part.el));
  return {
    el,
    draw() {
      parts.forEach((part) => part.draw());
    },
    probe: () => ({ basins: ctx.data.basins?.resolution ?? 0, surveyed: ctx.data.survey?.starts ?? 0, points: ctx.data.points?.found ?? 0 }),
  };
}

/** The settings of the chosen optimizer, as a message. */
function studiesMessage(ctx) {
  const { state } = ctx;
  const settings = Object.fromEntries(STUDIES_SETTINGS.map((name) => [name, state[name]]));
  return { ...settings, optimizers: [state.optimizers[state.chosen[0]] ?? state.optimizers[0]] };
}

function studiesHead(title, ...controls) {
  return make("div", { class: "dl-line dl-studyhead" }, make("span", { class: "dl-title dl-grow", text: title }), ...controls);
}

function studiesFault(ctx, kind) {
  const fault = ctx.errors[kind];
  return fault ? [make("p", { class: "dl-error", text: fault.message, title: fault.more ?? "" })] : [];
}

function studiesSwitch(ctx, name, text) {
  const box = make("input", { type: "checkbox", onchange: () => ctx.set({ show: { ...ctx.state.show, [name]: box.checked } }, { undo: false }) });
  return { box, el: make("label", { class: "dl-check" }, box, text) };
}

/** Descents end by themselves when done: this is where those that are not are left. */
function studiesSteps(value, label) {
  const steps = make("select", { "aria-label": label, title: label });
  for (const n of [100, 300, 400, 1000, 3000, 10000]) steps.append(make("option", { value: n, text: `≤ ${n.toLocaleString("en")} steps` }));
  steps.value = value;
  return steps;
}

function studiesSwatch(rgb) {
  const swatch = make("span", { class: "dl-swatch" });
  swatch.style.background = `rgb(${rgb.join(" ")})`;
  return swatch;
}

/** Basins: coarse at once, finer while nothing changes. */
function studiesBasins(ctx) {
  const toggle = studiesSwitch(ctx, "basins", "show");
  const steps = studiesSteps(1000, "Steps at most, for basins");
  steps.addEventListener("change", () => ctx.invalidate());
  const found = make("div", { class: "dl-found" });
  const el = make("section", { "aria-label": "Basins of attraction" }, studiesHead("Basins", steps, toggle.el), found);
  let asked = "";
  let timer = 0;
  let drawn = [];

  function want() {
    const { plane, at } = ctx.state;
    const message = { ...studiesMessage(ctx), plane, at, steps: Number(steps.value) };
    const key = JSON.stringify(message);
    if (key === asked) return;
    asked = key;
    clearTimeout(timer);
    refine(message, 0);
  }

  async function refine(message, level) {
    const reply = await ctx.request("basins", { ...message, resolution: STUDIES_RESOLUTIONS[level] });
    if (!reply || reply.error || level + 1 >= STUDIES_RESOLUTIONS.length || asked !== JSON.stringify(message)) return;
    timer = setTimeout(() => ctx.state.show.basins && refine(message, level + 1), level ? 2 * STUDIES_REST : STUDIES_REST);
  }

  return {
    el,
    draw() {
      const on = ctx.state.show.basins;
      const planar = (ctx.data.formula?.dim ?? 1) > 1;
      el.hidden = !planar;
      toggle.box.checked = on;
      if (on && planar) want();
      else asked = "";
      const b = ctx.data.basins;
      const now = [b, on, ctx.errors.basins];
      if (now.every((thing, i) => thing === drawn[i])) return;
      drawn = now;
      if (!on || !b) {
        const hint = make("p", { class: "dl-note", text: "Which minimum a descent from each place ends in. A basin belongs to an optimizer at a rate, not to f alone." });
        return found.replaceChildren(...studiesFault(ctx, "basins"), hint);
      }
      const rows = b.minima.map((m, i) => ({ m, i })).filter(({ m }) => m.share > 0).slice(0, 12).map(({ m, i }) => make("tr", {}, make("td", {}, studiesSwatch(basinColour(i))), make("td", { text: `f = ${shown(m.value)}` }), make("td", { text: `${shown(100 * m.share, 3)} %` })));
      const others = Object.entries(b.outcomes).map(([name, share]) => make("tr", {}, make("td", {}, studiesSwatch(ctx.dark ? [70, 70, 70] : [190, 190, 190])), make("td", { text: name.replaceAll("_", " ") }), make("td", { text: `${shown(100 * share, 3)} %` })));
      found.replaceChildren(
        ...studiesFault(ctx, "basins"),
        make("p", { text: `${b.label}, ${b.resolution} × ${b.resolution}, at most ${b.steps} steps; darker: more steps` }),
        make("table", {}, ...rows, ...others),
        make("p", { class: "dl-note", text: b.sentence }),
      );
    },
  };
}

/** A survey: rounds of more and more of the same starts, so that counts can be watched. */
function studiesSurvey(ctx) {
  const count = make("select", { "aria-label": "How many starts" });
  for (const n of [1000, 10000, 100000, 1000000]) count.append(make("option", { value: n, text: `${n.toLocaleString("en")} starts` }));
  count.value = 100000;
  const steps = studiesSteps(10000, "Steps at most, for the survey");
  const go = make("button", { type: "button", text: "Survey", onclick: () => (running ? (running = 0) : start()) });
  const found = make("div", { class: "dl-found", "aria-live": "polite" });
  const el = make("section", { "aria-label": "Survey" }, studiesHead("Survey of random starts", go), make("div", { class: "dl-line" }, count, steps), found);
  let running = 0;
  let surveyed = null; // the settings of what is shown
  let drawn = [];

  async function start() {
    const most = Number(count.value);
    const message = { ...studiesMessage(ctx), steps: Number(steps.value) };
    const mine = (running = performance.now());
    surveyed = JSON.stringify(studiesMessage(ctx));
    ctx.set({ show: { ...ctx.state.show, survey: true } }, { undo: false });
    for (const n of [1000, 3000, 10000, 30000, 100000, 300000, 1000000].filter((one) => one <= most)) {
      ctx.invalidate();
      const reply = await ctx.request("survey", { ...message, count: n });
      if (!reply || reply.error || running !== mine) break;
    }
    if (running === mine) running = 0;
    ctx.invalidate();
  }

  return {
    el,
    draw() {
      const s = ctx.data.survey;
      const stale = s && surveyed !== null && surveyed !== JSON.stringify(studiesMessage(ctx));
      const now = [s, running, stale, ctx.errors.survey];
      if (now.every((thing, i) => thing === drawn[i])) return;
      drawn = now;
      go.textContent = running ? "Stop" : "Survey";
      if (!s) {
        const hint = make("p", { class: "dl-note", text: "Restart from many random places and count: which minima are there, and what share of starts reaches each?" });
        return found.replaceChildren(...studiesFault(ctx, "survey"), hint);
      }
      const rows = s.minima.slice(0, 20).map((m) => make("tr", { title: `at ${m.point.map((c) => shown(c, 6)).join(", ")}; ${m.kind}; ${m.hits.toLocaleString("en")} starts`, onpointerenter: () => point(m), onpointerleave: () => point(null) }, make("td", { text: `f = ${shown(m.value)}` }), make("td", {}, studiesBar(m)), make("td", { text: `${shown(100 * m.share, 3)} %` }), make("td", { class: "dl-note", text: `${shown(100 * m.interval[0], 3)}–${shown(100 * m.interval[1], 3)} %` })));
      const reached = s.minima.reduce((sum, m) => sum + m.hits, 0);
      const head = `${s.starts.toLocaleString("en")} starts, ${s.label}: ${s.found} minima in ${shown(s.seconds, 2)} s`;
      const lines = [];
      if (reached < s.starts) lines.push(`${shown(100 * (1 - reached / s.starts), 3)} % reached none`);
      if (s.restarts) lines.push(`${s.restarts} restarts reach the lowest with 95 %`);
      lines.push(`unseen minima draw at most ${shown(100 * s.unseen_interval[1], 2)} % of starts`);
      found.replaceChildren(...studiesFault(ctx, "survey"), make("p", { text: `${head}${stale ? " – not of the present settings" : ""}` }), make("table", {}, ...rows), make("p", { text: `${lines.join("; ")}.` }), make("p", { class: "dl-note", text: s.sentence }));
    },
  };

  function point(m) {
    ctx.highlight = m?.point ?? null;
    ctx.invalidate();
  }
}

/** A share as a bar, with its 95 % interval as a whisker. */
function studiesBar(m) {
  const bar = make("span", { class: "dl-share" }, make("span", { class: "dl-sharebar" }), make("span", { class: "dl-whisker" }));
  bar.children[0].style.width = `${100 * m.share}%`;
  bar.children[1].style.left = `${100 * m.interval[0]}%`;
  bar.children[1].style.width = `${100 * (m.interval[1] - m.interval[0])}%`;
  return bar;
}

/** Stationary points: proved for formulas, where the proof ends in time. */
function studiesPoints(ctx) {
  const toggle = studiesSwitch(ctx, "points", "show");
  const found = make("div", { class: "dl-found" });
  const el = make("section", { "aria-label": "Stationary points" }, studiesHead("Stationary points", toggle.el), found);
  let asked = "";
  let drawn = [];
  return {
    el,
    draw() {
      const on = ctx.state.show.points;
      toggle.box.checked = on;
      const key = JSON.stringify(ctx.state.problem);
      if (on && key !== asked) {
        asked = key;
        delete ctx.data.points;
        ctx.request("points", { problem: ctx.state.problem });
      }
      const p = ctx.data.points;
      const now = [p, on, ctx.errors.points];
      if (now.every((thing, i) => thing === drawn[i])) return;
      drawn = now;
      if (!on || !p) {
        const hint = make("p", { class: "dl-note", text: on ? "searching …" : "Where ∇f = 0: minima, maxima and saddle points – proved, for formulas of a few variables." });
        return found.replaceChildren(...studiesFault(ctx, "points"), hint);
      }
      const rows = p.points.slice(0, 60).map((one) => {
        const eigenvalues = one.eigenvalues.map((v) => shown(v, 3)).join(", ");
        const point = (value) => () => {
          ctx.highlight = value;
          ctx.invalidate();
        };
        return make("tr", { tabIndex: 0, title: `${one.certified ? "certified" : "found, not proved"}; eigenvalues ${eigenvalues}`, onpointerenter: point(one.point), onpointerleave: point(null), onfocus: point(one.point), onblur: point(null) }, make("td", { class: "dl-long", text: `${one.certified ? "✓\u00a0" : ""}${one.kind}${one.on_boundary ? ", on the edge" : ""}` }), make("td", { text: shown(one.value) }), make("td", { class: "dl-long", text: eigenvalues }));
      });
      const head = `${p.found} points${p.points.some((one) => one.certified) ? ", ✓ certified" : ""}${p.complete ? "; there are no others" : ""}`;
      found.replaceChildren(make("p", { text: head }), make("table", {}, make("tr", {}, ...["kind", "f", "eigenvalues"].map((text) => make("th", { text }))), ...rows), p.found > 60 ? make("p", { class: "dl-note", text: `… and ${p.found - 60} more` }) : "", make("p", { class: "dl-note", text: p.sentence }));
    },
  };
}
