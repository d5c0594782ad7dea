// The state of the page: one plain object, with undo, kept in the model (the URL's fragment or the notebook).

/** What the page shows before anything is chosen. */
export const DEFAULT_STATE = Object.freeze({
  problem: { text: "cos(2*pi*x) + x^2", domain: [[-2, 2]], variables: null },
  starts: [],
  optimizers: [{ name: "gd", parameters: {} }],
  rate: 0.01,
  schedule: "fixed",
  decay: 0.999,
  steps: 300,
  bounds: "free",
  tolerance: null,
  ascent: false,
  negate: false,
  seed: 0,
  plane: [0, 1],
  at: null,
  heights: "auto",
  k: 0,
  chosen: [0, 0],
  speed: 1,
  show: { view: "both", panel: "steps", contours: true, basins: false, points: false, survey: false, theme: "auto" },
  camera: { azimuth: -0.65, elevation: 0.6, zoom: 1 },
});

const STORE_DEPTH = 100;
// Looking around is not undone.
const STORE_PASSING = new Set(["k", "camera", "chosen", "speed"]);

const storeNumbers = (given) => Array.isArray(given) && given.every(Number.isFinite);
const storePoints = (given) => Array.isArray(given) && given.every(storeNumbers);
const storeText = (...known) => (given) => known.includes(given);
const storeFlag = (given) => typeof given === "boolean";
const storePair = (given) => storeNumbers(given) && given.length === 2 && given.every((n) => n >= 0);
const storeNames = (given) => Array.isArray(given) && given.every((name) => typeof name === "string");

const STORE_CHECKS = {
  problem: (p) =>
    p?.own === true ||
    (typeof p?.text === "string" &&
      p.text.length <= 4000 &&
      (p.domain == null || storePoints(p.domain)) &&
      (p.variables == null || storeNames(p.variables))),
  starts: (given) => storePoints(given) && given.length <= 32,
  optimizers: (given) =>
    Array.isArray(given) && given.length > 0 && given.length <= 8 && given.every((o) => typeof o?.name === "string"),
  rate: (given) => Number.isFinite(given) && given > 0,
  schedule: storeText("fixed", "time", "gradient", "cosine", "exponential", "auto"),
  decay: (given) => given > 0 && given <= 1,
  steps: (given) => Number.isInteger(given) && given >= 1 && given <= 20000,
  bounds: storeText("free", "clip", "stop"),
  tolerance: (given) => given === null || (Number.isFinite(given) && given >= 0),
  ascent: storeFlag,
  negate: storeFlag,
  seed: (given) => Number.isSafeInteger(given) && given >= 0,
  plane: (given) => storePair(given) && given[0] !== given[1] && given.every(Number.isInteger),
  at: (given) => given === null || storeNumbers(given),
  heights: storeText("auto", "linear", "log", "rank"),
  k: (given) => Number.isFinite(given) && given >= 0,
  chosen: storePair,
  speed: (given) => given > 0 && given <= 64,
  show: (given) => given !== null && typeof given === "object" && !Array.isArray(given),
  camera: (given) => ["azimuth", "elevation", "zoom"].every((name) => Number.isFinite(given?.[name])),
};

/** Return a state of known entries only; those of the wrong kind, or missing, are the default's. */
export function cleanState(given) {
  const state = { ...DEFAULT_STATE };
  for (const [name, check] of Object.entries(STORE_CHECKS)) {
    if (given && Object.hasOwn(given, name) && check(given[name])) state[name] = given[name];
  }
  const show = Object.entries(state.show).filter(([name, value]) => typeof value === typeof DEFAULT_STATE.show[name]);
  state.show = { ...DEFAULT_STATE.show, ...Object.fromEntries(show) };
  state.optimizers = state.optimizers.map((o) => ({ name: o.name, parameters: { ...o.parameters } }));
  return state;
}

/** Make the store: state, set, undo, redo; onChange(names of changed entries) after every change. */
export function makeStore(model, onChange) {
  let state = Object.freeze(cleanState(model.get("state")));
  const past = [];
  const future = [];
  let saving = 0;
  let saved = null;

  function save() {
    saving = 0;
    // Only what differs from the default is kept: links stay short.
    const differs = Object.entries(state).filter(([n, v]) => JSON.stringify(v) !== JSON.stringify(DEFAULT_STATE[n]));
    saved = Object.fromEntries(differs);
    model.set("state", saved);
    model.save_changes();
  }

  function become(next) {
    const names = Object.keys(next).filter((name) => next[name] !== state[name]);
    if (!names.length) return;
    state = Object.freeze(next);
    saving ||= setTimeout(save, 250);
    onChange(names);
  }

  /** Go to another state of the past or future, with the eyes where they are. */
  function restore(from, to) {
    if (!from.length) return false;
    to.push(state);
    const kept = Object.fromEntries([...STORE_PASSING].map((name) => [name, state[name]]));
    become({ ...from.pop(), ...kept });
    return true;
  }

  model.on("change:state", () => {
    const given = model.get("state");
    if (given !== saved) become(cleanState(given));
  });

  return {
    get state() {
      return state;
    },
    set(patch, { undo = true } = {}) {
      if (undo && Object.keys(patch).some((name) => !STORE_PASSING.has(name))) {
        past.push(state);
        past.splice(0, past.length - STORE_DEPTH);
        future.length = 0;
      }
      become({ ...state, ...patch });
    },
    undo: () => restore(past, future),
    redo: () => restore(future, past),
    canUndo: () => past.length > 0,
    canRedo: () => future.length > 0,
    flush() {
      clearTimeout(saving);
      save();
    },
  };
}
