// Painting on canvases: heights, basins, contours, paths, balls and arrows.
import { make, shown } from "./core.js";

/** f at a place, between the points of the grid. */
export function mapValue(f, [x, y]) {
  const [rows, columns] = f.shapes.values;
  const u = ((x - f.box[0][0]) / (f.box[0][1] - f.box[0][0])) * (columns - 1);
  const v = ((y - f.box[1][0]) / (f.box[1][1] - f.box[1][0])) * (rows - 1);
  const [i, j] = [Math.min(Math.max(Math.floor(u), 0), columns - 2), Math.min(Math.max(Math.floor(v), 0), rows - 2)];
  const [s, t] = [u - i, v - j];
  const at = (dj, di) => f.values[(j + dj) * columns + i + di];
  return (1 - t) * ((1 - s) * at(0, 0) + s * at(0, 1)) + t * ((1 - s) * at(1, 0) + s * at(1, 1));
}

export function mapHeat(f, palette) {
  const [rows, columns] = f.shapes.heights;
  return mapImage(rows, columns, (n, out) => {
    const h = f.heights[n];
    if (Number.isNaN(h)) return;
    const c = 3 * Math.round(255 * Math.min(Math.max(h, 0), 1));
    out.set([palette[c], palette[c + 1], palette[c + 2], 255]);
  });
}

/** Paint a picture of a grid whose first row is the lowest; paint(n, rgba) leaves it clear or sets it. */
export function mapImage(rows, columns, paint) {
  const picture = make("canvas", { width: columns, height: rows });
  const g = picture.getContext("2d");
  const image = g.createImageData(columns, rows);
  for (let j = 0; j < rows; j++) {
    for (let i = 0; i < columns; i++) {
      const to = 4 * ((rows - 1 - j) * columns + i);
      paint(j * columns + i, image.data.subarray(to, to + 4));
    }
  }
  g.putImageData(image, 0, 0);
  return picture;
}

const MAP_BASINS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#7f6bbf"];

/** The colour of a minimum's basin: eight that can be told apart, then the same again, paler. */
export function basinColour(i) {
  const hex = MAP_BASINS[i % MAP_BASINS.length];
  const pale = Math.min(Math.floor(i / MAP_BASINS.length) * 0.3, 0.6);
  return [1, 3, 5].map((n) => Math.round(parseInt(hex.slice(n, n + 2), 16) * (1 - pale) + 255 * pale));
}

/** The logarithms of few steps and of many: nearly all starts that arrive take between the two. */
function basinPace(b) {
  const stride = Math.max(1, Math.floor(b.taken.length / 4096));
  const taken = [];
  for (let n = 0; n < b.taken.length; n += stride) if (b.assignment[n] >= 0) taken.push(Math.log1p(b.taken[n]));
  taken.sort((p, q) => p - q);
  return [0.02, 0.98].map((share) => taken[Math.floor(share * (taken.length - 1))] ?? 0);
}

/** Basins as a picture: a colour a minimum, darker for more steps; grey where none is reached. */
export function basinPicture(b, ctx) {
  const [rows, columns] = b.shapes.assignment;
  const colours = b.minima.map((_, i) => basinColour(i));
  const [fast, slow] = basinPace(b);
  const grey = ctx.dark ? 70 : 190;
  return mapImage(rows, columns, (n, out) => {
    const m = b.assignment[n];
    if (m < 0) return void out.set([grey, grey, grey, 255]);
    const light = 1.3 - 0.7 * Math.min(Math.max((Math.log1p(b.taken[n]) - fast) / (slow - fast || 1), 0), 1);
    const [red, green, blue] = colours[m];
    return void out.set([red * light, green * light, blue * light, 255].map((v) => Math.min(255, v)));
  });
}

export function mapHatch(g, box, colours) {
  g.save();
  g.beginPath();
  g.rect(box.left, box.top, box.width, box.height);
  g.clip();
  g.strokeStyle = colours.faint;
  g.beginPath();
  for (let d = -box.height; d < box.width; d += 8) {
    g.moveTo(box.left + d, box.top + box.height);
    g.lineTo(box.left + d + box.height, box.top);
  }
  g.stroke();
  g.restore();
}

export function mapContours(g, box, f, x, y, faint) {
  const X = (v) => box.left + ((v - x.low) / (x.high - x.low)) * box.width;
  const Y = (v) => box.top + box.height - ((v - y.low) / (y.high - y.low)) * box.height;
  g.beginPath();
  for (let m = 0; m + 1 < f.line_starts.length; m++) {
    for (let n = f.line_starts[m]; n < f.line_starts[m + 1]; n++) {
      g[n === f.line_starts[m] ? "moveTo" : "lineTo"](X(f.line_points[2 * n]), Y(f.line_points[2 * n + 1]));
    }
  }
  g.strokeStyle = faint ? "rgb(0 0 0 / 25%)" : "rgb(255 255 255 / 42%)";
  g.lineWidth = 0.8;
  g.stroke();
}

/** The colour bar: heights with the values they stand for, or the legend of the basins. */
export function mapBar(g, box, f, b, ctx, colours) {
  const left = box.left + box.width + 10;
  g.font = "11px system-ui, sans-serif";
  if (b) return;
  const top = box.top + 14;
  const height = box.height - 14;
  for (let n = 0; n < height; n++) {
    const c = 3 * Math.round(255 * (1 - n / (height - 1)));
    g.fillStyle = `rgb(${ctx.colours.heights[c]} ${ctx.colours.heights[c + 1]} ${ctx.colours.heights[c + 2]})`;
    g.fillRect(left, top + n, 10, 1.5);
  }
  g.fillStyle = colours.muted;
  g.textAlign = "left";
  g.textBaseline = "middle";
  for (let i = 0; i <= 5; i++) {
    const h = i / 5;
    let n = 0;
    while (n < f.scale_heights.length - 1 && f.scale_heights[n] < h) n++;
    g.fillText(shown(f.scale_values[n], 2), left + 14, top + (1 - h) * (height - 1));
  }
  g.fillStyle = colours.ink;
  g.fillText(f.scale === "linear" ? "f" : `f, ${f.scale}`, left, box.top + 4);
}

/** Paths in pixels; steps too short to see are left out, their numbers kept. */
export function mapTracks(run, [a, b], frame) {
  const [optimizers, starts, steps, dim] = run.shapes.points;
  const paths = [];
  for (let o = 0; o < optimizers; o++) {
    for (let s = 0; s < starts; s++) {
      const taken = run.taken[o * starts + s];
      const path = { o, s, X: [], Y: [], k: [] };
      for (let k = 0; k <= taken; k++) {
        const n = ((o * starts + s) * steps + k) * dim;
        const [X, Y] = [frame.X(run.points[n + a]), frame.Y(run.points[n + b])];
        if (!Number.isFinite(X + Y)) break;
        const last = path.X.length - 1;
        if (last >= 0 && k < taken && Math.abs(X - path.X[last]) + Math.abs(Y - path.Y[last]) < 0.6) continue;
        // Canvas loses its way with coordinates of millions.
        path.X.push(Math.min(Math.max(X, -5e4), 5e4));
        path.Y.push(Math.min(Math.max(Y, -5e4), 5e4));
        path.k.push(k);
      }
      paths.push(path);
    }
  }
  return paths;
}

export function mapStroke(g, { X, Y, k }, until, colour, width, alpha = 1) {
  if (X.length < 2) return;
  g.beginPath();
  g.moveTo(X[0], Y[0]);
  for (let n = 1; n < X.length; n++) {
    if (k[n] > until) {
      const t = (until - k[n - 1]) / (k[n] - k[n - 1]);
      if (t > 0) g.lineTo(X[n - 1] + t * (X[n] - X[n - 1]), Y[n - 1] + t * (Y[n] - Y[n - 1]));
      break;
    }
    g.lineTo(X[n], Y[n]);
  }
  g.globalAlpha = alpha;
  g.strokeStyle = colour;
  g.lineWidth = width;
  g.lineJoin = "round";
  g.stroke();
  g.globalAlpha = 1;
}

export function mapBall(g, X, Y, r, colour) {
  const shine = g.createRadialGradient(X - r / 3, Y - r / 3, r / 6, X, Y, r);
  shine.addColorStop(0, "#fff");
  shine.addColorStop(0.35, colour);
  g.beginPath();
  g.arc(X, Y, r, 0, 7);
  g.fillStyle = shine;
  g.fill();
  g.strokeStyle = "#fff";
  g.lineWidth = 1.5;
  g.stroke();
}

export function mapRing(g, X, Y, r, colour, width = 2) {
  g.beginPath();
  g.arc(X, Y, r, 0, 7);
  g.strokeStyle = colour;
  g.lineWidth = width;
  g.stroke();
}

export function mapLabel(g, text, X, Y, colours) {
  g.font = "11px system-ui, sans-serif";
  g.textAlign = "center";
  g.textBaseline = "middle";
  g.lineWidth = 3;
  g.strokeStyle = colours.paper;
  g.strokeText(text, X, Y);
  g.fillStyle = colours.ink;
  g.fillText(text, X, Y);
}

/** The direction of −∇f on the page (of +∇f where one ascends), [dx, dy] of length 1, or null. */
export function mapDownhill(ctx, run, o, s, [a, b], frame) {
  const [, starts, steps, dim] = run.shapes.gradients;
  const n = ((o * starts + s) * steps + Math.floor(ctx.state.k)) * dim;
  const sign = ctx.state.ascent ? 1 : -1;
  const way = [sign * run.gradients[n + a] * (frame.X(1) - frame.X(0)), sign * run.gradients[n + b] * (frame.Y(1) - frame.Y(0))];
  const length = Math.hypot(...way);
  return length > 0 && Number.isFinite(length) ? way.map((c) => c / length) : null;
}

export function mapArrow(g, X, Y, way, colours) {
  if (!way) return;
  const [dx, dy] = way;
  const [tx, ty] = [X + 30 * dx, Y + 30 * dy];
  for (const [colour, width] of [["#fff", 4], ["#000", 1.8]]) {
    g.beginPath();
    g.moveTo(X + 8 * dx, Y + 8 * dy);
    g.lineTo(tx, ty);
    g.moveTo(tx - 7 * dx + 4 * dy, ty - 7 * dy - 4 * dx);
    g.lineTo(tx, ty);
    g.lineTo(tx - 7 * dx - 4 * dy, ty - 7 * dy + 4 * dx);
    g.strokeStyle = colour;
    g.lineWidth = width;
    g.stroke();
  }
}
