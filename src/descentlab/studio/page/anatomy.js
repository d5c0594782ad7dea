export function makeAnatomy(ctx) { const el = document.createElement("div"); return { el, draw() {} }; }
