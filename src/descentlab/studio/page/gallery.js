// Landscapes to choose from, and guided presets: each shows one thing and asks one question.
import { make, labelled } from "./core.js";
import { DEFAULT_STATE } from "./store.js";

/** Make the gallery. */
export function makeGallery(ctx) {
  const { landscapes, presets } = ctx.data.hello;
  const choice = make("select");
  choice.append(make("option", { value: "", text: "Choose a landscape …" }));
  for (const [label, fits] of [["One variable", (n) => n === 1], ["Two variables", (n) => n === 2], ["More", (n) => n > 2]]) {
    const group = make("optgroup", { label });
    for (const entry of landscapes.filter((one) => fits(one.variables.length))) group.append(make("option", { value: entry.name, text: entry.title, title: entry.teaches }));
    choice.append(group);
  }
  const teaches = make("p", { class: "dl-note" });
  const buttons = presets.map((preset) => make("button", { type: "button", text: preset.title, "aria-pressed": "false", onclick: () => show(preset) }));
  const question = make("p", { class: "dl-question" });
  const answer = make("p");
  const reveal = make("details", {}, make("summary", { text: "Show the answer" }), answer);
  const lesson = make("div", { class: "dl-lesson", hidden: true }, question, reveal);
  const el = make("section", { "aria-label": "Gallery", class: "dl-gallery" }, labelled("Landscapes", choice), teaches, make("p", { class: "dl-title", text: "Play with" }), make("div", { class: "dl-presets" }, ...buttons), lesson);

  choice.addEventListener("change", () => {
    const entry = landscapes.find((one) => one.name === choice.value);
    if (!entry) return;
    teaches.textContent = entry.teaches;
    ctx.set({
      problem: { text: entry.text, domain: entry.domain, variables: entry.variables },
      starts: entry.start ? [entry.start] : [],
      rate: entry.rate ?? ctx.state.rate,
      optimizers: entry.start ? [{ name: entry.optimizer, parameters: {} }] : ctx.state.optimizers,
      heights: entry.view === "linear" ? "auto" : entry.view,
      at: null,
      plane: [0, 1],
      k: 0,
      chosen: [0, 0],
    });
  });

  function show(preset) {
    buttons.forEach((button, i) => button.setAttribute("aria-pressed", String(presets[i] === preset)));
    lesson.hidden = false;
    reveal.open = false;
    question.textContent = preset.question;
    answer.textContent = preset.answer;
    choice.value = "";
    teaches.textContent = "";
    const kept = { show: { ...ctx.state.show, ...DEFAULT_STATE.show, view: ctx.state.show.view, theme: ctx.state.show.theme, ...preset.state.show }, camera: ctx.state.camera, speed: ctx.state.speed };
    ctx.set({ ...DEFAULT_STATE, ...preset.state, ...kept, k: 0, chosen: [0, 0] });
    ctx.say(preset.question);
  }

  return { el, draw() {} };
}
