// How each descent ended: one chip a path; its evidence on hover, its advice on a click, with what to change.
import { hasFocus, make, shown } from "./core.js";

const CHIPS_SETTINGS = { learning_rate: "learning rate", start: "start", steps: "steps", bounds: "bounds", tolerance: "tolerance", optimizer: "optimizer" };

/** Make the chips of all paths. */
export function makeChips(ctx) {
  const list = make("div", { class: "dl-chips", role: "list" });
  const advice = make("div", { class: "dl-advice", "aria-live": "polite" });
  const el = make("section", { "aria-label": "Verdicts" }, make("p", { class: "dl-line" }, make("span", { class: "dl-title dl-grow", text: "Verdicts" }), make("span", { class: "dl-note", text: "steps · final ‖∇f‖" })), list, advice);
  let drawn = [];

  function chip(run, o, s) {
    const verdict = run.verdicts[o][s];
    const taken = run.taken[o * run.shapes.taken[1] + s];
    const swatch = make("span", { class: "dl-swatch" });
    swatch.style.background = ctx.colours.optimizer(o);
    const outcome = make("span", { class: "dl-outcome", text: verdict.outcome.replaceAll("_", " ") });
    outcome.style.borderColor = ctx.colours.outcome(verdict.outcome);
    const evidence = Object.entries(verdict.evidence).map(([name, value]) => `${name}: ${value}`);
    return make(
      "button",
      {
        type: "button",
        class: "dl-chip",
        role: "listitem",
        title: [verdict.sentence, "", ...evidence].join("\n"),
        "aria-pressed": String(o === ctx.state.chosen[0] && s === ctx.state.chosen[1]),
        "aria-label": `${run.names[o]} from start ${s + 1}: ${verdict.outcome.replaceAll("_", " ")}, ${taken} steps`,
        onclick: () => ctx.set({ chosen: [o, s] }),
      },
      swatch,
      make("span", { class: "dl-who", text: ctx.state.starts.length > 1 ? `${run.names[o]} ${s + 1}` : run.names[o] }),
      outcome,
      make("span", { class: "dl-figures", text: `${taken} · ${shown(verdict.gradient_norm ?? NaN, 2)}` }),
    );
  }

  function showAdvice(run) {
    const [o, s] = ctx.state.chosen;
    const verdict = run.verdicts[o]?.[s];
    if (!verdict) return advice.replaceChildren();
    const buttons = Object.entries(verdict.change).map(([name, value]) =>
      make("button", { type: "button", class: "dl-apply", text: `Apply: ${CHIPS_SETTINGS[name] ?? name} ${chipsValue(value)}`, onclick: () => apply(name, value, s) }),
    );
    const rows = Object.entries(verdict.evidence).map(([name, value]) => make("tr", {}, make("th", { text: name }), make("td", { text: value })));
    const evidence = make("details", {}, make("summary", { text: "Evidence" }), make("table", {}, ...rows));
    return advice.replaceChildren(make("p", { text: verdict.sentence }), make("p", { class: "dl-what", text: verdict.advice }), ...buttons, evidence);
  }

  function apply(name, value, s) {
    const patch = chipsPatch(ctx.state, name, value, s);
    if (!patch) return;
    ctx.set(patch);
    ctx.say(`Applied: ${CHIPS_SETTINGS[name] ?? name} ${chipsValue(value)}.`);
  }

  return {
    el,
    draw() {
      const { run } = ctx.data;
      const now = [run, ctx.data.verdicts, ctx.state.chosen, ctx.dark];
      if (!run || now.every((thing, i) => thing === drawn[i])) return;
      // While one drags, only the words change: the chips keep their places and the focus.
      const focus = [...list.children].findIndex(hasFocus);
      drawn = now;
      list.replaceChildren(...run.verdicts.flatMap((row, o) => row.map((_, s) => chip(run, o, s))));
      list.children[focus]?.focus();
      showAdvice(run);
    },
    probe: () => ({ chips: list.children.length, outcomes: [...list.querySelectorAll(".dl-outcome")].map((e) => e.textContent), apply: [...advice.querySelectorAll(".dl-apply")].map((e) => e.textContent) }),
  };
}

/** Return what a setting, as descend takes it, changes in the page's state. */
function chipsPatch(state, name, value, s) {
  if (name === "learning_rate" && typeof value === "number") return { rate: value, schedule: "fixed" };
  if (name === "learning_rate") {
    const [schedule, rate, decay] = value.split(":");
    return { schedule, ...(rate ? { rate: Number(rate) } : {}), ...(decay ? { decay: Number(decay) } : {}) };
  }
  if (name === "start") return { starts: state.starts.map((old, i) => (i === s ? value : old)) };
  if (name === "optimizer") return { optimizers: [...state.optimizers, { name: value, parameters: {} }] };
  if (name === "steps") return { steps: Math.min(value, 20000) };
  return name === "bounds" || name === "tolerance" ? { [name]: value } : null;
}

function chipsValue(value) {
  if (typeof value === "number") return shown(value);
  return Array.isArray(value) ? `(${value.map((v) => shown(v, 6)).join(", ")})` : String(value);
}
