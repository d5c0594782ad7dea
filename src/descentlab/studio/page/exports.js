export function makeExports(ctx) { const el = document.createElement('div'); return { el, draw() {} }; }
