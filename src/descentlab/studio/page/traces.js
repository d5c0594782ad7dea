// Each step in small plots under one time cursor: value, gradient, learning rate, position.
import { make, shown } from "./core.js";
import { fitCanvas, inks, drawFrame, pathAt, stepEntry } from "./axes.js";

const TRACES_EDGES = { left: 50, right: 12, top: 20, bottom: 18 };

/** Make the plots of every path against the step; a click or drag in one sets the time. */
export function makeTraces(ctx) {
  const row = make("div", { class: "dl-traces" });
  const now = make("p", { class: "dl-now" });
  const el = make("div", { class: "dl-traces-view" }, now, row);
  let plots = [];
  let made = "";
  let told = "";

  function kinds() {
    const names = ctx.data.formula?.names ?? [];
    return ["f", "‖∇f‖", "η", ...names.slice(0, 4)];
  }

  return {
    el,
    draw() {
      const { run } = ctx.data;
      if (el.hidden || !run) return;
      const wanted = kinds().slice(0, 3 + run.shapes.points[3]);
      if (String(wanted) !== made) {
        made = String(wanted);
        plots = wanted.map((name, i) => tracesPlot(ctx, name, i));
        row.replaceChildren(...plots.map((plot) => plot.el));
      }
      plots.forEach((plot) => plot.draw(run));
      const text = tracesSentence(ctx, run);
      if (text !== told) now.textContent = told = text;
    },
    probe: () => ({ plots: plots.length }),
  };
}

/** The chosen path's numbers at the cursor. */
function tracesSentence(ctx, run) {
  const [o, s] = ctx.state.chosen;
  if (o >= run.shapes.points[0] || s >= run.shapes.points[1]) return "";
  const k = Math.floor(Math.min(ctx.state.k, run.K));
  const names = ctx.data.formula?.names ?? [];
  const position = names.slice(0, 6).map((name, c) => `${name} = ${shown(pathAt(run, o, s, c, k), 6)}`);
  const rate = stepEntry(run, "rates", o, s, k);
  const parts = [`${run.names[o]}, start ${s + 1}, step ${k}:`, position.join(", "), `f = ${shown(stepEntry(run, "values", o, s, k), 6)}`, `‖∇f‖ = ${shown(tracesSlope(run, o, s, k))}`];
  if (Number.isFinite(rate) && k < run.K) parts.push(`η = ${shown(rate)}`);
  return parts.join("  ");
}

function tracesSlope(run, o, s, k) {
  const [, starts, steps, dim] = run.shapes.gradients;
  const n = ((o * starts + s) * steps + k) * dim;
  return Math.hypot(...run.gradients.subarray(n, n + dim));
}

/** The series a plot shows: path (o, s) at step k. */
function tracesSeries(run, index) {
  if (index === 0) return (o, s, k) => stepEntry(run, "values", o, s, k);
  if (index === 1) return (o, s, k) => tracesSlope(run, o, s, k);
  if (index === 2) return (o, s, k) => (k < run.K ? stepEntry(run, "rates", o, s, k) : NaN);
  return (o, s, k) => pathAt(run, o, s, index - 3, k);
}

function tracesPlot(ctx, name, index) {
  const canvas = make("canvas", { role: "img", "aria-label": `${name} at each step` });
  const el = make("div", { class: "dl-trace" }, canvas);
  let cached = null;

  function layer(run, fitted, colours) {
    const key = [run, ctx.state.chosen, ctx.dark, canvas.width, canvas.height];
    if (cached && key.every((thing, i) => thing === cached.key[i])) return cached;
    const { lines, low, high, log } = tracesLines(run, index);
    const picture = make("canvas", { width: canvas.width, height: canvas.height });
    const g = picture.getContext("2d");
    g.setTransform(fitted.ratio, 0, 0, fitted.ratio, 0, 0);
    const box = { left: TRACES_EDGES.left, top: TRACES_EDGES.top, width: fitted.width - TRACES_EDGES.left - TRACES_EDGES.right, height: fitted.height - TRACES_EDGES.top - TRACES_EDGES.bottom };
    const { X, Y } = drawFrame(g, box, { low: 0, high: Math.max(run.K, 1) }, { low, high }, colours, { log, ticks: [Math.min(3, Math.max(1, Math.floor(box.width / 45))), 3] });
    g.textAlign = "left";
    g.textBaseline = "top";
    g.fillStyle = colours.ink;
    g.fillText(index === 0 && log ? "f − lowest" : name, box.left, 4);
    g.save();
    g.beginPath();
    g.rect(box.left, box.top - 1, box.width, box.height + 2);
    g.clip();
    const [o0, s0] = ctx.state.chosen;
    for (const { o, s, at, y } of lines.toSorted((a, b) => (a.o === o0 && a.s === s0) - (b.o === o0 && b.s === s0))) {
      const chosen = o === o0 && s === s0;
      g.beginPath();
      y.forEach((v, n) => g[n ? "lineTo" : "moveTo"](X(at[n]), Y(v)));
      g.strokeStyle = ctx.colours.optimizer(o);
      g.globalAlpha = chosen ? 1 : 0.5;
      g.lineWidth = chosen ? 2.2 : 1;
      g.stroke();
    }
    g.restore();
    cached = { key, picture, box, X };
    return cached;
  }

  function scrub(event) {
    if (!cached || !ctx.data.run) return;
    const t = (event.clientX - canvas.getBoundingClientRect().left - cached.box.left) / cached.box.width;
    ctx.set({ k: Math.round(Math.min(Math.max(t, 0), 1) * ctx.data.run.K) }, { undo: false });
  }
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    scrub(event);
  });
  canvas.addEventListener("pointermove", (event) => event.buttons && scrub(event));

  let drawn = [];
  return {
    el,
    draw(run) {
      const things = [run, ctx.state.chosen, ctx.state.k, ctx.dark, canvas.clientWidth, canvas.clientHeight];
      if (things.every((thing, i) => thing === drawn[i])) return;
      const fitted = fitCanvas(canvas);
      if (!fitted) return;
      drawn = things;
      const colours = inks(el);
      const { picture, box, X } = layer(run, fitted, colours);
      fitted.g.drawImage(picture, 0, 0, fitted.width, fitted.height);
      fitted.g.fillStyle = colours.accent;
      fitted.g.fillRect(X(Math.min(ctx.state.k, run.K)) - 0.75, box.top, 1.5, box.height);
    },
  };
}

/** The lines of one plot, thinned to what can be seen, and the range of y; log10 of what is positive. */
function tracesLines(run, index) {
  const [optimizers, starts] = run.shapes.points;
  const series = tracesSeries(run, index);
  const stride = Math.max(1, Math.floor(run.K / 600));
  let lines = [];
  for (let o = 0; o < optimizers; o++) {
    for (let s = 0; s < starts; s++) {
      const line = { o, s, at: [], y: [] };
      for (let k = 0; k <= run.K; k += stride) {
        const v = series(o, s, k);
        if (!Number.isFinite(v) || Math.abs(v) > 1e100) continue;
        line.at.push(k);
        line.y.push(v);
      }
      lines.push(line);
    }
  }
  const every = lines.flatMap((line) => line.y);
  let [low, high] = tracesRange(every);
  // Gradients and rates fall by factors; values do where most of the fall is in the first few steps.
  const log = index === 1 || (index === 2 && low > 0 && high / low > 20) || (index === 0 && tracesFalls(every, low, high));
  if (log) {
    const floor = index === 0 ? low : 0;
    const least = (high - floor) * 1e-16 || 1e-16;
    lines = lines.map((line) => ({ ...line, y: line.y.map((v) => Math.log10(Math.max(v - floor, least))) }));
    [low, high] = tracesRange(lines.flatMap((line) => line.y));
  }
  const room = (high - low || Math.abs(high) || 1) * 0.06;
  return { lines, low: low - room, high: high + room, log };
}

function tracesRange(values) {
  let [low, high] = [Infinity, -Infinity];
  for (const v of values) {
    if (v < low) low = v;
    if (v > high) high = v;
  }
  return low <= high ? [low, high] : [0, 1];
}

function tracesFalls(values, low, high) {
  if (!(high > low) || values.length < 60) return false;
  const near = values.filter((v) => v - low < 0.02 * (high - low)).length;
  return near > 0.5 * values.length;
}
