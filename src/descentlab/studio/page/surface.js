// The surface of f over the plane, in space: orbited, with paths and balls on it.
import { make } from "./core.js";
import { fitCanvas, inks, pathAt, stepEntry, makeStarts, drawMark, kindMark } from "./axes.js";
import { basinPicture, mapBall } from "./paint.js";
import { mapFound } from "./map.js";
import { glProgram, glTexture, glCamera } from "./gl.js";
import { SURFACE_HEIGHT, surfacePlace, surfaceZ, surfaceHeight, surfaceMesh, surfaceRibbons, surfaceRgba, surfacePick, surfaceFrame } from "./shape.js";

const SURFACE_HOME = { azimuth: -0.65, elevation: 0.6, zoom: 1 };
const SURFACE_LEVELS = 15;

const SURFACE_VERTEX = `
layout(location=0) in vec3 place; layout(location=1) in vec2 slope;
uniform mat4 view; out vec3 normal; out vec2 where; out float height;
void main() { gl_Position = view * vec4(place, 1.0); normal = normalize(vec3(-slope, 1.0)); where = place.xy * 0.5 + 0.5; height = place.z / ${SURFACE_HEIGHT.toFixed(2)} + 0.5; }`;
const SURFACE_FRAGMENT = `
in vec3 normal; in vec2 where; in float height;
uniform sampler2D palette; uniform sampler2D basins; uniform float useBasins; uniform float contours; uniform vec3 eye;
out vec4 colour;
void main() {
  vec3 c = useBasins > 0.5 ? texture(basins, where).rgb : texture(palette, vec2(height * 0.996 + 0.002, 0.5)).rgb;
  float light = 0.62 + 0.42 * abs(dot(normalize(normal), normalize(vec3(-0.35, -0.45, 0.82))));
  c *= light;
  if (contours > 0.5) {
    float h = height * ${SURFACE_LEVELS.toFixed(1)};
    float line = abs(fract(h - 0.5) - 0.5) / max(fwidth(h), 1e-5);
    c = mix(c, vec3(1.0), 0.5 * (1.0 - clamp(line - 0.2, 0.0, 1.0)) * step(0.4, h) * step(h, ${(SURFACE_LEVELS - 0.4).toFixed(1)}));
  }
  colour = vec4(c, 1.0);
}`;
// A segment has four corners, set apart on the screen; `when` says at which step it is passed. (Instances of four
// corners would do, but are three times as slow where drawing is done in software.)
const RIBBON_VERTEX = `
layout(location=0) in vec3 a; layout(location=1) in float whenA; layout(location=2) in vec3 b; layout(location=3) in float whenB; layout(location=4) in vec4 paint; layout(location=5) in float corner;
uniform mat4 view; uniform vec2 size; uniform float lift; uniform float wide; uniform float now; uniform float late;
out vec4 tint;
void main() {
  float side = mod(corner, 2.0) * 2.0 - 1.0;
  bool end = corner > 1.5;
  float t = late > 0.5 ? 1.0 : clamp((now - whenA) / max(whenB - whenA, 1e-6), 0.0, 1.0);
  vec3 tip = mix(a, b, t);
  vec4 p = view * vec4(a + vec3(0, 0, lift), 1.0);
  vec4 q = view * vec4(tip + vec3(0, 0, lift), 1.0);
  vec2 along = (q.xy / q.w - p.xy / p.w) * size;
  vec2 across = length(along) > 1e-4 ? normalize(vec2(-along.y, along.x)) : vec2(0.0, 1.0);
  vec4 at = end ? q : p;
  float width = wide * (paint.a > 0.75 ? 1.7 : 1.0);
  at.xy += across * side * width / size * at.w;
  at.z -= 0.0015 * at.w;
  if (late < 0.5 && now <= whenA) at = vec4(2.0, 2.0, 2.0, 1.0);
  gl_Position = at;
  tint = vec4(paint.rgb, late > 0.5 ? 0.4 : 1.0);
}`;
const RIBBON_FRAGMENT = `
in vec4 tint; out vec4 colour; uniform float halo;
void main() { colour = halo > 0.5 ? vec4(1.0, 1.0, 1.0, tint.a * 0.9) : tint; }`;

/** Make the surface. Drag or arrows turn it, the wheel or + and − zoom, a click drops a start, Home goes back. */
export function makeSurface(ctx) {
  const canvas = make("canvas", { class: "dl-gl" });
  const above = make("canvas", { tabIndex: 0, role: "application", "aria-label": "Surface of f in space. Arrows turn it, plus and minus zoom, Home resets the view." });
  const sorry = make("p", { class: "dl-note", hidden: true, text: "The surface needs WebGL2, which this browser does not offer; everything else works." });
  const el = make("div", { class: "dl-picture dl-surface" }, canvas, above, sorry);
  const starts = makeStarts(ctx);
  let gl = null;
  let programs = null;
  let made = {}; // what lives on the card, with the data it was made of
  let drawn = [];
  let frames = 0;
  let view = null;
  let sharp = 1; // pixels a CSS pixel, lowered while it moves on a slow card
  let resting = 0;
  let before = 0;

  function begin() {
    gl = canvas.getContext("webgl2", { antialias: false, alpha: true, premultipliedAlpha: false, preserveDrawingBuffer: false });
    sorry.hidden = Boolean(gl);
    canvas.hidden = above.hidden = !gl;
    if (!gl) return;
    programs = { surface: glProgram(gl, SURFACE_VERTEX, SURFACE_FRAGMENT), ribbon: glProgram(gl, RIBBON_VERTEX, RIBBON_FRAGMENT) };
    made = {};
  }
  canvas.addEventListener("webglcontextlost", (event) => {
    event.preventDefault();
    made = {};
    programs = null;
  });
  canvas.addEventListener("webglcontextrestored", () => {
    begin();
    drawn = [];
    ctx.invalidate();
  });
  begin();

  /** Make something of the data again only when these things have changed. */
  function keep(name, things, build) {
    const old = made[name];
    if (old && things.every((thing, i) => thing === old.things[i])) return old.value;
    old?.value?.free?.();
    made[name] = { things, value: build() };
    return made[name].value;
  }

  function draw() {
    const f = ctx.data.field;
    const { camera, k, chosen, show } = ctx.state;
    const now = [f, ctx.data.run, ctx.data.basins, ctx.data.points, ctx.data.survey, camera, k, chosen, show, ctx.state.starts, ctx.dark, sharp, el.clientWidth, el.clientHeight];
    if (el.hidden || !programs || !f || f.dim < 2 || now.every((thing, i) => thing === drawn[i])) return;
    const [width, height] = [el.clientWidth, el.clientHeight];
    if (width < 20 || height < 20) return;
    const began = performance.now();
    drawn = now;
    frames++;
    const ratio = Math.min(window.devicePixelRatio || 1, 2) * sharp;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    view = { ...glCamera({ ...camera, distance: 4.1 / camera.zoom }, width / height), width, height };
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.enable(gl.DEPTH_TEST);
    drawMesh(f);
    drawRibbons(f, ratio);
    drawAbove(f);
    pace(performance.now() - began);
  }

  function drawMesh(f) {
    const mesh = keep("mesh", [f], () => surfaceMesh(gl, f));
    const palette = keep("palette", [ctx.colours], () => glTexture(gl, surfaceRgba(ctx.colours.heights), 256, 1));
    const b = ctx.state.show.basins && ctx.data.basins && String(ctx.data.basins.plane) === String(f.plane) ? ctx.data.basins : null;
    const texture = b ? keep("basins", [b, ctx.dark], () => glTexture(gl, basinPicture(b, ctx))) : palette;
    const { program, at } = programs.surface;
    gl.useProgram(program);
    gl.disable(gl.BLEND);
    gl.uniformMatrix4fv(at("view"), false, view.matrix);
    gl.uniform1i(at("palette"), 0);
    gl.uniform1i(at("basins"), 1);
    gl.uniform1f(at("useBasins"), b ? 1 : 0);
    gl.uniform1f(at("contours"), ctx.state.show.contours ? 1 : 0);
    gl.uniform3fv(at("eye"), view.eye);
    gl.activeTexture(gl.TEXTURE0);
    gl.bindTexture(gl.TEXTURE_2D, palette);
    gl.activeTexture(gl.TEXTURE1);
    gl.bindTexture(gl.TEXTURE_2D, texture);
    gl.bindVertexArray(mesh.array);
    gl.drawElements(gl.TRIANGLES, mesh.count, gl.UNSIGNED_INT, 0);
  }

  function drawRibbons(f, ratio) {
    const { run } = ctx.data;
    if (!run) return;
    const ribbons = keep("ribbons", [run, f, ctx.state.chosen], () => surfaceRibbons(gl, run, f, ctx));
    if (!ribbons.count) return;
    const { program, at } = programs.ribbon;
    gl.useProgram(program);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA);
    gl.uniformMatrix4fv(at("view"), false, view.matrix);
    gl.uniform2f(at("size"), canvas.width / 2, canvas.height / 2);
    gl.uniform1f(at("now"), ctx.state.k);
    gl.bindVertexArray(ribbons.array);
    // Faint all the way, then a white edge and the colour up to now.
    for (const [late, halo, wide, lift] of [[1, 0, 0.7, 0.004], [0, 1, 2.1, 0.006], [0, 0, 1.2, 0.009]]) {
      gl.uniform1f(at("late"), late);
      gl.uniform1f(at("halo"), halo);
      gl.uniform1f(at("wide"), wide * ratio);
      gl.uniform1f(at("lift"), lift);
      if (!late || ctx.state.k < run.K) gl.drawElements(gl.TRIANGLES, ribbons.count, gl.UNSIGNED_INT, 0);
    }
    gl.bindVertexArray(null);
  }

  /** Lower the resolution while moving if frames take long; sharpen when it rests. */
  function pace(took) {
    const moving = performance.now() - before < 200;
    before = performance.now();
    if (moving && took > 28 && sharp > 0.5) sharp = Math.max(0.5, sharp * 0.8);
    clearTimeout(resting);
    if (moving && sharp < 1) {
      resting = setTimeout(() => {
        sharp = 1;
        ctx.invalidate();
      }, 350);
    }
  }

  // --- what is drawn flat, above the surface: frame, names, balls, starts, stationary points ---

  function screen(p) {
    const m = view.matrix;
    const w = m[3] * p[0] + m[7] * p[1] + m[11] * p[2] + m[15];
    const x = (m[0] * p[0] + m[4] * p[1] + m[8] * p[2] + m[12]) / w;
    const y = (m[1] * p[0] + m[5] * p[1] + m[9] * p[2] + m[13]) / w;
    return [(x * 0.5 + 0.5) * view.width, (0.5 - y * 0.5) * view.height];
  }

  /** Whether the surface lies between a point of it and the eye. */
  function isHidden(f, p) {
    for (let n = 1; n <= 40; n++) {
      const t = 0.03 + (n / 40) * 1.6;
      const q = [0, 1, 2].map((i) => p[i] + (view.eye[i] - p[i]) * (t / 4.1));
      if (Math.abs(q[0]) > 1 || Math.abs(q[1]) > 1) return false;
      if (surfaceHeight(f, q[0], q[1]) > q[2] + 0.012) return true;
    }
    return false;
  }

  function drawAbove(f) {
    const fitted = fitCanvas(above);
    if (!fitted) return;
    const { g } = fitted;
    const colours = inks(el);
    surfaceFrame(g, f, screen, ctx.state.camera, colours);
    const [a, b] = f.plane;
    const mark = (x, y, z, paint) => {
      const p = [...surfacePlace(f, x, y), z];
      if (!p.every(Number.isFinite) || Math.abs(p[0]) > 1.0001 || Math.abs(p[1]) > 1.0001) return;
      g.globalAlpha = isHidden(f, p) ? 0.28 : 1;
      paint(...screen(p));
      g.globalAlpha = 1;
    };
    for (const p of mapFound(ctx)) {
      const { shape, colour } = kindMark(ctx, p.kind);
      mark(p.point[a], p.point[b], surfaceZ(f, p.value), (X, Y) => drawMark(g, shape, X, Y, 5, colour));
    }
    ctx.state.starts.forEach((start, s) => {
      const place = surfacePlace(f, start[a], start[b]);
      mark(start[a], start[b], surfaceHeight(f, ...place), (X, Y) => {
        g.beginPath();
        g.arc(X, Y, s === ctx.state.chosen[1] ? 7 : 5, 0, 7);
        g.strokeStyle = s === ctx.state.chosen[1] ? colours.accent : colours.ink;
        g.lineWidth = 2;
        g.stroke();
      });
    });
    for (const { o, s, x, y, z } of balls(f)) {
      const chosen = o === ctx.state.chosen[0] && s === ctx.state.chosen[1];
      mark(x, y, z, (X, Y) => mapBall(g, X, Y - 4, chosen ? 7 : 5, ctx.colours.optimizer(o)));
    }
  }

  function balls(f) {
    const { run } = ctx.data;
    if (!run) return [];
    const [optimizers, count] = run.shapes.points;
    const all = [];
    for (let o = 0; o < optimizers; o++) {
      for (let s = 0; s < count; s++) {
        const [x, y] = f.plane.map((c) => pathAt(run, o, s, c, ctx.state.k));
        const k = ctx.state.k;
        const [low, high] = [stepEntry(run, "values", o, s, k), stepEntry(run, "values", o, s, Math.ceil(k))];
        all.push({ o, s, x, y, z: surfaceZ(f, low) + (surfaceZ(f, high) - surfaceZ(f, low)) * (k - Math.floor(k)) });
      }
    }
    return all;
  }

  // --- pointer and keyboard ---

  const turn = (camera) => ctx.set({ camera: { azimuth: camera.azimuth, elevation: Math.min(Math.max(camera.elevation, 0.02), 1.55), zoom: Math.min(Math.max(camera.zoom, 0.4), 5) } }, { undo: false });
  const pointers = new Map();
  let moved = 0;
  above.addEventListener("pointerdown", (event) => {
    above.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, event);
    moved = 0;
  });
  above.addEventListener("pointermove", (event) => {
    const old = pointers.get(event.pointerId);
    if (!old) return;
    const [dx, dy] = [event.clientX - old.clientX, event.clientY - old.clientY];
    const { camera } = ctx.state;
    moved += Math.abs(dx) + Math.abs(dy);
    if (pointers.size === 2) {
      const [other] = [...pointers.values()].filter((one) => one.pointerId !== event.pointerId);
      const span = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY) || 1;
      turn({ ...camera, zoom: (camera.zoom * span(event)) / span(old) });
    } else if (moved > 3) turn({ ...camera, azimuth: camera.azimuth - dx * 0.009, elevation: camera.elevation + dy * 0.007 });
    pointers.set(event.pointerId, event);
  });
  const release = (event) => {
    const click = pointers.delete(event.pointerId) && moved <= 3 && event.type === "pointerup" && !event.button;
    const place = click && view ? surfacePick(ctx.data.field, view, event, above) : null;
    if (place) starts.add(starts.whole(place, ctx.data.field.plane));
  };
  above.addEventListener("pointerup", release);
  above.addEventListener("pointercancel", release);
  above.addEventListener("dblclick", () => turn(SURFACE_HOME));
  above.addEventListener("wheel", (event) => {
    event.preventDefault();
    turn({ ...ctx.state.camera, zoom: ctx.state.camera.zoom * Math.exp(-event.deltaY * 0.0012) });
  }, { passive: false });
  above.addEventListener("keydown", (event) => {
    const { camera } = ctx.state;
    const ways = { ArrowLeft: { azimuth: camera.azimuth - 0.1 }, ArrowRight: { azimuth: camera.azimuth + 0.1 }, ArrowUp: { elevation: camera.elevation + 0.08 }, ArrowDown: { elevation: camera.elevation - 0.08 }, "+": { zoom: camera.zoom * 1.15 }, "=": { zoom: camera.zoom * 1.15 }, "-": { zoom: camera.zoom / 1.15 }, Home: SURFACE_HOME };
    if (event.ctrlKey || event.metaKey || !(event.key in ways)) return;
    turn({ ...camera, ...ways[event.key] });
    event.preventDefault();
    event.stopPropagation();
  });

  return {
    el,
    draw,
    /** The surface with what is drawn above it, on one canvas. The card keeps no picture: it is drawn anew. */
    picture() {
      drawn = [];
      draw();
      const both = make("canvas", { width: above.width, height: above.height });
      const g = both.getContext("2d");
      g.drawImage(canvas, 0, 0, both.width, both.height);
      g.drawImage(above, 0, 0);
      return both;
    },
    place(x, y) {
      const bounds = above.getBoundingClientRect();
      const at = surfacePlace(ctx.data.field, x, y);
      const [X, Y] = screen([...at, surfaceHeight(ctx.data.field, ...at)]);
      return [bounds.left + X, bounds.top + Y];
    },
    probe: () => ({ frames, works: Boolean(programs), sharp, renderer: gl?.getParameter(gl.RENDERER) ?? null, segments: (made.ribbons?.value.count ?? 0) / 6 }),
  };
}
