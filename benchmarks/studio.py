"""How soon the studio's page shows what one did: in Chromium, drawing in software, on both cores.

Moves are made in the page itself: a slider's `input` event at one end, the first frame drawn after the
answer at the other. What Playwright needs to look on is not counted.
"""

from __future__ import annotations

import statistics

from playwright.sync_api import sync_playwright

from benchmarks.browser import CHROMIUM, SIZE, Studio, launch, running_studio

RACE = {
    "starts": [[0.1, 1.4], [1.0, 1.0], [-1.0, -1.0], [0.5, -0.2], [2.0, 2.0]],
    "optimizers": [{"name": name, "parameters": {}} for name in ("gd", "momentum", "adam")],
    "steps": 300,
}
FORMULAS = (
    "x^2*y - sin(x*y)",
    "exp(-x^2) + cos(y)",
    "(x^2 + y - 11)^2 + (x + y^2 - 7)^2",
    "x*exp(-x^2 - y^2)",
)

# Set the rate by the slider and wait for the frame that shows its paths: [milliseconds].
MOVES = """async (count) => {
  const root = document.querySelector('.dl-studio');
  const slider = root.querySelector('.dl-rate');
  const frame = () => new Promise(requestAnimationFrame);
  // The first task after a frame's callbacks comes once the frame is painted.
  const painted = () => new Promise((done) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = done;
    requestAnimationFrame(() => port2.postMessage(null));
  });
  const times = [];
  for (let i = 0; i < count; i++) {
    const before = root.dlData.run;
    const began = performance.now();
    slider.value = -2.8 + 1.2 * ((i * 0.618) % 1);
    slider.dispatchEvent(new Event('input'));
    while (root.dlData.run === before) await new Promise((done) => setTimeout(done));
    await painted();
    if (!root.dlViews.map.probe().drawn) throw new Error('not drawn');
    times.push(performance.now() - began);
    await new Promise((resolve) => setTimeout(resolve, 60));
  }
  return times;
}"""

# Type a formula and wait for its mathematics.
TYPES = """async (text) => {
  const root = document.querySelector('.dl-studio');
  const box = root.querySelector('.dl-view-formula textarea, .dl-view-formula input[type=text]');
  const before = root.dlData.formula;
  const began = performance.now();
  box.value = text;
  box.dispatchEvent(new Event('input', { bubbles: true }));
  while (root.dlData.formula === before) await new Promise(requestAnimationFrame);
  return performance.now() - began;
}"""

# Turn the surface a little each frame, for three seconds: [frames a second].
TURNS = """async () => {
  const root = document.querySelector('.dl-studio');
  const began = performance.now();
  let frames = 0;
  while (performance.now() - began < 3000) {
    const { camera } = root.dlStore.state;
    root.dlStore.set({ camera: { ...camera, azimuth: camera.azimuth + 0.02 } }, { undo: false });
    await new Promise(requestAnimationFrame);
    frames++;
  }
  return frames / ((performance.now() - began) / 1000);
}"""

MAPS = """async () => {
  const root = document.querySelector('.dl-studio');
  const times = [];
  for (let i = 0; i < 7; i++) {
    const optimizers = [{ name: 'gd', parameters: {} }];
    const message = { ...root.dlRace(), optimizers, rate: 0.01 + i * 1e-4, steps: 400, resolution: 256 };
    const began = performance.now();
    const reply = await root.dlRequest('basins', message);
    if (!reply || reply.error) throw new Error(reply?.error?.message ?? 'superseded');
    times.push(performance.now() - began);
  }
  return times.slice(1);
}"""


# The catalogue's own text of peaks, as the page has it.
PEAKS = """() => {
  const hello = document.querySelector('.dl-studio').dlData.hello;
  const { text, domain, variables } = hello.landscapes.find((entry) => entry.name === 'peaks');
  return { text, domain, variables };
}"""


def table(moves: int = 80) -> str:
    """Measure on a page of peaks and return a Markdown table."""
    if CHROMIUM is None:
        return "There is no Chromium on this machine; nothing was measured."
    with sync_playwright() as playwright, running_studio("peaks") as address:
        browser = launch(playwright)
        try:
            figures = _measure(Studio(browser.new_context(viewport=SIZE), address()), moves)
        finally:
            browser.close()
    rows = ["| what | measured | aim |", "|---|--:|--:|"]
    return "\n".join(rows + [f"| {what} | {measured} | {aim} |" for what, measured, aim in figures])


def _measure(studio: Studio, moves: int) -> list[tuple[str, str, str]]:
    studio.tell("root().dlStore.set(argument)", RACE)
    studio.settle()
    studio.page.evaluate(MOVES, 5)
    times: list[float] = studio.page.evaluate(MOVES, moves)
    slow = statistics.quantiles(times, n=20)[-1]
    typed = [studio.page.evaluate(TYPES, text) for text in FORMULAS]
    studio.tell("root().dlStore.undo()")
    studio.settle()
    studio.tell("root().dlStore.set(argument)", {**RACE, "problem": studio.page.evaluate(PEAKS)})
    studio.settle()
    frames: float = studio.page.evaluate(TURNS)
    maps: list[float] = studio.page.evaluate(MAPS)
    five = "5 starts × 3 optimizers × 300 steps"
    return [
        (
            f"slider moved → new paths drawn, median of {moves} ({five})",
            f"{statistics.median(times):.0f} ms",
            "50 ms",
        ),
        ("… 95 % of them under", f"{slow:.0f} ms", "120 ms"),
        ("formula typed → mathematics, median", f"{statistics.median(typed):.0f} ms", "400 ms"),
        (
            "basin map, 256² × 400 steps, asked → arrived, median",
            f"{statistics.median(maps):.0f} ms",
            "150 ms",
        ),
        ("surface turning, 128², same race, software rendering", f"{frames:.0f} frames/s", "30 frames/s"),
    ]
