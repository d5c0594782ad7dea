// One time cursor through all views: play, pause, step forward and back, scrub, speed.
import { make, labelled } from "./core.js";

const TIMELINE_SECONDS = 6; // a whole descent at speed 1

/** Make the time line. Keys: space plays, comma and full stop step, Home and End jump. */
export function makeTimeline(ctx) {
  const button = (text, title, go) => make("button", { type: "button", text, title, "aria-label": title, onclick: go });
  const play = button("▶", "Play", () => toggle());
  const scrub = make("input", { type: "range", min: 0, max: 0, step: 1, value: 0, class: "dl-scrub" });
  const speed = make("select", { title: "Speed" });
  for (const times of [0.25, 0.5, 1, 2, 4]) speed.append(make("option", { value: times, text: `${times}×` }));
  const readout = make("output", { class: "dl-step", "aria-live": "off" });
  const el = make(
    "div",
    { class: "dl-timeline", role: "group", "aria-label": "Time" },
    button("|◂", "To the start (Home)", () => jump(0)),
    button("◂", "One step back (comma)", () => jump(Math.ceil(ctx.state.k) - 1)),
    play,
    button("▸", "One step forward (full stop)", () => jump(Math.floor(ctx.state.k) + 1)),
    button("▸|", "To the end (End)", () => jump(last())),
    labelled("Step", scrub, { class: "dl-field dl-grow" }),
    readout,
    labelled("Speed", speed),
  );
  let playing = false;
  let then = 0;
  let at = 0;

  const last = () => ctx.data.run?.K ?? 0;
  scrub.addEventListener("input", () => jump(Number(scrub.value)));
  speed.addEventListener("change", () => ctx.set({ speed: Number(speed.value) }, { undo: false }));

  function jump(k) {
    pause();
    ctx.set({ k: Math.min(Math.max(k, 0), last()) }, { undo: false });
  }

  function pause() {
    playing = false;
    show();
  }

  function toggle() {
    if (playing) return pause();
    if (!last()) return undefined;
    if (ctx.state.k >= last()) ctx.set({ k: 0 }, { undo: false });
    playing = true;
    at = ctx.state.k;
    then = performance.now();
    requestAnimationFrame(advance);
    return show();
  }

  function advance(now) {
    if (!playing || !el.isConnected) return;
    // A frame's time may lie before the key that started it, and no step comes before the first.
    at += (Math.max(now - then, 0) / 1000 / TIMELINE_SECONDS) * last() * ctx.state.speed;
    then = now;
    if (at >= last()) {
      ctx.set({ k: last() }, { undo: false });
      return pause();
    }
    // Who asked for less motion sees whole steps only.
    ctx.set({ k: ctx.reduced ? Math.floor(at) : at }, { undo: false });
    requestAnimationFrame(advance);
  }

  function show() {
    play.textContent = playing ? "⏸" : "▶";
    const title = playing ? "Pause (space)" : "Play (space)";
    play.title = title;
    play.setAttribute("aria-label", title);
  }

  show();
  return {
    el,
    /** Act on a key of the page; return whether it meant something here. */
    key(event) {
      const jumps = { ",": () => Math.ceil(ctx.state.k) - 1, ".": () => Math.floor(ctx.state.k) + 1, Home: () => 0, End: last };
      if (event.key === " ") toggle();
      else if (event.key in jumps) jump(jumps[event.key]());
      else return false;
      return true;
    },
    draw() {
      const k = Math.min(ctx.state.k, last());
      scrub.max = last();
      if (Number(scrub.value) !== Math.round(k)) scrub.value = Math.round(k);
      scrub.setAttribute("aria-valuetext", `step ${Math.floor(k)} of ${last()}`);
      const text = `${Math.floor(k)} / ${last()}`;
      if (readout.textContent !== text) readout.textContent = text;
      speed.value = ctx.state.speed;
    },
    isPlaying: () => playing,
    pause,
  };
}
