// Outside a notebook: a model like anywidget's over one WebSocket, its state in the URL's fragment.
import studio from "/studio.js";

const LONGEST_LINK = 20000;
const listeners = new Map();
let socket = null;
let connection = "connecting";
let wait = 300;
let unsent = [];
let state = readLink();

const tell = (name, ...things) => (listeners.get(name) ?? []).forEach((listener) => listener(...things));

/** The state in the fragment; what cannot be read is no state. */
function readLink() {
  const text = location.hash.slice(1);
  if (!text || text.length > LONGEST_LINK) return {};
  try {
    const given = JSON.parse(decodeURIComponent(text));
    return given !== null && typeof given === "object" && !Array.isArray(given) ? given : {};
  } catch {
    return {};
  }
}

function connect() {
  socket = new WebSocket(`ws://${location.host}/ws`);
  socket.binaryType = "arraybuffer";
  socket.addEventListener("open", () => {
    connection = "open";
    wait = 300;
    const first = unsent;
    unsent = [];
    first.forEach((text) => socket.send(text));
    tell("change:connection");
  });
  socket.addEventListener("message", ({ data }) => {
    const length = new DataView(data).getUint32(0, true);
    const content = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
    let offset = 4 + length;
    const buffers = content.sizes.map((size) => {
      const buffer = new DataView(data, offset, size);
      offset += Math.ceil(size / 8) * 8;
      return buffer;
    });
    tell("msg:custom", content, buffers);
  });
  socket.addEventListener("close", () => {
    connection = "closed";
    unsent = []; // what was asked is asked again by the page, once connected
    tell("change:connection");
    setTimeout(connect, wait);
    wait = Math.min(wait * 2, 8000);
  });
}

const model = {
  linkable: true,
  get: (name) => ({ state, connection })[name],
  set: (name, value) => (state = name === "state" ? value : state),
  save_changes() {
    const text = Object.keys(state).length ? `#${encodeURIComponent(JSON.stringify(state))}` : location.pathname;
    history.replaceState(null, "", text);
  },
  send(content) {
    const text = JSON.stringify(content);
    if (connection === "open") socket.send(text);
    else if (connection === "connecting") unsent.push(text);
  },
  on(name, listener) {
    listeners.set(name, [...(listeners.get(name) ?? []), listener]);
  },
  off(name, listener) {
    listeners.set(name, (listeners.get(name) ?? []).filter((one) => one !== listener));
  },
};

addEventListener("hashchange", () => {
  state = readLink();
  tell("change:state");
});
connect();
studio.render({ model, el: document.getElementById("studio") });
