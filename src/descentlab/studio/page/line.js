// One variable: the curve with balls on it and the tangent at one, and the derivative below.
import { make, shown } from "./core.js";
import { fitCanvas, inks, drawFrame, drawMark, kindMark, pathAt, stepEntry, makeStarts, makeTip, pointLines } from "./axes.js";
import { mapBall, mapRing, mapLabel } from "./paint.js";
import { mapFound } from "./map.js";

const LINE_NEAR = 12;

/** Make the view of a function of one variable. A click drops a start at that x, a drag moves it. */
export function makeLine(ctx) {
  const canvas = make("canvas", { tabIndex: 0, role: "application", "aria-label": "Curve" });
  const el = make("div", { class: "dl-picture dl-line-view" }, canvas);
  const tip = makeTip(el);
  const starts = makeStarts(ctx);
  let frames = null;
  let hover = null;
  let drawn = [];

  const field = () => (ctx.data.field?.dim === 1 ? ctx.data.field : null);

  function draw() {
    const now = [ctx.state, ctx.data.field, ctx.data.run, ctx.data.verdicts, ctx.data.points, ctx.data.survey, ctx.highlight, hover, ctx.dark, canvas.clientWidth, canvas.clientHeight];
    if (el.hidden || !field() || now.every((thing, i) => thing === drawn[i])) return;
    const fitted = fitCanvas(canvas);
    if (!fitted) return;
    drawn = now;
    const f = field();
    const { g } = fitted;
    const colours = inks(el);
    const upper = Math.round((fitted.height - 60) * 0.62);
    const box = { left: 56, top: 8, width: fitted.width - 72, height: upper };
    const below = { left: 56, top: upper + 34, width: box.width, height: fitted.height - upper - 60 };
    const x = { low: f.box[0][0], high: f.box[0][1] };
    const value = { low: f.range[0], high: f.range[1], name: `f(${f.name})` };
    const slope = { low: f.slope_range[0], high: f.slope_range[1], name: `df/d${f.name}` };
    frames = { box, below, x, upper: drawFrame(g, box, x, value, colours, { grid: true }), lower: drawFrame(g, below, { ...x, name: f.name }, slope, colours, { grid: true, ticks: [5, 3] }) };
    lineCurve(g, box, frames.upper, f.x, f.values, colours.ink);
    lineSigns(g, below, frames.lower, colours);
    lineCurve(g, below, frames.lower, f.slope_x, f.slopes, colours.ink);
    lineWithin(g, box, () => drawFound(g, colours));
    drawPaths(g, colours);
    drawStarts(g, colours);
    const text = `f and its derivative over ${f.name} from ${shown(x.low)} to ${shown(x.high)}; ${ctx.state.starts.length} starts. Arrows move the chosen start, Enter drops one, Delete takes it away.`;
    if (canvas.getAttribute("aria-label") !== text) canvas.setAttribute("aria-label", text);
  }

  function drawFound(g, colours) {
    for (const p of mapFound(ctx)) {
      const { shape, colour } = kindMark(ctx, p.kind);
      const [X, Y] = [frames.upper.X(p.point[0]), frames.upper.Y(p.value)];
      if (p.share !== undefined) {
        g.fillStyle = "rgb(0 114 178 / 25%)";
        g.fillRect(X - 9, frames.box.top + frames.box.height * (1 - p.share), 18, frames.box.height * p.share);
        mapLabel(g, `${shown(100 * p.share, 3)} %`, X, Y + 18, colours);
      }
      drawMark(g, shape, X, Y, 6, colour);
      if (p.certified) mapRing(g, X, Y, 9, colours.muted, 1.5);
    }
    if (ctx.highlight) mapRing(g, frames.upper.X(ctx.highlight[0]), frames.upper.Y(lineValue(field(), ctx.highlight[0])), 14, colours.accent, 3);
  }

  function drawPaths(g, colours) {
    const { run } = ctx.data;
    if (!run || run.shapes.points[3] !== 1) return;
    const [optimizers, count] = run.shapes.points;
    const { k, chosen } = ctx.state;
    for (let o = optimizers - 1; o >= 0; o--) {
      for (let s = count - 1; s >= 0; s--) {
        const colour = ctx.colours.optimizer(o);
        const taken = run.taken[o * count + s];
        lineWithin(g, frames.box, () => lineTrail(g, frames.upper, run, "values", o, s, k, taken, colour));
        lineWithin(g, frames.below, () => lineTrail(g, frames.lower, run, "gradients", o, s, k, taken, colour));
      }
    }
    for (let o = optimizers - 1; o >= 0; o--) {
      for (let s = count - 1; s >= 0; s--) {
        const at = pathAt(run, o, s, 0, k);
        const [X, Y] = [frames.upper.X(at), frames.upper.Y(lineValue(field(), at))];
        const isChosen = o === chosen[0] && s === chosen[1];
        if (isChosen) lineTangent(g, frames, at, lineValue(field(), at), stepEntry(run, "gradients", o, s, k), ctx, colours);
        lineWithin(g, frames.box, () => {
          if (k >= run.K) drawMark(g, ctx.data.hello.colours.marks[run.verdicts[o][s].outcome] ?? "o", X, Y, isChosen ? 9 : 7, ctx.colours.optimizer(o), "#fff");
          else mapBall(g, X, Y, isChosen ? 7 : 5, ctx.colours.optimizer(o));
        });
        lineWithin(g, frames.below, () => mapBall(g, X, frames.lower.Y(stepEntry(run, "gradients", o, s, k)), isChosen ? 5 : 3.5, ctx.colours.optimizer(o)));
      }
    }
  }

  function drawStarts(g, colours) {
    ctx.state.starts.forEach((start, s) => {
      const chosen = s === ctx.state.chosen[1];
      const X = frames.upper.X(start[0]);
      mapRing(g, X, frames.upper.Y(lineValue(field(), start[0])), chosen ? 9 : 7, chosen ? colours.accent : colours.muted, 2);
      drawMark(g, "^", X, frames.box.top + frames.box.height + 6, chosen ? 7 : 5, chosen ? colours.accent : colours.muted, colours.paper);
    });
  }

  const at = (event) => {
    const bounds = canvas.getBoundingClientRect();
    return [event.clientX - bounds.left, event.clientY - bounds.top];
  };
  const placeOf = ([X]) => Math.min(Math.max(frames.x.low + ((X - frames.box.left) / frames.box.width) * (frames.x.high - frames.x.low), frames.x.low), frames.x.high);
  const startAt = ([X, Y]) =>
    ctx.state.starts.findLastIndex(([v]) => Math.abs(frames.upper.X(v) - X) < LINE_NEAR && (Math.abs(frames.upper.Y(lineValue(field(), v)) - Y) < LINE_NEAR || Math.abs(frames.box.top + frames.box.height + 6 - Y) < LINE_NEAR));
  const inside = ([X]) => frames && X >= frames.box.left && X <= frames.box.left + frames.box.width;

  let drag = null;
  canvas.addEventListener("pointerdown", (event) => {
    const P = at(event);
    if (event.button || !inside(P)) return;
    const s = startAt(P);
    if (s >= 0 && event.altKey) starts.remove(s);
    else if (s >= 0) {
      drag = { s, moved: false };
      tip.hide();
      canvas.setPointerCapture(event.pointerId);
      ctx.set({ chosen: [ctx.state.chosen[0], s] });
      canvas.focus();
      event.preventDefault();
    } else if (event.shiftKey) starts.scatter([placeOf(P)], [0]);
    else starts.add([placeOf(P)]);
  });
  canvas.addEventListener("pointermove", (event) => {
    const P = at(event);
    if (drag) {
      starts.move(drag.s, [placeOf(P)], !drag.moved);
      drag.moved = true;
      return;
    }
    if (!inside(P)) return tip.hide();
    const found = mapFound(ctx).find((p) => Math.hypot(frames.upper.X(p.point[0]) - P[0], frames.upper.Y(p.value) - P[1]) < LINE_NEAR);
    const x = placeOf(P);
    const slope = lineSlope(field(), x);
    const way = slope > 0 ? "f rises: step left" : slope < 0 ? "f falls: step right" : "level: no step";
    tip.show(...P, found ? pointLines(found) : [`${field().name} = ${shown(x)}`, `f = ${shown(lineValue(field(), x))}`, `slope ${shown(slope)} – ${way}`]);
    canvas.style.cursor = startAt(P) >= 0 ? "grab" : "crosshair";
    return undefined;
  });
  const release = () => (drag = null);
  canvas.addEventListener("pointerup", release);
  canvas.addEventListener("pointercancel", release);
  canvas.addEventListener("pointerleave", () => tip.hide());
  canvas.addEventListener("touchstart", (event) => frames && startAt(at(event.touches[0])) >= 0 && event.preventDefault(), { passive: false });
  canvas.addEventListener("keydown", (event) => starts.key(event, [0]));

  return {
    el,
    draw,
    picture: () => canvas,
    /** Where a point of the curve is on the page. */
    place(x) {
      const bounds = canvas.getBoundingClientRect();
      return [bounds.left + frames.upper.X(x), bounds.top + frames.upper.Y(lineValue(field(), x))];
    },
    probe: () => ({ paths: ctx.data.run ? ctx.data.run.shapes.points[0] * ctx.data.run.shapes.points[1] : 0, found: mapFound(ctx).length }),
  };
}

function lineWithin(g, box, paint) {
  g.save();
  g.beginPath();
  g.rect(box.left, box.top, box.width, box.height);
  g.clip();
  paint();
  g.restore();
}

function lineCurve(g, box, { X, Y }, x, y, colour) {
  lineWithin(g, box, () => {
    g.beginPath();
    let open = false;
    for (let n = 0; n < x.length; n++) {
      if (Number.isFinite(y[n])) g[open ? "lineTo" : "moveTo"](X(x[n]), Math.min(Math.max(Y(y[n]), -5e4), 5e4));
      open = Number.isFinite(y[n]);
    }
    g.strokeStyle = colour;
    g.lineWidth = 1.6;
    g.stroke();
  });
}

/** Say where the derivative sends one: above zero to the left, below to the right. */
function lineSigns(g, box, { Y }, colours) {
  const zero = Math.min(Math.max(Y(0), box.top), box.top + box.height);
  g.fillStyle = "rgb(213 94 0 / 10%)";
  g.fillRect(box.left, box.top, box.width, zero - box.top);
  g.fillStyle = "rgb(0 114 178 / 10%)";
  g.fillRect(box.left, zero, box.width, box.top + box.height - zero);
  g.strokeStyle = colours.muted;
  g.lineWidth = 1.2;
  g.beginPath();
  g.moveTo(box.left, zero);
  g.lineTo(box.left + box.width, zero);
  g.stroke();
  g.font = "11px system-ui, sans-serif";
  g.fillStyle = colours.muted;
  g.textAlign = "right";
  g.textBaseline = "top";
  if (zero - box.top > 18) g.fillText("positive: descent goes left ←", box.left + box.width - 6, box.top + 4);
  g.textBaseline = "bottom";
  if (box.top + box.height - zero > 34) g.fillText("negative: descent goes right →", box.left + box.width - 18, box.top + box.height - 4);
}

/** The points of a path up to now, joined along the steps. */
function lineTrail(g, { X, Y }, run, what, o, s, k, taken, colour) {
  g.beginPath();
  const last = Math.min(Math.floor(k), taken);
  for (let n = Math.max(0, last - 400); n <= last; n++) {
    g[n === Math.max(0, last - 400) ? "moveTo" : "lineTo"](X(pathAt(run, o, s, 0, n)), Math.min(Math.max(Y(stepEntry(run, what, o, s, n)), -5e4), 5e4));
  }
  g.globalAlpha = 0.7;
  g.strokeStyle = colour;
  g.lineWidth = 1.2;
  g.stroke();
  g.globalAlpha = 1;
}

function lineTangent(g, { box, upper, x }, at, value, slope, ctx, colours) {
  if (!Number.isFinite(at + value + slope)) return;
  const half = (x.high - x.low) / 7;
  lineWithin(g, box, () => {
    g.beginPath();
    g.moveTo(upper.X(at - half), upper.Y(value - half * slope));
    g.lineTo(upper.X(at + half), upper.Y(value + half * slope));
    g.strokeStyle = colours.accent;
    g.lineWidth = 2;
    g.setLineDash([6, 4]);
    g.stroke();
    g.setLineDash([]);
    mapLabel(g, `slope ${shown(slope)}`, Math.min(Math.max(upper.X(at), box.left + 50), box.left + box.width - 50), Math.max(box.top + 12, upper.Y(value) - 20), colours);
  });
}

/** The sampled curve at x, between samples. */
function lineValue(f, x) {
  return lineBetween(f.x, f.values, x);
}

function lineSlope(f, x) {
  return lineBetween(f.slope_x, f.slopes, x);
}

function lineBetween(xs, ys, x) {
  let [low, high] = [0, xs.length - 1];
  if (!(x >= xs[low] && x <= xs[high])) return x < xs[low] ? ys[low] : ys[high];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (xs[middle] <= x) low = middle;
    else high = middle;
  }
  return ys[low] + ((ys[high] - ys[low]) * (x - xs[low])) / (xs[high] - xs[low] || 1);
}
