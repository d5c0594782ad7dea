// What all pictures share: canvases that fit, nice ticks, marks, and dropping, dragging and deleting starts.
import { make, seededNumbers, shown } from "./core.js";

const AXES_MOST_STARTS = 32;

/** Fit a canvas to its place on the page; return its context in CSS pixels, or null while it has no size. */
export function fitCanvas(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas;
  if (width < 20 || height < 20) return null;
  const ratio = Math.min(window.devicePixelRatio || 1, 2);
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const g = canvas.getContext("2d");
  g.setTransform(ratio, 0, 0, ratio, 0, 0);
  g.clearRect(0, 0, width, height);
  return { g, width, height, ratio };
}

/** Return the page's colours, as CSS has them for light or dark. */
export function inks(element) {
  const style = getComputedStyle(element);
  const get = (name) => style.getPropertyValue(name).trim();
  return { ink: get("--ink"), muted: get("--muted"), faint: get("--faint"), paper: get("--paper"), accent: get("--accent") };
}

/** Return round numbers between low and high, about `count` of them. */
export function niceTicks(low, high, count = 5) {
  const rough = (high - low) / count;
  if (!(rough > 0) || !Number.isFinite(rough)) return [];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough * 0.999) ?? 10 * power;
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) ticks.push(Number((i * step).toPrecision(12)));
  return ticks;
}

/** Draw a frame with ticks: box {left, top, width, height}, x and y {low, high, name}; y may be log10 already. */
export function drawFrame(g, box, x, y, colours, { log = false, grid = false, ticks = [5, 4] } = {}) {
  g.font = "11px system-ui, sans-serif";
  g.lineWidth = 1;
  g.strokeStyle = colours.faint;
  g.fillStyle = colours.muted;
  const X = (v) => box.left + ((v - x.low) / (x.high - x.low)) * box.width;
  const Y = (v) => box.top + box.height - ((v - y.low) / (y.high - y.low)) * box.height;
  g.textAlign = "center";
  g.textBaseline = "top";
  for (const tick of niceTicks(x.low, x.high, ticks[0])) {
    g.beginPath();
    g.moveTo(X(tick), box.top + (grid ? 0 : box.height));
    g.lineTo(X(tick), box.top + box.height + 4);
    g.stroke();
    g.fillText(shown(tick), X(tick), box.top + box.height + 6);
  }
  g.textAlign = "right";
  g.textBaseline = "middle";
  const rows = log ? niceTicks(y.low, y.high, ticks[1]).filter(Number.isInteger) : niceTicks(y.low, y.high, ticks[1]);
  for (const tick of rows) {
    g.beginPath();
    g.moveTo(box.left - 4, Y(tick));
    g.lineTo(box.left + (grid ? box.width : 0), Y(tick));
    g.stroke();
    g.fillText(log ? shown(10 ** tick, 2) : shown(tick), box.left - 6, Y(tick));
  }
  g.strokeRect(box.left, box.top, box.width, box.height);
  g.fillStyle = colours.ink;
  if (x.name) {
    g.textAlign = "right";
    g.textBaseline = "bottom";
    g.fillText(x.name, box.left + box.width - 4, box.top + box.height - 3);
  }
  if (y.name) {
    g.textAlign = "left";
    g.textBaseline = "top";
    g.fillText(y.name, box.left + 5, box.top + 4);
  }
  return { X, Y };
}

const AXES_SHAPES = {
  o: (g, r) => g.arc(0, 0, r * 0.8, 0, 7),
  s: (g, r) => g.rect(-r * 0.75, -r * 0.75, r * 1.5, r * 1.5),
  D: (g, r) => axesPolygon(g, r, 4, 0),
  d: (g, r) => axesPolygon(g, r * 0.8, 4, 0),
  "^": (g, r) => axesPolygon(g, r, 3, 0),
  v: (g, r) => axesPolygon(g, r, 3, Math.PI),
  ">": (g, r) => axesPolygon(g, r, 3, Math.PI / 2),
  "<": (g, r) => axesPolygon(g, r, 3, -Math.PI / 2),
  "*": (g, r) => axesStar(g, r, 5),
  X: (g, r) => axesCross(g, r, Math.PI / 4),
  P: (g, r) => axesCross(g, r, 0),
  x: (g, r) => axesCross(g, r * 0.8, Math.PI / 4),
};

function axesPolygon(g, r, corners, turn) {
  for (let i = 0; i < corners; i++) {
    const a = turn - Math.PI / 2 + (2 * Math.PI * i) / corners;
    g[i ? "lineTo" : "moveTo"](r * Math.cos(a), r * Math.sin(a));
  }
  g.closePath();
}

function axesStar(g, r, points) {
  for (let i = 0; i < 2 * points; i++) {
    const a = -Math.PI / 2 + (Math.PI * i) / points;
    const length = i % 2 ? r * 0.45 : r * 1.15;
    g[i ? "lineTo" : "moveTo"](length * Math.cos(a), length * Math.sin(a));
  }
  g.closePath();
}

function axesCross(g, r, turn) {
  const w = r * 0.33;
  const corners = [[-w, -r], [w, -r], [w, -w], [r, -w], [r, w], [w, w], [w, r], [-w, r], [-w, w], [-r, w], [-r, -w], [-w, -w]];
  const [c, s] = [Math.cos(turn), Math.sin(turn)];
  corners.forEach(([x, y], i) => g[i ? "lineTo" : "moveTo"](c * x - s * y, s * x + c * y));
  g.closePath();
}

/** Draw a mark, named as matplotlib's: what tells outcomes apart besides colour. */
export function drawMark(g, shape, x, y, size, fill, edge = "#000000") {
  g.save();
  g.translate(x, y);
  g.beginPath();
  (AXES_SHAPES[shape] ?? AXES_SHAPES.o)(g, size);
  g.fillStyle = fill;
  g.strokeStyle = edge;
  g.lineWidth = 1;
  g.fill();
  g.stroke();
  g.restore();
}

/** Which mark and colour a kind of stationary point has: those of the outcome of that name. */
export function kindMark(ctx, kind) {
  return { shape: ctx.data.hello.colours.marks[kind] ?? "D", colour: ctx.colours.outcome(kind) };
}

/** Return coordinate c of path (o, s) at time k, which may lie between two steps. */
export function pathAt(run, o, s, c, k) {
  const [, starts, steps, dim] = run.shapes.points;
  const base = (o * starts + s) * steps;
  const low = Math.min(Math.floor(k), steps - 1);
  const high = Math.min(low + 1, steps - 1);
  const a = run.points[(base + low) * dim + c];
  const b = run.points[(base + high) * dim + c];
  return k === low || !Number.isFinite(b) ? a : a + (b - a) * (k - low);
}

/** Return entry k of path (o, s) in an array (optimizer, start, step). */
export function stepEntry(run, name, o, s, k) {
  const [, starts, steps] = run.shapes[name];
  return run[name][(o * starts + s) * steps + Math.min(Math.max(Math.floor(k), 0), steps - 1)];
}

/** Make what all pictures do with starts: every change is one undo entry, a drag is one too. */
export function makeStarts(ctx) {
  const box = () => ctx.data.formula?.domain;
  // Six digits: a start that one can read, type and copy.
  const tidy = (point) => point.map((c) => Number(c.toPrecision(6)));

  /** Complete a point of the plane by the other coordinates of the point it goes through. */
  function whole(place, plane) {
    const middle = ctx.state.at ?? box().map(([low, high]) => (low + high) / 2);
    return middle.map((c, i) => (plane.includes(i) ? place[plane.indexOf(i)] : c));
  }

  return {
    whole,
    add(point) {
      const { starts, chosen } = ctx.state;
      if (starts.length >= AXES_MOST_STARTS) return ctx.say(`At most ${AXES_MOST_STARTS} starts.`);
      ctx.set({ starts: [...starts, tidy(point)], chosen: [chosen[0], starts.length] });
      return ctx.say(`Start ${starts.length + 1} at ${point.map((c) => shown(c)).join(", ")}.`);
    },
    move(i, point, first) {
      ctx.set({ starts: ctx.state.starts.map((old, j) => (j === i ? tidy(point) : old)) }, { undo: first });
    },
    remove(i) {
      const { starts, chosen } = ctx.state;
      if (starts.length < 2) return ctx.say("The last start stays.");
      ctx.set({ starts: starts.filter((_, j) => j !== i), chosen: [chosen[0], Math.max(0, chosen[1] - (chosen[1] >= i ? 1 : 0))] });
      return ctx.say(`Start ${i + 1} deleted.`);
    },
    scatter(point, plane) {
      const { starts, seed } = ctx.state;
      const random = seededNumbers(seed + 7919 * starts.length);
      const room = Math.min(8, AXES_MOST_STARTS - starts.length);
      const more = Array.from({ length: room }, () => {
        const [r, a] = [Math.sqrt(-2 * Math.log(1 - random())), 2 * Math.PI * random()];
        const shift = [Math.cos(a), Math.sin(a)];
        return tidy(point.map((c, i) => c + (plane.includes(i) ? 0.04 * (box()[i][1] - box()[i][0]) * r * shift[plane.indexOf(i)] : 0)));
      });
      if (!room) return ctx.say(`At most ${AXES_MOST_STARTS} starts.`);
      ctx.set({ starts: [...starts, ...more] });
      return ctx.say(`${room} starts scattered.`);
    },
    /** Act on a key of a picture: arrows move the chosen start, Enter drops one, Delete takes it away. */
    key(event, plane) {
      const i = ctx.state.chosen[1];
      const start = ctx.state.starts[i];
      const ways = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowDown: [1, -1], ArrowUp: [1, 1] };
      if (event.ctrlKey || event.metaKey || event.altKey || !box()) return;
      if (event.key in ways && start && ways[event.key][0] < plane.length) {
        const [axis, sign] = ways[event.key];
        const c = plane[axis];
        const step = (event.shiftKey ? 0.001 : 0.01) * (box()[c][1] - box()[c][0]);
        this.move(i, start.map((v, j) => (j === c ? v + sign * step : v)), !event.repeat);
      } else if (event.key === "Enter") this.add(whole(plane.map((c) => (box()[c][0] + box()[c][1]) / 2), plane));
      else if (event.key === "Delete" || event.key === "Backspace") this.remove(i);
      else return;
      event.preventDefault();
      event.stopPropagation();
    },
  };
}

/** Make a small note beside the pointer, for what it points at. */
export function makeTip(parent) {
  const tip = make("div", { class: "dl-tip", hidden: true });
  parent.append(tip);
  return {
    show(x, y, lines) {
      tip.hidden = false;
      tip.replaceChildren(...lines.map((line) => make("div", { text: line })));
      tip.style.left = `${Math.max(0, Math.min(x + 12, parent.clientWidth - tip.offsetWidth - 4))}px`;
      tip.style.top = `${Math.max(0, Math.min(y + 12, parent.clientHeight - tip.offsetHeight - 4))}px`;
    },
    hide: () => (tip.hidden = true),
  };
}

/** Say in words what an eigenvalue list and a kind are. */
export function pointLines(p) {
  const lines = [`${p.kind}${p.on_boundary ? " on the box's edge" : ""}: f = ${shown(p.value, 6)}`, `at ${p.point.map((c) => shown(c, 6)).join(", ")}`];
  if (p.eigenvalues?.length) lines.push(`eigenvalues ${p.eigenvalues.map((v) => shown(v)).join(", ")}`);
  if (p.share !== undefined) lines.push(`share ${shown(100 * p.share, 3)} %`);
  if (p.certified) lines.push("certified");
  return lines;
}
