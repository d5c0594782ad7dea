// What makes one step: the gradient, what the optimizer remembers, and the update, with the rule in numbers.
import { make, shown } from "./core.js";
import { fitCanvas, inks } from "./axes.js";

const ANATOMY_MEMORY = { m: "momentum", s: "second moment", u: "largest gradient", t: "mean squared update" };

/** Make the anatomy of the chosen path's step at the time cursor. */
export function makeAnatomy(ctx) {
  const canvas = make("canvas", { role: "img", "aria-label": "The parts of this step as arrows" });
  const legend = make("div", { class: "dl-anatomy-legend" });
  const which = make("select", { "aria-label": "Coordinate whose numbers are shown" });
  const head = make("p", { class: "dl-what" });
  const rule = make("div", { class: "dl-rulebox" });
  const el = make("div", { class: "dl-anatomy" }, make("div", { class: "dl-anatomy-picture" }, canvas), make("div", { class: "dl-anatomy-words" }, make("div", { class: "dl-line dl-anatomy-head" }, head, which), legend, rule));
  let asked = "";
  let drawn = [];
  let names = "";
  which.addEventListener("change", () => ctx.invalidate());

  function want() {
    const race = ctx.race();
    const [o, s] = ctx.state.chosen;
    if (!race.optimizers[o] || !race.starts[s] || !ctx.data.run) return;
    const message = { ...race, optimizers: [race.optimizers[o]], starts: [race.starts[s]] };
    const key = JSON.stringify(message);
    if (key === asked) return;
    asked = key;
    ctx.request("anatomy", message);
  }

  return {
    el,
    draw() {
      if (el.hidden) return;
      want();
      const a = ctx.data.anatomy;
      const now = [a, Math.floor(ctx.state.k), which.value, ctx.dark, canvas.clientWidth, canvas.clientHeight, ctx.errors.anatomy];
      if (now.every((thing, i) => thing === drawn[i])) return;
      drawn = now;
      if (ctx.errors.anatomy) head.textContent = ctx.errors.anatomy.message;
      if (!a) return;
      const variables = ctx.data.formula?.names ?? [];
      if (String(variables) !== names) {
        names = String(variables);
        which.replaceChildren(...variables.map((name, i) => make("option", { value: i, text: name })));
      }
      const steps = a.shapes.rates[0];
      const dim = a.shapes.x[1];
      if (!steps) {
        head.textContent = `${a.optimizer} took no step from here.`;
        return rule.replaceChildren();
      }
      const k = Math.min(Math.floor(ctx.state.k), steps - 1);
      const step = anatomyStep(a, k, dim);
      head.textContent = `${a.optimizer}, step ${k} → ${k + 1}${a.ascent ? " (g is −∇f: one ascends)" : ""}`;
      const fitted = fitCanvas(canvas);
      const plane = dim > 1 ? (ctx.data.field?.plane ?? [0, 1]) : null;
      const parts = anatomyParts(step, inks(el), ctx);
      if (fitted) (plane ? anatomyArrows : anatomyBars)(fitted, parts, plane, inks(el));
      legend.replaceChildren(...parts.map((part) => anatomyKey(part)));
      rule.replaceChildren(...anatomyRule(a.rule, step, Math.min(Number(which.value || 0), dim - 1), variables));
      return undefined;
    },
    probe: () => ({ rule: [...rule.querySelectorAll(".dl-filled")].map((e) => e.textContent) }),
  };
}

/** The numbers of step k, each a vector: before and after it. */
function anatomyStep(a, k, dim) {
  const at = (name, n, layer = 0) => Array.from(a[name].subarray((layer * a.shapes[name].at(-2) + n) * dim, (layer * a.shapes[name].at(-2) + n + 1) * dim));
  const before = Object.fromEntries(a.memory_names.map((name, q) => [name, at("memory", k, q)]));
  const after = Object.fromEntries(a.memory_names.map((name, q) => [name, at("memory", k + 1, q)]));
  const corrected = Object.fromEntries(a.corrected_names.map((name, q) => [name, at("corrected", k, q)]));
  const rate = a.rates[k];
  const update = at("updates", k);
  return { k, before, after, corrected, rate, constants: a.constants, g: at("g", k), x: at("x", k), next: at("x", k + 1), update, move: update.map((u) => rate * u) };
}

/** What is drawn: vectors with a colour, and square roots of second moments as squares. */
function anatomyParts(step, colours, ctx) {
  const parts = [{ name: "−g, downhill", vector: step.g.map((c) => -c), colour: "#0072b2" }];
  for (const [name, value] of Object.entries(step.after)) {
    const hat = step.corrected[`${name}\u0302`.normalize("NFC")];
    if (name === "m") parts.push({ name: `−${hat ? "m̂" : "m"}, ${ANATOMY_MEMORY.m}`, vector: (hat ?? value).map((c) => -c), colour: "#009e73" });
    else if (name === "s") parts.push({ name: `√${hat ? "ŝ" : "s"}, ${ANATOMY_MEMORY.s}`, square: (hat ?? value).map((c) => Math.sqrt(Math.max(c, 0))), colour: "#cc79a7" });
    else if (name === "u") parts.push({ name: `u, ${ANATOMY_MEMORY.u}`, square: value, colour: "#cc79a7" });
  }
  parts.push({ name: "update, Δx = η·u", vector: step.move, colour: "#d55e00", own: true });
  return parts;
}

function anatomyKey(part) {
  const swatch = make("span", { class: "dl-swatch" });
  swatch.style.background = part.colour;
  return make("span", { class: "dl-check" }, swatch, part.name);
}

/** Arrows from the middle, gradient-like ones to one scale, the update to its own; squares for second moments. */
function anatomyArrows({ g, width, height }, parts, [a, b], colours) {
  const [X, Y] = [width / 2, height / 2];
  const room = Math.min(width, height) * 0.43;
  const size = (v) => Math.hypot(v[a], v[b]);
  const largest = Math.max(...parts.filter((p) => !p.own).map((p) => size(p.vector ?? p.square)), 1e-300);
  g.strokeStyle = colours.faint;
  g.lineWidth = 1;
  g.beginPath();
  g.moveTo(0, Y);
  g.lineTo(width, Y);
  g.moveTo(X, 0);
  g.lineTo(X, height);
  g.stroke();
  for (const part of parts) {
    const v = part.vector ?? part.square;
    const scale = room / (part.own ? Math.max(size(v), 1e-300) / 0.62 : largest);
    const [dx, dy] = [v[a] * scale, -v[b] * scale];
    if (part.square) {
      g.fillStyle = `${part.colour}44`;
      g.strokeStyle = part.colour;
      g.fillRect(X, Y, dx, dy);
      g.strokeRect(X, Y, dx, dy);
      continue;
    }
    const length = Math.hypot(dx, dy);
    if (!(length > 1)) continue;
    const [ux, uy] = [dx / length, dy / length];
    g.strokeStyle = g.fillStyle = part.colour;
    g.lineWidth = part.own ? 4 : 2.5;
    g.beginPath();
    g.moveTo(X, Y);
    g.lineTo(X + dx - 6 * ux, Y + dy - 6 * uy);
    g.stroke();
    g.beginPath();
    g.moveTo(X + dx, Y + dy);
    g.lineTo(X + dx - 9 * ux + 5 * uy, Y + dy - 9 * uy - 5 * ux);
    g.lineTo(X + dx - 9 * ux - 5 * uy, Y + dy - 9 * uy + 5 * ux);
    g.fill();
  }
}

/** One variable: bars to the left and right, the update to its own scale. */
function anatomyBars({ g, width, height }, parts, _, colours) {
  const middle = width / 2;
  const tall = Math.min(30, height / parts.length - 6);
  const largest = Math.max(...parts.filter((p) => !p.own).map((p) => Math.abs((p.vector ?? p.square)[0])), 1e-300);
  g.strokeStyle = colours.muted;
  g.lineWidth = 1;
  g.beginPath();
  g.moveTo(middle, 0);
  g.lineTo(middle, height);
  g.stroke();
  g.font = "11px system-ui, sans-serif";
  g.textBaseline = "middle";
  parts.forEach((part, i) => {
    const value = (part.vector ?? part.square)[0];
    const w = (value / (part.own ? Math.max(Math.abs(value), 1e-300) / 0.6 : largest)) * width * 0.34;
    const top = 6 + i * (tall + 6);
    g.fillStyle = part.colour;
    g.fillRect(middle, top, w, tall);
    g.fillStyle = colours.ink;
    g.textAlign = w < 0 ? "right" : "left";
    g.fillText(shown(value), middle + w + (w < 0 ? -4 : 4), top + tall / 2);
  });
}

/** The rule, a statement a line, each followed by itself with the numbers of coordinate c. */
function anatomyRule(rule, step, c, variables) {
  const now = { g: step.g[c], x: step.x[c], η: step.rate, ...step.constants };
  for (const [name, value] of Object.entries(step.before)) now[name] = value[c];
  for (const [name, value] of Object.entries(step.corrected)) now[name] = value[c];
  const results = { x: step.next[c], d: -step.update[c] };
  for (const [name, value] of Object.entries(step.after)) results[name] = value[c];
  return rule.split(";").map((part) => {
    const statement = part.trim();
    const line = make("div", { class: "dl-statement" }, make("div", { text: statement }));
    const match = /^(\S+) (←|=) (.+)$/u.exec(statement);
    if (!match || !(match[1] in results)) return line;
    const [, name, arrow, right] = match;
    const result = results[name];
    line.append(make("div", { class: "dl-filled", text: `${name === "x" ? (variables[c] ?? "x") : name} ${arrow} ${anatomyFill(right, now)} = ${shown(result, 6)}` }));
    now[name] = result;
    return line;
  });
}

/** Put numbers in place of letters; factors side by side get a dot between them. */
function anatomyFill(text, numbers) {
  const names = Object.keys(numbers).toSorted((a, b) => b.length - a.length);
  const letters = new RegExp(`(?<![\\p{L}])(${names.join("|")})(?![\\p{L}\\p{M}₀-₉])`, "gu");
  const filled = text.replace(letters, (name, _, at) => {
    const value = shown(numbers[name], 5);
    const bare = !value.startsWith("−") && !value.includes("e") && text[at + name.length] !== "²";
    return bare ? value : `(${value})`;
  });
  return filled.replace(/(?<=[\d)])\s+(?=[\d(√|])/gu, "·");
}
