// The formula: typed as text, typeset as one types, its derivation unfolded on demand.
import { freshId, hasFocus, make } from "./core.js";
import { buildMathematics } from "./mathematics.js";

const FORMULA_PAUSE = 60; // milliseconds without a key before it is read

/** Make the formula box, the box of each variable, and the mathematics. */
export function makeFormula(ctx) {
  const marks = make("div", { class: "dl-marks", "aria-hidden": "true" });
  const error = make("p", { class: "dl-error", id: freshId(), role: "alert", hidden: true });
  const text = make("textarea", { rows: 2, spellcheck: false, autocapitalize: "off", class: "dl-formula", id: freshId(), "aria-describedby": error.id });
  const sides = make("div", { class: "dl-sides" });
  const notes = make("p", { class: "dl-note" });
  const mathematics = make("div", { class: "dl-mathematics", tabIndex: 0, role: "group", "aria-label": "f and its derivatives" });
  const rules = make("div", { class: "dl-rules" });
  const unfold = make("details", {}, make("summary", { text: "Rule by rule" }), rules);
  const el = make(
    "section",
    { "aria-label": "The objective" },
    make("label", { for: text.id, class: "dl-title", text: "f =" }),
    make("div", { class: "dl-box" }, marks, text),
    error,
    sides,
    notes,
    mathematics,
    unfold,
  );
  let pause = 0;
  let shownProblem = null;
  let shownReply = null;
  let names = null;
  let derived = null;

  text.addEventListener("input", () => {
    text.rows = text.value.length > 68 ? 4 : text.value.length > 33 ? 3 : 2;
    mark(null);
    clearTimeout(pause);
    pause = setTimeout(read, FORMULA_PAUSE);
  });
  text.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    clearTimeout(pause);
    read();
  });
  text.addEventListener("scroll", () => (marks.scrollTop = text.scrollTop));
  unfold.addEventListener("toggle", derive);

  /** Read what is typed. Sides of variables that stay are kept. */
  async function read() {
    if (!text.value.trim()) return mark({ message: "Type a formula, such as x^2 + sin(y).", position: null });
    const most = ctx.data.hello.limits.most_characters;
    if (text.value.length > most) return mark({ message: `A formula has at most ${most.toLocaleString("en")} characters; this one has ${text.value.length.toLocaleString("en")}.`, position: most });
    const problem = { text: text.value, domain: null, variables: null };
    const old = ctx.data.formula;
    let reply = await ctx.request("formula", { problem });
    if (!reply) return undefined;
    if (reply.error) return mark(reply.error);
    const kept = reply.names.map((name, i) => old?.domain[old.names.indexOf(name)] ?? reply.domain[i]);
    if (JSON.stringify(kept) !== JSON.stringify(reply.domain)) {
      reply = await ctx.request("formula", { problem: { ...problem, domain: kept } });
      if (!reply || reply.error) return reply && mark(reply.error);
    }
    mark(null);
    shownProblem = reply.problem;
    if (JSON.stringify(reply.problem) !== JSON.stringify(ctx.state.problem)) ctx.set({ problem: reply.problem, at: null });
    return undefined;
  }

  /** Underline the character an error is at, by a copy of the text behind the box. */
  function mark(fault) {
    error.hidden = !fault;
    error.textContent = fault?.message ?? "";
    error.title = fault?.more ?? "";
    text.setAttribute("aria-invalid", String(Boolean(fault)));
    const at = fault?.position;
    if (at === null || at === undefined) return marks.replaceChildren();
    const typed = text.value;
    marks.replaceChildren(typed.slice(0, at), make("mark", { text: typed.slice(at, at + 1) || " " }), typed.slice(at + 1));
    return undefined;
  }

  function showSides(formula) {
    names = formula.names;
    const inputs = formula.domain.map((side) => side.map((value) => make("input", { type: "number", step: "any", value: Number(value.toPrecision(12)) })));
    const change = () => {
      const domain = inputs.map((pair) => pair.map((input) => Number(input.value)));
      const good = domain.every(([low, high], i) => inputs[i].every((input) => input.value !== "") && low < high);
      inputs.flat().forEach((input) => input.setAttribute("aria-invalid", String(!good)));
      if (good && JSON.stringify(domain) !== JSON.stringify(ctx.state.problem.domain)) ctx.set({ problem: { ...ctx.state.problem, domain } });
    };
    inputs.flat().forEach((input) => input.addEventListener("change", change));
    sides.replaceChildren(
      ...names.map((name, i) => {
        inputs[i][0].setAttribute("aria-label", `Lower bound of ${name}`);
        inputs[i][1].setAttribute("aria-label", `Upper bound of ${name}`);
        return make("div", { class: "dl-side" }, inputs[i][0], make("span", { text: `≤ ${name} ≤` }), inputs[i][1]);
      }),
    );
  }

  function showMathematics(formula) {
    const { value, partials, gradient } = formula.mathematics;
    const parts = [value, ...partials, gradient].filter(Boolean).map(buildMathematics);
    mathematics.replaceChildren(...(parts.length ? parts : [make("p", { class: "dl-note", text: `${formula.label}: a Python function of ${formula.names.join(", ")}` })]));
    notes.textContent = formula.notes.join(" ");
    notes.hidden = !formula.notes.length;
    unfold.hidden = !value;
  }

  async function derive() {
    const problem = ctx.state.problem;
    if (!unfold.open || derived === JSON.stringify(problem)) return;
    derived = JSON.stringify(problem);
    rules.replaceChildren(make("p", { class: "dl-note", text: "deriving …" }));
    const reply = await ctx.request("derivation", { problem });
    if (!reply) return;
    rules.replaceChildren(...(reply.error ? [make("p", { class: "dl-error", text: reply.error.message, title: reply.error.more ?? "" })] : reply.derivations.map(buildMathematics)));
  }

  return {
    el,
    draw() {
      const { problem } = ctx.state;
      const reply = ctx.data.formula;
      if (JSON.stringify(problem) !== JSON.stringify(shownProblem)) {
        shownProblem = problem;
        text.value = problem.own ? "" : problem.text;
        text.placeholder = problem.own ? "a Python function – or type a formula" : "";
        text.rows = text.value.length > 68 ? 4 : text.value.length > 33 ? 3 : 2;
        mark(null);
      }
      if (reply && reply !== shownReply) {
        shownReply = reply;
        showMathematics(reply);
        if (![...sides.querySelectorAll("input")].some(hasFocus) || String(names) !== String(reply.names)) showSides(reply);
        derive();
      }
      const fault = ctx.errors.formula;
      if (fault && error.hidden && !hasFocus(text)) mark(fault);
    },
    probe: () => ({ error: error.textContent, marked: marks.querySelector("mark")?.textContent ?? null, math: mathematics.querySelectorAll("math").length }),
  };
}
