export function makeStudies(ctx) { const el = document.createElement('div'); return { el, draw() {} }; }
