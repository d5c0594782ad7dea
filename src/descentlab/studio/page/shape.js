// The surface as numbers: its mesh over the square [−1, 1]², paths on it, where a ray meets it, its frame.
import { shown } from "./core.js";
import { niceTicks } from "./axes.js";
import { glMesh } from "./gl.js";

/** How high the surface is where the plane is 2 wide and 2 deep. */
export const SURFACE_HEIGHT = 1.1;

/** A point of the plane as a place of the square [−1, 1]². */
export function surfacePlace(f, x, y) {
  const unit = (v, [low, high]) => (2 * (v - low)) / (high - low) - 1;
  return [unit(x, f.box[0]), unit(y, f.box[1])];
}

/** The height in space of a value of f, by the scale of the colours. */
export function surfaceZ(f, value) {
  const { scale_values: values, scale_heights: heights } = f;
  if (!(value > values[0])) return (heights[0] - 0.5) * SURFACE_HEIGHT;
  let [low, high] = [0, values.length - 1];
  if (value >= values[high]) return (heights[high] - 0.5) * SURFACE_HEIGHT;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (values[middle] <= value) low = middle;
    else high = middle;
  }
  const t = (value - values[low]) / (values[high] - values[low] || 1);
  return (heights[low] + t * (heights[high] - heights[low]) - 0.5) * SURFACE_HEIGHT;
}

/** The height in space of the surface at a place of the square, between the points of the grid. */
export function surfaceHeight(f, u, v) {
  const [rows, columns] = f.shapes.heights;
  const [x, y] = [Math.min(Math.max((u + 1) / 2, 0), 1) * (columns - 1), Math.min(Math.max((v + 1) / 2, 0), 1) * (rows - 1)];
  const [i, j] = [Math.min(Math.floor(x), columns - 2), Math.min(Math.floor(y), rows - 2)];
  const [s, t] = [x - i, y - j];
  const at = (dj, di) => f.heights[(j + dj) * columns + i + di];
  return ((1 - t) * ((1 - s) * at(0, 0) + s * at(0, 1)) + t * ((1 - s) * at(1, 0) + s * at(1, 1)) - 0.5) * SURFACE_HEIGHT;
}

/** The triangles of the grid, with slopes for the light; none where f is undefined. */
export function surfaceMesh(gl, f) {
  const [rows, columns] = f.shapes.heights;
  const data = new Float32Array(rows * columns * 5);
  const z = (j, i) => f.heights[Math.min(Math.max(j, 0), rows - 1) * columns + Math.min(Math.max(i, 0), columns - 1)];
  const slope = (high, low, width) => (Number.isFinite(high - low) ? ((high - low) * SURFACE_HEIGHT) / width : 0);
  for (let j = 0; j < rows; j++) {
    for (let i = 0; i < columns; i++) {
      const h = z(j, i);
      data.set([(2 * i) / (columns - 1) - 1, (2 * j) / (rows - 1) - 1, (h - 0.5) * SURFACE_HEIGHT, slope(z(j, i + 1), z(j, i - 1), 4 / (columns - 1)), slope(z(j + 1, i), z(j - 1, i), 4 / (rows - 1))], (j * columns + i) * 5);
    }
  }
  const indices = new Uint32Array((rows - 1) * (columns - 1) * 6);
  let n = 0;
  for (let j = 0; j + 1 < rows; j++) {
    for (let i = 0; i + 1 < columns; i++) {
      const [a, b, c, d] = [j * columns + i, j * columns + i + 1, (j + 1) * columns + i, (j + 1) * columns + i + 1];
      if (!Number.isFinite(f.heights[a] + f.heights[b] + f.heights[c] + f.heights[d])) continue;
      indices.set([a, b, d, a, d, c], n);
      n += 6;
    }
  }
  return glMesh(gl, data, [3, 2], indices.subarray(0, n));
}

/** The paths as segments on the surface: both ends with the step they are reached at, and a colour. */
export function surfaceRibbons(gl, run, f, ctx) {
  const [optimizers, starts, steps, dim] = run.shapes.points;
  const [a, b] = f.plane;
  const out = [];
  for (let o = 0; o < optimizers; o++) {
    const hex = ctx.colours.optimizer(o);
    const colour = [1, 3, 5].map((n) => parseInt(hex.slice(n, n + 2), 16) / 255);
    for (let s = 0; s < starts; s++) {
      const paint = [...colour, o === ctx.state.chosen[0] && s === ctx.state.chosen[1] ? 1 : 0.5];
      let last = null;
      for (let k = 0; k <= run.taken[o * starts + s]; k++) {
        const n = (o * starts + s) * steps + k;
        const place = surfacePlace(f, run.points[n * dim + a], run.points[n * dim + b]);
        const z = surfaceZ(f, run.values[n]);
        if (!place.every(Number.isFinite)) break;
        if (last && k < run.taken[o * starts + s] && Math.hypot(place[0] - last.place[0], place[1] - last.place[1]) < 0.008) continue;
        if (last) surfaceSegments(out, f, last, { place, z, k }, paint);
        last = { place, z, k };
      }
    }
  }
  return surfaceCorners(gl, out);
}

/** Twelve numbers a segment → four corners and two triangles each. */
function surfaceCorners(gl, segments) {
  const count = segments.length / 12;
  const data = new Float32Array(count * 52);
  const indices = new Uint32Array(count * 6);
  for (let n = 0; n < count; n++) {
    const segment = segments.slice(12 * n, 12 * n + 12);
    for (let corner = 0; corner < 4; corner++) data.set([...segment, corner], 52 * n + 13 * corner);
    indices.set([0, 1, 2, 2, 1, 3].map((corner) => 4 * n + corner), 6 * n);
  }
  return glMesh(gl, data, [3, 1, 3, 1, 4, 1], indices);
}

/** One step as short pieces that follow the surface; pieces outside the square are left out. */
function surfaceSegments(out, f, from, to, paint) {
  const pieces = Math.min(Math.max(Math.ceil(Math.hypot(to.place[0] - from.place[0], to.place[1] - from.place[1]) / 0.045), 1), 120);
  const at = (t) => {
    const [u, v] = [0, 1].map((i) => from.place[i] + t * (to.place[i] - from.place[i]));
    const [start, end] = [from, to].map(({ place, z }) => z - surfaceHeight(f, ...place));
    const above = surfaceHeight(f, u, v) + start + t * (end - start);
    return [u, v, Number.isFinite(above) ? above : from.z + t * (to.z - from.z), from.k + t * (to.k - from.k)];
  };
  const inside = (p) => Math.abs(p[0]) <= 1 && Math.abs(p[1]) <= 1;
  let before = at(0);
  for (let n = 1; n <= pieces; n++) {
    const after = at(n / pieces);
    if (inside(before) && inside(after)) out.push(...before, ...after, ...paint);
    before = after;
  }
}

/** A palette of 256 colours as RGBA bytes. */
export function surfaceRgba(rgb) {
  const out = new Uint8Array(256 * 4);
  for (let n = 0; n < 256; n++) out.set([rgb[3 * n], rgb[3 * n + 1], rgb[3 * n + 2], 255], 4 * n);
  return out;
}

/** The point of the plane seen at a place of the page, or null: the ray is followed down to the surface. */
export function surfacePick(f, view, event, canvas) {
  const bounds = canvas.getBoundingClientRect();
  const [x, y] = [(2 * (event.clientX - bounds.left)) / bounds.width - 1, 1 - (2 * (event.clientY - bounds.top)) / bounds.height];
  const ray = surfaceRay(view.matrix, x, y);
  if (!ray) return null;
  for (let n = 0; n <= 800; n++) {
    const t = 1 + n * 0.01;
    const p = [0, 1, 2].map((i) => view.eye[i] + t * ray[i]);
    if (Math.abs(p[0]) <= 1 && Math.abs(p[1]) <= 1 && p[2] <= surfaceHeight(f, p[0], p[1])) return p.slice(0, 2).map((u, i) => f.box[i][0] + ((u + 1) / 2) * (f.box[i][1] - f.box[i][0]));
  }
  return null;
}

/** The direction, of length one, seen at (x, y) of the screen: rows 0, 1, 3 of the matrix say where it lies. */
function surfaceRay(m, x, y) {
  const row = (r, s, sign) => [0, 1, 2].map((i) => m[4 * i + r] - sign * m[4 * i + s]);
  const [p, q] = [row(0, 3, x), row(1, 3, y)];
  const way = [p[1] * q[2] - p[2] * q[1], p[2] * q[0] - p[0] * q[2], p[0] * q[1] - p[1] * q[0]];
  const forward = m[3] * way[0] + m[7] * way[1] + m[11] * way[2] > 0 ? 1 : -1;
  const length = Math.hypot(...way);
  return length > 0 ? way.map((c) => (forward * c) / length) : null;
}

/** The frame below the surface, with ticks and names at the two edges nearest to the eye. */
export function surfaceFrame(g, f, screen, camera, colours) {
  const bottom = -0.5 * SURFACE_HEIGHT - 0.02;
  const corners = [[-1, -1], [1, -1], [1, 1], [-1, 1]].map(([u, v]) => screen([u, v, bottom]));
  g.strokeStyle = colours.faint;
  g.lineWidth = 1;
  g.beginPath();
  corners.forEach(([X, Y], i) => g[i ? "lineTo" : "moveTo"](X, Y));
  g.closePath();
  g.stroke();
  g.font = "11px system-ui, sans-serif";
  g.textAlign = "center";
  g.textBaseline = "middle";
  const front = Math.cos(camera.azimuth) > 0 ? -1 : 1;
  const side = Math.sin(camera.azimuth) > 0 ? 1 : -1;
  const label = (u, v, text, ink) => {
    const [X, Y] = screen([u, v, bottom]);
    g.fillStyle = ink;
    g.fillText(text, X, Y);
  };
  for (const tick of niceTicks(...f.box[0], 4)) label(surfacePlace(f, tick, 0)[0], front * 1.13, shown(tick), colours.muted);
  for (const tick of niceTicks(...f.box[1], 4)) label(side * 1.13, surfacePlace(f, 0, tick)[1], shown(tick), colours.muted);
  label(0.3, front * 1.28, f.names[0], colours.ink);
  label(side * 1.28, 0.3, f.names[1], colours.ink);
}
