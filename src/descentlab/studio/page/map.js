// The plane of two variables from above: heights and contours, or basins; paths, balls, stationary points.
import { make, shown } from "./core.js";
import { mapValue, mapHeat, basinPicture, mapHatch, mapContours, mapBar, mapTracks, mapStroke, mapBall, mapRing, mapLabel, mapDownhill, mapArrow } from "./paint.js";
import { fitCanvas, inks, drawFrame, drawMark, kindMark, pathAt, makeStarts, makeTip, pointLines } from "./axes.js";

const MAP_EDGES = { left: 46, right: 66, top: 8, bottom: 26 };
const MAP_NEAR = 11; // pixels

/** Make the map. A click drops a start, a drag moves it, a shifted click scatters eight, Delete takes it away. */
export function makeMap(ctx) {
  const canvas = make("canvas", { tabIndex: 0, role: "application", "aria-label": "Map" });
  const el = make("div", { class: "dl-picture dl-map" }, canvas);
  const tip = makeTip(el);
  const starts = makeStarts(ctx);
  let base = null; // { key, canvas }: what changes with the field alone
  let tracks = null; // { run, size, paths }: paths in pixels
  let frame = null; // { box, X, Y, x, y } of the last drawing
  let hover = null;
  let drawn = [];

  const field = () => (ctx.data.field?.dim > 1 ? ctx.data.field : null);
  const plane = () => field()?.plane ?? [0, 1];
  const basins = () => {
    const b = ctx.data.basins;
    return ctx.state.show.basins && b && String(b.plane) === String(plane()) ? b : null;
  };

  function draw() {
    const now = [ctx.state, ctx.data.field, ctx.data.run, ctx.data.verdicts, ctx.data.basins, ctx.data.points, ctx.data.survey, ctx.highlight, hover, ctx.dark, canvas.clientWidth, canvas.clientHeight];
    if (el.hidden || now.every((thing, i) => thing === drawn[i])) return;
    const fitted = fitCanvas(canvas);
    if (!fitted) return;
    drawn = now;
    const f = field();
    const colours = inks(el);
    if (!f) {
      fitted.g.fillStyle = colours.muted;
      fitted.g.fillText("sampling f …", 20, 30);
      return;
    }
    const box = { left: MAP_EDGES.left, top: MAP_EDGES.top, width: fitted.width - MAP_EDGES.left - MAP_EDGES.right, height: fitted.height - MAP_EDGES.top - MAP_EDGES.bottom };
    const [x, y] = f.box.map(([low, high], i) => ({ low, high, name: f.names[i] }));
    const { g } = fitted;
    drawBase(fitted, box, f, x, y, colours);
    frame = { box, x, y, ...drawFrame(g, box, x, y, colours) };
    mapBar(g, box, f, basins(), ctx, colours);
    g.save();
    g.beginPath();
    g.rect(box.left, box.top, box.width, box.height);
    g.clip();
    drawFound(g, colours);
    drawPaths(g, colours, `${fitted.width}×${fitted.height}`);
    g.restore();
    drawStarts(g, colours);
    describe(f);
  }

  function drawBase(fitted, box, f, x, y, colours) {
    const b = basins();
    const key = [f, b, ctx.state.show.contours, ctx.dark, canvas.width, canvas.height];
    if (!base || key.some((thing, i) => thing !== base.key[i])) {
      const layer = make("canvas", { width: canvas.width, height: canvas.height });
      const g = layer.getContext("2d");
      g.setTransform(fitted.ratio, 0, 0, fitted.ratio, 0, 0);
      mapHatch(g, box, colours);
      g.imageSmoothingEnabled = !b;
      g.drawImage(b ? basinPicture(b, ctx) : mapHeat(f, ctx.colours.heights), box.left, box.top, box.width, box.height);
      if (ctx.state.show.contours) mapContours(g, box, f, x, y, Boolean(b));
      base = { key, canvas: layer };
    }
    fitted.g.drawImage(base.canvas, 0, 0, fitted.width, fitted.height);
  }

  /** Stationary points, the survey's minima, and what another panel points at. */
  function drawFound(g, colours) {
    const [a, b] = plane();
    for (const p of mapFound(ctx)) {
      const { shape, colour } = kindMark(ctx, p.kind);
      const [X, Y] = [frame.X(p.point[a]), frame.Y(p.point[b])];
      if (p.share !== undefined) {
        g.beginPath();
        g.arc(X, Y, 6 + 22 * Math.sqrt(p.share), 0, 7);
        g.fillStyle = "rgb(255 255 255 / 35%)";
        g.fill();
        g.strokeStyle = "#000";
        g.lineWidth = 1;
        g.stroke();
        mapLabel(g, `${shown(100 * p.share, 3)} %`, X, Y + 14, colours);
      }
      drawMark(g, shape, X, Y, 6, colour);
      if (p.certified) mapRing(g, X, Y, 9, "#fff");
    }
    if (ctx.highlight) mapRing(g, frame.X(ctx.highlight[a]), frame.Y(ctx.highlight[b]), 14, colours.accent, 3);
  }

  function drawPaths(g, colours, size) {
    const { run } = ctx.data;
    if (!run) return;
    if (!tracks || tracks.run !== run || tracks.size !== size || tracks.plane !== String(plane())) tracks = { run, size, plane: String(plane()), paths: mapTracks(run, plane(), frame) };
    const [o0, s0] = ctx.state.chosen;
    const order = tracks.paths.toSorted((p, q) => (p.o === o0 && p.s === s0) - (q.o === o0 && q.s === s0));
    for (const path of order) {
      const chosen = path.o === o0 && path.s === s0;
      const colour = ctx.colours.optimizer(path.o);
      mapStroke(g, path, Infinity, "rgb(255 255 255 / 45%)", chosen ? 3 : 2);
      mapStroke(g, path, Infinity, colour, 1, 0.45);
      mapStroke(g, path, ctx.state.k, "#fff", chosen ? 5 : 3.4);
      mapStroke(g, path, ctx.state.k, colour, chosen ? 3 : 1.8);
    }
    const [a, b] = plane();
    for (const { o, s } of order) {
      const [X, Y] = [frame.X(pathAt(run, o, s, a, ctx.state.k)), frame.Y(pathAt(run, o, s, b, ctx.state.k))];
      if (!Number.isFinite(X + Y)) continue;
      const chosen = o === o0 && s === s0;
      if (ctx.state.k >= run.K) drawMark(g, ctx.data.hello.colours.marks[run.verdicts[o][s].outcome] ?? "o", X, Y, chosen ? 9 : 7, ctx.colours.optimizer(o), "#fff");
      else mapBall(g, X, Y, chosen ? 6.5 : 5, ctx.colours.optimizer(o));
      if (chosen && ctx.state.k < run.taken[o * run.shapes.taken[1] + s]) mapArrow(g, X, Y, mapDownhill(ctx, run, o, s, [a, b], frame), colours);
    }
  }

  function drawStarts(g, colours) {
    const [a, b] = plane();
    ctx.state.starts.forEach((start, s) => {
      if (start.length <= Math.max(a, b)) return;
      const [X, Y] = [frame.X(start[a]), frame.Y(start[b])];
      const chosen = s === ctx.state.chosen[1];
      mapRing(g, X, Y, chosen ? 8 : 6, "#fff", 4);
      mapRing(g, X, Y, chosen ? 8 : 6, chosen ? colours.accent : "#333", 2);
    });
  }

  function describe(f) {
    const found = ctx.data.run?.verdicts.flat().length ?? 0;
    const text = `Map of f over ${f.names.join(" and ")}, ${f.words}; ${ctx.state.starts.length} starts, ${found} descents. Arrows move the chosen start, Enter drops one, Delete takes it away.`;
    if (canvas.getAttribute("aria-label") !== text) canvas.setAttribute("aria-label", text);
  }

  // --- pointer and keyboard ---

  const at = (event) => {
    const bounds = canvas.getBoundingClientRect();
    return [event.clientX - bounds.left, event.clientY - bounds.top];
  };
  const placeOf = ([X, Y]) => [
    frame.x.low + ((X - frame.box.left) / frame.box.width) * (frame.x.high - frame.x.low),
    frame.y.high - ((Y - frame.box.top) / frame.box.height) * (frame.y.high - frame.y.low),
  ];
  const inside = ([X, Y]) => frame && X >= frame.box.left && X <= frame.box.left + frame.box.width && Y >= frame.box.top && Y <= frame.box.top + frame.box.height;
  const near = (P, X, Y) => Math.hypot(P[0] - X, P[1] - Y) < MAP_NEAR;

  function startAt(P) {
    const [a, b] = plane();
    return ctx.state.starts.findLastIndex((p) => near(P, frame.X(p[a]), frame.Y(p[b])));
  }

  function ballAt(P) {
    const { run } = ctx.data;
    const [a, b] = plane();
    return tracks?.paths.find(({ o, s }) => run && near(P, frame.X(pathAt(run, o, s, a, ctx.state.k)), frame.Y(pathAt(run, o, s, b, ctx.state.k))));
  }

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
      event.preventDefault();
      canvas.focus();
    } else {
      const ball = ballAt(P);
      if (ball) ctx.set({ chosen: [ball.o, ball.s] });
      else if (event.shiftKey) starts.scatter(starts.whole(placeOf(P), plane()), plane());
      else starts.add(starts.whole(placeOf(P), plane()));
    }
  });
  canvas.addEventListener("pointermove", (event) => {
    const P = at(event);
    if (drag) {
      const place = placeOf(P);
      const [a, b] = plane();
      const { x, y } = frame;
      const clipped = [Math.min(Math.max(place[0], x.low), x.high), Math.min(Math.max(place[1], y.low), y.high)];
      starts.move(drag.s, ctx.state.starts[drag.s].map((c, i) => (i === a ? clipped[0] : i === b ? clipped[1] : c)), !drag.moved);
      drag.moved = true;
      return;
    }
    if (!inside(P)) return tip.hide();
    const [a, b] = plane();
    const p = mapFound(ctx).find(({ point }) => near(P, frame.X(point[a]), frame.Y(point[b])));
    const place = placeOf(P);
    tip.show(...P, p ? pointLines(p) : [`${frame.x.name} ${shown(place[0])}, ${frame.y.name} ${shown(place[1])}`, `f ≈ ${shown(mapValue(field(), place))}`]);
    canvas.style.cursor = startAt(P) >= 0 ? "grab" : ballAt(P) ? "pointer" : "crosshair";
    return undefined;
  });
  const release = () => (drag = null);
  canvas.addEventListener("pointerup", release);
  canvas.addEventListener("pointercancel", release);
  canvas.addEventListener("pointerleave", () => tip.hide());
  canvas.addEventListener("touchstart", (event) => startAtTouch(event) && event.preventDefault(), { passive: false });
  const startAtTouch = (event) => frame && startAt(at(event.touches[0])) >= 0;
  canvas.addEventListener("keydown", (event) => starts.key(event, plane()));

  return {
    el,
    draw,
    picture: () => canvas,
    /** Where a point of the plane is on the page. */
    place(x, y) {
      const bounds = canvas.getBoundingClientRect();
      return [bounds.left + frame.X(x), bounds.top + frame.Y(y)];
    },
    probe() {
      const { run } = ctx.data;
      const [a, b] = plane();
      const balls = (tracks?.paths ?? []).map(({ o, s }) => this.place(pathAt(run, o, s, a, ctx.state.k), pathAt(run, o, s, b, ctx.state.k)));
      return { drawn: tracks?.run === run, paths: tracks?.paths.length ?? 0, balls, basins: Boolean(basins()), found: mapFound(ctx).length };
    },
  };
}

/** What is marked: stationary points, and the minima of the survey. */
export function mapFound(ctx) {
  const { show } = ctx.state;
  const points = show.points && ctx.data.points ? ctx.data.points.points : [];
  const surveyed = show.survey && ctx.data.survey ? ctx.data.survey.minima.map((m) => ({ ...m, kind: ctx.data.survey.ascent ? "maximum" : "minimum" })) : [];
  return [...points, ...surveyed];
}
