// The page: its layout, what follows from what, and one draw a frame.
import { hasFocus, make, makeChannel, seededNumbers } from "./core.js";
import { makeStore } from "./store.js";
import { makeMap } from "./map.js";
import { makeLine } from "./line.js";
import { makeSurface } from "./surface.js";
import { makeTraces } from "./traces.js";
import { makeFormula } from "./formula.js";
import { makeGallery } from "./gallery.js";
import { makeControls } from "./controls.js";
import { makeChips } from "./chips.js";
import { makeAnatomy } from "./anatomy.js";
import { makeStudies } from "./studies.js";
import { makeExports } from "./exports.js";
import { makeTimeline } from "./timeline.js";

const APP_WORKING = { formula: "reading", derivation: "deriving", field: "sampling", run: "descending", verdicts: "judging", anatomy: "taking a step apart", basins: "mapping basins", survey: "surveying", points: "proving", copy: "writing", export: "drawing", hello: "starting" };
const APP_VIEWS = { both: "Map and surface", map: "Map", surface: "Surface" };
const APP_SLICES = { "": "slice through …", middle: "the middle of the box", chosen: "the chosen end", best: "the best end", survey: "the survey's best" };
const APP_PANELS = { steps: "Step by step", anatomy: "Anatomy of a step", studies: "Basins, survey, stationary points" };

/** What a race depends on: the entries of the state that a `run` message carries. */
export const RUN_ENTRIES = ["problem", "starts", "optimizers", "rate", "schedule", "decay", "steps", "bounds", "tolerance", "ascent", "negate", "seed"];

/** Show the studio in el; model as anywidget's. Returns how to take it down again. */
function render({ model, el }) {
  const root = make("div", { class: "dl-studio", tabIndex: -1 });
  const status = make("span", { class: "dl-status", text: "starting …" });
  const live = make("div", { class: "dl-live", "aria-live": "polite" });
  root.append(make("header", { class: "dl-head" }, make("b", { text: "descentlab studio" }), status), live);
  el.append(root);

  const media = { dark: matchMedia("(prefers-color-scheme: dark)"), reduced: matchMedia("(prefers-reduced-motion: reduce)") };
  const asked = {};
  let views = [];
  let frame = 0;
  let busy = [];
  let timeline = null;
  let dark = false;

  const channel = makeChannel(model, (kinds) => {
    busy = kinds;
    showStatus();
  });
  const store = makeStore(model, (names) => {
    if (ctx.data.hello) ask();
    if (names.includes("show")) showTheme();
    ctx.invalidate();
  });

  const ctx = {
    data: {},
    errors: {},
    highlight: null,
    linkable: Boolean(model.linkable),
    get state() {
      return store.state;
    },
    get reduced() {
      return media.reduced.matches;
    },
    get dark() {
      return dark;
    },
    colours: null,
    set: store.set,
    flush: store.flush,
    say: (text) => (live.textContent = text),
    invalidate() {
      frame ||= requestAnimationFrame(draw);
    },
    async request(kind, message) {
      const reply = await channel.request(kind, message);
      if (!reply) return null;
      if (reply.error) ctx.errors[kind] = reply.error;
      else {
        delete ctx.errors[kind];
        if (kind === "run") reply.verdicts = appVerdicts(reply, ctx.data.run);
        ctx.data[kind] = reply;
      }
      ctx.invalidate();
      showStatus();
      return reply;
    },
    pictures: () => views.filter((view) => view.picture && view.el.offsetWidth).map((view) => ({ name: view.name, canvas: view.picture() })),
  };

  /** Return the part of the state that a race depends on, as a message. */
  ctx.race = () => Object.fromEntries(RUN_ENTRIES.map((name) => [name, store.state[name]]));

  /** Ask for what the state needs and was not asked for yet. */
  function ask() {
    const { problem, plane, at, heights, starts } = store.state;
    const dim = ctx.data.formula && asked.formula === JSON.stringify(problem) ? ctx.data.formula.dim : null;
    askOnce("formula", { problem }, settle);
    const planar = dim === 2 ? { problem, heights, resolution: 128 } : { problem, plane, at, heights, resolution: 128 };
    if (dim === null) askOnce("field", { problem, heights, resolution: 128 });
    else askOnce("field", dim === 1 ? { problem } : planar);
    if (dim !== null && starts.length && starts.every((p) => p.length === dim)) askOnce("run", ctx.race(), judge);
  }

  function askOnce(kind, message, then) {
    const key = kind === "formula" ? JSON.stringify(message.problem) : JSON.stringify(message);
    if (asked[kind] === key) return;
    asked[kind] = key;
    ctx.request(kind, message).then((reply) => reply && !reply.error && then?.(reply, message));
  }

  /** Ask for the verdicts of a run that is on the page already; until then it has those of the run before. */
  async function judge(run, message) {
    const reply = await ctx.request("verdicts", message);
    if (!reply || reply.error || ctx.data.run !== run) return;
    run.verdicts = reply.verdicts;
  }

  /** Once the problem is known: complete it, and have starts, plane and point that fit it. */
  function settle(reply) {
    const { state } = store;
    const patch = {};
    if (JSON.stringify(reply.problem) !== JSON.stringify(state.problem)) {
      asked.formula = JSON.stringify(reply.problem);
      patch.problem = reply.problem;
    }
    if (!state.starts.length || state.starts.some((p) => p.length !== reply.dim)) {
      const random = seededNumbers(state.seed);
      patch.starts = [0, 1].map(() => reply.domain.map(([low, high]) => Number((low + (high - low) * random()).toPrecision(4))));
      patch.chosen = [0, 0];
    }
    if (state.plane.some((i) => i >= reply.dim)) patch.plane = [0, 1];
    if (state.at && state.at.length !== reply.dim) patch.at = null;
    store.set(patch, { undo: false });
    ask();
  }

  /** Whether nothing is under way and the descents on the page are those of the state. */
  function settled() {
    return !busy.length && !frame && asked.run === JSON.stringify(ctx.race()) && Boolean(ctx.data.run);
  }

  function showStatus() {
    const connection = model.get("connection");
    const failed = Object.entries(ctx.errors).find(([kind]) => kind === "run" || kind === "field");
    const working = busy.map((kind) => APP_WORKING[kind] ?? kind);
    if (connection && connection !== "open") status.textContent = "not connected – trying again …";
    else if (working.length) status.textContent = `${working.join(", ")} …`;
    else status.textContent = failed ? failed[1].message : "ready";
    status.classList.toggle("dl-working", working.length > 0);
    status.classList.toggle("dl-warning", Boolean(failed) || (connection && connection !== "open"));
  }

  /** A notebook says by its colour scheme whether it is dark; around a page of our own nothing does, and the system decides. */
  function showTheme() {
    const { theme } = store.state.show;
    const around = theme === "auto" ? getComputedStyle(el).colorScheme : theme;
    dark = around === "dark" || (around !== "light" && media.dark.matches);
    root.classList.toggle("dl-dark", dark);
    ctx.invalidate();
  }

  function draw() {
    frame = 0;
    const { state } = store;
    if (state.optimizers.length <= state.chosen[0] || state.starts.length <= state.chosen[1]) {
      store.set({ chosen: [Math.min(state.chosen[0], state.optimizers.length - 1), Math.max(0, Math.min(state.chosen[1], state.starts.length - 1))] }, { undo: false });
    }
    views.forEach((view) => view.draw());
  }

  function keys(event) {
    const field = event.target.closest?.("input, select, textarea, button, summary, [contenteditable]");
    const command = event.ctrlKey || event.metaKey;
    if (command && event.key.toLowerCase() === "z" && !event.target.closest?.("textarea, input[type=text], input[type=number]")) {
      if (event.shiftKey ? store.redo() : store.undo()) ctx.say(event.shiftKey ? "Done again." : "Undone.");
      event.preventDefault();
    } else if (!command && !event.altKey && !event.defaultPrevented && !field && timeline?.key(event)) {
      event.preventDefault();
    }
  }

  function build() {
    timeline = makeTimeline(ctx);
    const named = { map: makeMap(ctx), line: makeLine(ctx), surface: makeSurface(ctx), traces: makeTraces(ctx), formula: makeFormula(ctx), gallery: makeGallery(ctx), controls: makeControls(ctx), chips: makeChips(ctx), anatomy: makeAnatomy(ctx), studies: makeStudies(ctx), exports: makeExports(ctx), timeline };
    for (const [name, view] of Object.entries(named)) {
      view.name = name;
      view.el.classList.add(`dl-view-${name}`);
    }
    const button = (text, title, go) => make("button", { type: "button", text, title, "aria-label": title, onclick: go });
    const undo = button("↶", "Undo (Ctrl Z)", () => store.undo());
    const redo = button("↷", "Redo (Ctrl Shift Z)", () => store.redo());
    const theme = button("◐", "Light or dark", () => ctx.set({ show: { ...ctx.state.show, theme: ctx.dark ? "light" : "dark" } }, { undo: false }));
    root.querySelector(".dl-head").append(make("span", { class: "dl-grow" }), undo, redo, named.exports.el, theme);
    const viewTabs = appTabs("Picture", APP_VIEWS, (view) => ctx.set({ show: { ...ctx.state.show, view } }, { undo: false }));
    const heights = make("select", { "aria-label": "Scale of the heights", title: "Scale of the heights" });
    for (const kind of ["auto", "linear", "log", "rank"]) heights.append(make("option", { value: kind, text: `heights: ${kind}` }));
    heights.addEventListener("change", () => ctx.set({ heights: heights.value }));
    const contours = appCheck("contours", (on) => ctx.set({ show: { ...ctx.state.show, contours: on } }));
    const planes = appPlane(ctx);
    const panelTabs = appTabs("Panel", APP_PANELS, (panel) => ctx.set({ show: { ...ctx.state.show, panel } }, { undo: false }));
    const pictureBar = make("div", { class: "dl-line dl-picturebar" }, viewTabs.el, heights, contours.el, planes.el);
    root.append(
      make(
        "div",
        { class: "dl-body" },
        make("div", { class: "dl-left" }, named.formula.el, named.gallery.el),
        make("main", { class: "dl-centre" }, pictureBar, make("div", { class: "dl-pictures" }, named.line.el, named.map.el, named.surface.el), timeline.el, panelTabs.el, make("div", { class: "dl-panel" }, named.traces.el, named.anatomy.el, named.studies.el)),
        make("div", { class: "dl-right" }, named.controls.el, named.chips.el),
      ),
    );
    const frameView = {
      el: root,
      draw() {
        const { show } = ctx.state;
        const dim = ctx.data.field?.dim ?? 2;
        named.line.el.hidden = dim !== 1;
        named.map.el.hidden = dim === 1 || show.view === "surface";
        named.surface.el.hidden = dim === 1 || show.view === "map";
        pictureBar.hidden = dim === 1;
        named.traces.el.hidden = show.panel !== "steps";
        named.anatomy.el.hidden = show.panel !== "anatomy";
        named.studies.el.hidden = show.panel !== "studies";
        viewTabs.show(show.view);
        panelTabs.show(show.panel);
        heights.value = ctx.state.heights;
        contours.box.checked = show.contours;
        planes.draw();
        undo.disabled = !store.canUndo();
        redo.disabled = !store.canRedo();
      },
    };
    views = [frameView, ...Object.values(named)];
    // What tests and the benchmark look at.
    Object.assign(root, { dlViews: named, dlStore: store, dlData: ctx.data, dlSettled: settled, dlRace: ctx.race, dlRequest: ctx.request });
  }

  async function start() {
    ask(); // the first picture does not wait for the tables
    const hello = await ctx.request("hello", {});
    if (!hello || hello.error) return;
    const palette = hello.colours;
    ctx.colours = {
      optimizer: (i) => palette.optimizers[i % palette.optimizers.length],
      outcome: (name) => palette.outcomes[name] ?? "#8a929b",
      heights: hello.heights,
      steps: hello.steps,
    };
    if (hello.problem && !model.get("state")?.problem) store.set({ problem: hello.problem, starts: [] }, { undo: false });
    build();
    showTheme();
    ask();
    ctx.invalidate();
  }

  const themes = new MutationObserver(showTheme);
  themes.observe(document.body, { attributes: true, attributeFilter: ["class", "style", "data-jp-theme-name", "data-theme"] });
  const sizes = new ResizeObserver(() => ctx.invalidate());
  sizes.observe(root);
  root.addEventListener("keydown", keys);
  // JupyterLab would take the keys for its cells – move among them, delete them – unless the element in focus is so marked.
  root.addEventListener("focusin", (event) => event.target.setAttribute("data-lm-suppress-shortcuts", "true"));
  model.on("change:connection", showStatus);
  media.dark.addEventListener("change", showTheme);
  start();
  return () => {
    timeline?.pause();
    sizes.disconnect();
    themes.disconnect();
    channel.close();
    media.dark.removeEventListener("change", showTheme);
    root.remove();
  };
}

/** What stands for the verdicts of a run until they come: those of a run of the same shape, or blanks. */
function appVerdicts({ shapes }, before) {
  const [optimizers, starts] = shapes.taken;
  const shape = (one) => `${one.taken}×${one.points[3]}`;
  if (before && shape(before.shapes) === shape(shapes)) return before.verdicts;
  const blank = { outcome: "…", sentence: "", advice: "", change: {}, evidence: {}, gradient_norm: null };
  return Array.from({ length: optimizers }, () => Array(starts).fill(blank));
}

function appTabs(label, texts, choose) {
  const el = make("div", { class: "dl-tabs", role: "tablist", "aria-label": label });
  const names = Object.keys(texts);
  const tabs = names.map((name) => make("button", { type: "button", role: "tab", text: texts[name], onclick: () => choose(name) }));
  el.append(...tabs);
  el.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const i = (tabs.findIndex(hasFocus) + step + tabs.length) % tabs.length;
    tabs[i].focus();
    choose(names[i]);
    event.preventDefault();
  });
  return {
    el,
    show: (chosen) =>
      tabs.forEach((tab, i) => {
        tab.setAttribute("aria-selected", String(names[i] === chosen));
        tab.tabIndex = names[i] === chosen ? 0 : -1;
      }),
  };
}

function appCheck(text, change) {
  const box = make("input", { type: "checkbox", onchange: () => change(box.checked) });
  return { box, el: make("label", { class: "dl-check" }, box, text) };
}

/** The point a slice goes through, null for the middle of the box. */
function appSliced(ctx, way) {
  const { run, survey } = ctx.data;
  if (way === "middle") return null;
  if (way === "chosen") return run?.verdicts[ctx.state.chosen[0]]?.[ctx.state.chosen[1]]?.point;
  if (way === "survey") return survey?.minima[0]?.point;
  const sign = ctx.state.ascent ? -1 : 1;
  const ends = run?.verdicts.flat().filter((v) => Number.isFinite(v.value)) ?? [];
  return ends.toSorted((a, b) => sign * (a.value - b.value))[0]?.point;
}

/** With more than two variables: which two are seen, and the point the plane goes through. */
function appPlane(ctx) {
  const pair = [0, 1].map((i) => make("select", { "aria-label": i ? "Upright variable" : "Level variable", onchange: () => choose(i) }));
  const through = make("select", { "aria-label": "Slice through", onchange: () => pass() });
  for (const [value, text] of Object.entries(APP_SLICES)) through.append(make("option", { value, text }));
  const point = make("input", { type: "text", class: "dl-point", "aria-label": "Point the slice goes through", onchange: () => write() });
  const el = make("span", { class: "dl-line" }, ...pair, through, point);
  let names = null;
  let written = "";

  function choose(i) {
    const plane = pair.map((select) => Number(select.value));
    if (plane[0] === plane[1]) plane[1 - i] = ctx.state.plane[i];
    ctx.set({ plane });
  }

  function pass() {
    const way = through.value;
    through.value = "";
    const end = appSliced(ctx, way);
    if (way === "middle" || end?.every(Number.isFinite)) ctx.set({ at: end });
    else ctx.say("There is no such point yet.");
  }

  function write() {
    const at = point.value.split(/[\s,;]+/).filter(Boolean).map(Number);
    const good = at.length === ctx.data.formula.dim && at.every(Number.isFinite);
    point.setAttribute("aria-invalid", String(!good));
    if (good) ctx.set({ at });
    else ctx.say(`The point is ${ctx.data.formula.dim} numbers.`);
  }

  return {
    el,
    draw() {
      const formula = ctx.data.formula;
      el.hidden = !formula || formula.dim < 3;
      if (el.hidden) return;
      if (names !== formula.names) {
        names = formula.names;
        pair.forEach((select) => select.replaceChildren(...names.map((name, i) => make("option", { value: i, text: name }))));
      }
      pair.forEach((select, i) => (select.value = ctx.state.plane[i]));
      const text = (ctx.state.at ?? formula.domain.map(([low, high]) => (low + high) / 2)).map((c) => Number(c.toPrecision(6))).join(", ");
      if (text === written) return;
      point.value = point.title = written = text;
      point.setAttribute("aria-invalid", "false");
    },
  };
}

export default { render };
