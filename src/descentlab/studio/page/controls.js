// What to run: the race of optimizers and their parameters, learning rate, schedule, steps, bounds, ascent.
import { hasFocus, make, labelled, shown } from "./core.js";

const CONTROLS_RATES = [-5, 1]; // powers of ten at the slider's ends
const CONTROLS_STEPS = [10, 30, 100, 300, 1000, 3000, 10000, 20000];
const CONTROLS_MOST = 6; // colours that can be told apart
const CONTROLS_SCHEDULES = {
  fixed: "fixed: η",
  time: "time-based: η (1 − (k+1)/n)",
  gradient: "gradient-based: η |∇f|",
  cosine: "cosine: η (1 + cos(πk/n))/2",
  exponential: "exponential: η · decay^k",
  auto: "auto: from the curvature",
};

/** Make a slider that writes one undo entry a drag. */
export function makeSlider(ctx, properties, write) {
  const slider = make("input", { type: "range", step: "any", ...properties });
  let dragging = false;
  slider.addEventListener("input", () => {
    ctx.set(write(Number(slider.value)), { undo: !dragging });
    dragging = true;
  });
  slider.addEventListener("change", () => (dragging = false));
  return slider;
}

/** Make the controls. */
export function makeControls(ctx) {
  const race = controlsRace(ctx);
  const rate = controlsRate(ctx);
  const rest = controlsRest(ctx);
  const parts = [race, rate, rest];
  const el = make("section", { class: "dl-controls", "aria-label": "What to run" }, ...parts.map((part) => part.el));
  let drawn = null;
  return {
    el,
    draw() {
      const now = [ctx.state, ctx.data.run, ctx.data.verdicts, ctx.data.formula, ctx.data.hello];
      if (drawn && now.every((thing, i) => thing === drawn[i])) return;
      drawn = now;
      parts.forEach((part) => part.draw());
    },
  };
}

function controlsRace(ctx) {
  const list = make("div", { class: "dl-race" });
  const add = make("select", { class: "dl-add", "aria-label": "Add an optimizer to the race" });
  const known = (name) => ctx.data.hello.optimizers.find((row) => row.name === name);
  add.append(make("option", { value: "", text: "Add an optimizer …" }));
  for (const row of ctx.data.hello.optimizers) add.append(make("option", { value: row.name, text: row.name, title: row.teaches }));
  add.addEventListener("change", () => {
    const { optimizers } = ctx.state;
    if (add.value && optimizers.length < CONTROLS_MOST) {
      ctx.set({ optimizers: [...optimizers, { name: add.value, parameters: {} }] });
      ctx.say(`${add.value} joins the race.`);
    }
    add.value = "";
  });
  let written = "";

  const change = (i, next) => ctx.state.optimizers.map((entry, j) => (j === i ? next : entry));

  function parameter(i, entry, p) {
    const value = entry.parameters[p.name] ?? p.default;
    const out = make("output", { text: shown(value) });
    const write = (given) => ({ optimizers: change(i, { ...ctx.state.optimizers[i], parameters: { ...ctx.state.optimizers[i].parameters, [p.name]: given } }) });
    // Memories below 1 are felt by how far from 1 they are; all else goes by powers of ten.
    const decay = p.high === 1;
    const toSlider = decay ? (v) => -Math.log10(1 - Math.min(v, 0.9999)) : (v) => Math.log10(Math.max(v, 1e-12));
    const toValue = decay ? (s) => Number((1 - 10 ** -s).toPrecision(6)) : (s) => Number((10 ** s).toPrecision(3));
    const slider = makeSlider(ctx, { min: decay ? 0 : -12, max: decay ? 4 : 0 }, (s) => write(toValue(s)));
    slider.value = toSlider(value);
    return { name: p.name, out, slider, toSlider, el: make("div", { class: "dl-parameter" }, labelled(p.name.replace("_", " "), slider), out) };
  }

  function entryElement(entry, i) {
    const row = known(entry.name);
    const swatch = make("span", { class: "dl-swatch" });
    swatch.style.background = ctx.colours.optimizer(i);
    const remove = make("button", {
      type: "button", class: "dl-quiet", text: "✕", title: `Take ${entry.name} out of the race`, "aria-label": `Take ${entry.name} out of the race`,
      disabled: ctx.state.optimizers.length === 1,
      onclick: () => ctx.set({ optimizers: ctx.state.optimizers.filter((_, j) => j !== i), chosen: [0, ctx.state.chosen[1]] }),
    });
    const head = make("div", { class: "dl-racer", title: row?.teaches ?? "" }, swatch, make("b", { text: entry.name }), make("span", { class: "dl-rule", text: row?.rule ?? "" }), remove);
    const knobs = (row?.parameters ?? []).map((p) => parameter(i, entry, p));
    const inner = knobs.length ? make("details", {}, make("summary", { text: knobs.map((knob) => knob.name.replace("_", " ")).join(", ") }), ...knobs.map((knob) => knob.el)) : null;
    return { el: make("div", {}, head, inner), knobs };
  }

  let entries = [];
  return {
    el: make("fieldset", {}, make("legend", { text: "Race" }), list, add),
    draw() {
      const names = JSON.stringify(ctx.state.optimizers.map((o) => o.name)) + ctx.dark;
      if (names !== written) {
        written = names;
        entries = ctx.state.optimizers.map(entryElement);
        list.replaceChildren(...entries.map((entry) => entry.el));
      }
      add.disabled = ctx.state.optimizers.length >= CONTROLS_MOST;
      ctx.state.optimizers.forEach((entry, i) => {
        for (const knob of entries[i].knobs) {
          const value = entry.parameters[knob.name] ?? known(entry.name).parameters.find((p) => p.name === knob.name).default;
          knob.out.textContent = shown(value);
          if (!hasFocus(knob.slider)) knob.slider.value = knob.toSlider(value);
        }
      });
    },
  };
}

function controlsRate(ctx) {
  const [low, high] = CONTROLS_RATES;
  // Three digits: a rate one can read and type again.
  const slider = makeSlider(ctx, { min: low, max: high, class: "dl-rate" }, (power) => ({ rate: Number((10 ** power).toPrecision(3)) }));
  const number = make("input", { type: "number", min: 0, step: "any", class: "dl-number", "aria-label": "Learning rate as a number" });
  number.addEventListener("change", () => {
    const given = Number(number.value);
    if (given > 0 && Number.isFinite(given)) ctx.set({ rate: given });
    else number.value = ctx.state.rate;
  });
  const tick = make("span", { class: "dl-tick" });
  const limit = make("p", { class: "dl-note" });
  const schedule = make("select", { "aria-label": "Schedule of the learning rate", class: "dl-wide" });
  for (const [value, text] of Object.entries(CONTROLS_SCHEDULES)) schedule.append(make("option", { value, text }));
  schedule.addEventListener("change", () => ctx.set({ schedule: schedule.value }));
  const decay = makeSlider(ctx, { min: 1, max: 4 }, (s) => ({ decay: Number((1 - 10 ** -s).toPrecision(6)) }));
  const decayField = labelled("Decay", decay);
  slider.setAttribute("aria-label", "Learning rate");
  const field = make("div", { class: "dl-ratebox dl-grow" }, slider, tick);
  const el = make(
    "fieldset",
    {},
    make("legend", { text: "Learning rate η" }),
    make("div", { class: "dl-line" }, field, number),
    limit,
    schedule,
    decayField,
  );
  return {
    el,
    draw() {
      const { rate, schedule: kind, chosen } = ctx.state;
      const at = Math.min(Math.max(Math.log10(rate), low), high);
      if (!hasFocus(slider) || Math.abs(Number(slider.value) - at) > 0.02) slider.value = at;
      slider.setAttribute("aria-valuetext", shown(rate));
      if (!hasFocus(number)) number.value = rate;
      schedule.value = kind;
      slider.disabled = number.disabled = kind === "auto";
      decayField.hidden = kind !== "exponential";
      if (!hasFocus(decay)) decay.value = -Math.log10(1 - Math.min(ctx.state.decay, 0.9999));
      const stable = ctx.data.run?.verdicts[chosen[0]]?.[chosen[1]]?.stable_rate ?? ctx.data.formula?.stable_rate;
      tick.hidden = limit.hidden = !(stable > 0);
      if (!(stable > 0)) return;
      const place = (Math.log10(stable) - low) / (high - low);
      tick.hidden = place < 0 || place > 1;
      // The thumb's middle runs between half its width from either end.
      tick.style.left = `calc(8px + ${place} * (100% - 16px))`;
      tick.title = `2/λmax = ${shown(stable)}`;
      limit.textContent = `stable below 2/λmax = ${shown(stable)}${rate > stable ? " – this is above" : ""}`;
      limit.classList.toggle("dl-warning", rate > stable && kind === "fixed");
    },
  };
}

function controlsRest(ctx) {
  const steps = make("select");
  for (const count of CONTROLS_STEPS) steps.append(make("option", { value: count, text: count.toLocaleString("en") }));
  steps.addEventListener("change", () => ctx.set({ steps: Number(steps.value), k: Math.min(ctx.state.k, Number(steps.value)) }));
  const bounds = make("select");
  for (const [value, text] of [["free", "free"], ["clip", "clip to box"], ["stop", "stop at edge"]]) {
    bounds.append(make("option", { value, text }));
  }
  bounds.addEventListener("change", () => ctx.set({ bounds: bounds.value }));
  const tolerance = make("input", { type: "number", min: 0, step: "any", placeholder: "none", class: "dl-number" });
  tolerance.addEventListener("change", () => {
    const given = tolerance.value === "" ? null : Number(tolerance.value);
    ctx.set({ tolerance: given !== null && given >= 0 ? given : null });
  });
  const way = make("select", { "aria-label": "Direction", class: "dl-wide" });
  for (const [value, text] of [["down", "descend"], ["flip", "ascend: x ← x + η ∇f"], ["negate", "ascend: descend on −f"]]) {
    way.append(make("option", { value, text }));
  }
  way.addEventListener("change", () => ctx.set({ ascent: way.value !== "down", negate: way.value === "negate" }));
  const note = make("p", { class: "dl-note" });
  const el = make(
    "fieldset",
    {},
    make("legend", { text: "Descent" }),
    way,
    note,
    make("div", { class: "dl-line dl-thirds" }, labelled("Steps", steps), labelled("until ‖∇f‖ ≤", tolerance), labelled("Bounds", bounds)),
  );
  return {
    el,
    draw() {
      const { state } = ctx;
      if (![...steps.options].some((option) => Number(option.value) === state.steps)) {
        steps.append(make("option", { value: state.steps, text: state.steps.toLocaleString("en") }));
      }
      steps.value = state.steps;
      bounds.value = state.bounds;
      if (!hasFocus(tolerance)) tolerance.value = state.tolerance ?? "";
      way.value = state.ascent ? (state.negate ? "negate" : "flip") : "down";
      const apart = ctx.data.run?.apart;
      note.hidden = !state.ascent || apart === null || apart === undefined;
      note.textContent =
        apart === 0 ? "Flipping the update and negating f take the same steps, to the last bit." : `The two ways differ by up to ${shown(apart)}.`;
    },
  };
}
