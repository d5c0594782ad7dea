// The connection to Python, small pieces for building the page, and seeded random numbers.

const CORE_ARRAYS = { f8: Float64Array, f4: Float32Array, i4: Int32Array, i2: Int16Array, u1: Uint8Array };
const CORE_WORDS = { NaN: NaN, Infinity: Infinity, "-Infinity": -Infinity };

/**
 * Make the channel over a model as anywidget's: request(kind, message) → Promise of the reply, or of null
 * where a later request of that kind took its place. One request of a kind is in flight, the latest waits.
 */
export function makeChannel(model, onBusy) {
  const flying = new Map();
  const waiting = new Map();
  // A notebook may show one model twice, and both then hear every reply: their numbers must not meet.
  let last = Math.floor(Math.random() * 2 ** 40);

  function send(kind, message, resolve) {
    const id = ++last;
    flying.set(kind, { id, message, resolve });
    model.send({ ...message, kind, id });
    onBusy([...flying.keys()]);
  }

  function receive(content, buffers) {
    const kind = content?.kind;
    const sent = flying.get(kind);
    if (!sent || sent.id !== content.id) return;
    flying.delete(kind);
    const next = waiting.get(kind);
    waiting.delete(kind);
    if (next) send(kind, next.message, next.resolve);
    onBusy([...flying.keys()]);
    sent.resolve(content.superseded ? null : unpackReply(content, buffers));
  }

  model.on("msg:custom", receive);
  // What was in flight when the connection broke is asked again.
  model.on("change:connection", () => {
    if (model.get("connection") === "open") {
      for (const [kind, sent] of [...flying]) send(kind, sent.message, sent.resolve);
    }
  });

  return {
    request(kind, message = {}) {
      return new Promise((resolve) => {
        if (!flying.has(kind)) return send(kind, message, resolve);
        waiting.get(kind)?.resolve(null);
        waiting.set(kind, { message, resolve });
        return undefined;
      });
    },
    close() {
      model.off?.("msg:custom", receive);
      waiting.clear();
      flying.clear();
    },
  };
}

/** Turn a reply's content and buffers into one object: arrays under their names, their shapes in `shapes`. */
export function unpackReply(content, buffers) {
  const reply = coreNumbers(content);
  reply.shapes = {};
  (content.arrays ?? []).forEach(([name, dtype, shape], i) => {
    const view = buffers[i];
    const kind = CORE_ARRAYS[dtype];
    const aligned = view.byteOffset % kind.BYTES_PER_ELEMENT === 0;
    const bytes = aligned ? view : new DataView(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
    reply[name] = new kind(bytes.buffer, bytes.byteOffset, bytes.byteLength / kind.BYTES_PER_ELEMENT);
    reply.shapes[name] = shape;
  });
  return reply;
}

/** JSON has no NaN and no infinities: they come as these texts. */
function coreNumbers(value) {
  if (typeof value === "string") return value in CORE_WORDS ? CORE_WORDS[value] : value;
  if (Array.isArray(value)) return value.map(coreNumbers);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, coreNumbers(inner)]));
}

/** Make an element: properties (class, text, on…: listener, aria-*, data-*, others as properties) and children. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (name === "class") element.className = value;
    else if (name === "text") element.textContent = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name.includes("-") || name === "role" || name === "for" || name === "list") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// In a notebook each widget loads this module anew: a mark of its own keeps the ids of all of them apart.
const CORE_MARK = Math.random().toString(36).slice(2, 10);
let coreIds = 0;

/** Return an id that nothing else in the document has. */
export const freshId = () => `dl-${CORE_MARK}-${++coreIds}`;

/** Whether an element has the focus, also in a shadow root, which is where marimo puts the page. */
export const hasFocus = (element) => element.getRootNode().activeElement === element;

/** Return a label with its control: <label>text control</label>, joined by an id of its own. */
export function labelled(text, control, properties = {}) {
  control.id ||= freshId();
  return make("div", { class: "dl-field", ...properties }, make("label", { for: control.id, text }), control);
}

/** Write a number with a few significant digits, as people do. */
export function shown(number, digits = 4) {
  if (!Number.isFinite(number)) return Number.isNaN(number) ? "undefined" : number > 0 ? "∞" : "−∞";
  if (number === 0) return "0";
  const size = Math.abs(number);
  const text = size >= 1e6 || size < 1e-4 ? number.toExponential(digits - 1) : number.toPrecision(digits);
  const [mantissa, exponent] = text.split("e");
  const tidy = mantissa.includes(".") ? mantissa.replace(/\.?0+$/, "") : mantissa;
  return (exponent ? `${tidy}e${Number(exponent)}` : tidy).replace("-", "−").replace("e-", "e−");
}

/** Return a generator of uniform numbers in [0, 1), the same for the same seed (mulberry32). */
export function seededNumbers(seed) {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
