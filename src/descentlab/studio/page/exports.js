// What one takes away: Python and a command that repeat what is seen, a link, pictures and numbers.
import { hasFocus, make } from "./core.js";

const EXPORTS_FILES = { svg: "SVG of the chosen optimizer", gif: "GIF of the chosen optimizer", csv: "Numbers as CSV", json: "Numbers as JSON" };

/** Make the menu of exports. */
export function makeExports(ctx) {
  const item = (text, go) => make("button", { type: "button", role: "menuitem", text, onclick: () => run(go) });
  const menu = make(
    "div",
    { class: "dl-menu", role: "menu", hidden: true },
    item("Copy as Python", () => told("Python that repeats these descents to the bit", "python")),
    item("Copy as command", () => told("The same on the command line", "command")),
    ctx.linkable ? item("Copy link", link) : null,
    item("PNG of what is seen", png),
    ...Object.entries(EXPORTS_FILES).map(([what, text]) => item(text, () => file(what))),
  );
  const open = make("button", { type: "button", text: "Export ▾", "aria-haspopup": "menu", "aria-expanded": "false", onclick: () => show(menu.hidden) });
  const area = make("textarea", { readOnly: true, rows: 10, spellcheck: false, "aria-label": "Text to copy" });
  const title = make("p", { class: "dl-title" });
  const note = make("p", { class: "dl-note", role: "status" });
  const dialog = make("dialog", { class: "dl-dialog" }, title, area, note, make("button", { type: "button", text: "Close", onclick: () => dialog.close() }));
  const el = make("div", { class: "dl-exports" }, open, menu, dialog);
  dialog.addEventListener("close", () => open.focus());

  function show(on) {
    menu.hidden = !on;
    open.setAttribute("aria-expanded", String(on));
    if (on) menu.querySelector("button").focus();
  }
  el.addEventListener("keydown", (event) => {
    const items = [...menu.querySelectorAll("button")];
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape" && !menu.hidden) {
      show(false);
      open.focus();
    } else if (step && !menu.hidden) items[(items.findIndex(hasFocus) + step + items.length) % items.length].focus();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  el.addEventListener("focusout", (event) => !el.contains(event.relatedTarget) && show(false));

  async function run(go) {
    show(false);
    try {
      await go();
    } catch (error) {
      present("That did not work", error.message);
    }
  }

  /** Show a text, selected, and copy it where the browser lets us. */
  async function present(heading, text) {
    title.textContent = heading;
    area.value = text;
    note.textContent = "Press Ctrl C to copy.";
    if (!dialog.open) dialog.showModal();
    area.select();
    try {
      await navigator.clipboard.writeText(text);
      note.textContent = "Copied.";
    } catch {
      // The text stays selected: a key copies it.
    }
  }

  async function ask(kind, message) {
    const reply = await ctx.request(kind, { ...ctx.race(), ...message });
    if (reply?.error) throw new Error(reply.error.message);
    return reply;
  }

  async function told(heading, what) {
    const reply = await ask("copy", {});
    if (reply) await present(heading, reply[what] || "There is no command for a Python function: the Python lines say how it is done.");
  }

  async function link() {
    ctx.flush();
    await present("A link to this page as it is", location.href);
  }

  function save(blob, name) {
    const a = make("a", { href: URL.createObjectURL(blob), download: name });
    a.click();
    setTimeout(() => URL.revokeObjectURL(a.href), 10000);
    ctx.say(`${name} saved.`);
  }

  async function file(what) {
    const reply = await ask("export", { what, chosen: ctx.state.chosen[0] });
    if (reply) save(new Blob([reply.file], { type: reply.media }), reply.name);
  }

  async function png() {
    const blob = await new Promise((resolve) => exportsPicture(ctx, el).toBlob(resolve));
    save(blob, "descentlab.png");
  }

  return { el, draw() {}, probe: () => ({ text: area.value, open: dialog.open }) };
}

/** All pictures side by side under the formula, with what was run below. */
function exportsPicture(ctx, el) {
  const pictures = ctx.pictures().map(({ canvas }) => canvas);
  const style = getComputedStyle(el); // the colours of this page, of which a notebook may have several
  const [ink, paper] = ["--ink", "--paper"].map((name) => style.getPropertyValue(name).trim());
  const ratio = Math.min(window.devicePixelRatio || 1, 2);
  const gap = 12 * ratio;
  const width = pictures.reduce((sum, p) => sum + p.width + gap, gap);
  const height = Math.max(...pictures.map((p) => p.height)) + 5 * gap;
  const whole = make("canvas", { width, height });
  const g = whole.getContext("2d");
  g.fillStyle = paper;
  g.fillRect(0, 0, width, height);
  g.fillStyle = ink;
  g.font = `${13 * ratio}px system-ui, sans-serif`;
  const { state } = ctx;
  g.fillText(`f = ${state.problem.text ?? ctx.data.formula?.label ?? ""}`, gap, 1.6 * gap, width - 2 * gap);
  const way = state.ascent ? "ascent" : "descent";
  const caption = `${way} by ${ctx.data.run?.names.join(", ") ?? ""}; learning rate ${state.schedule === "auto" ? "auto" : state.rate}${state.schedule === "fixed" || state.schedule === "auto" ? "" : ` (${state.schedule})`}; ${state.steps} steps; step ${Math.floor(state.k)} shown; descentlab`;
  g.fillText(caption, gap, height - gap, width - 2 * gap);
  let left = gap;
  for (const picture of pictures) {
    g.drawImage(picture, left, 2.6 * gap);
    left += picture.width + gap;
  }
  return whole;
}
