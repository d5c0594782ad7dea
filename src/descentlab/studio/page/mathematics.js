// Mathematics from Python: nested lists → elements of a known few kinds. Everything else becomes text.

const MATHEMATICS_SPACE = "http://www.w3.org/1998/Math/MathML";
const MATHEMATICS_TAGS = new Set("math mrow mi mn mo ms mtext mspace mfrac msqrt mroot msub msup msubsup munder mover munderover mtable mtr mtd mstyle mpadded mphantom".split(" "));
const MATHEMATICS_PAGE = new Set("div p ol li b br span".split(" "));
const MATHEMATICS_KEPT = new Set("display displaystyle mathvariant stretchy fence separator form lspace rspace linethickness width value".split(" "));

/** Build [tag, attributes, children]. */
export function buildMathematics(tree) {
  if (typeof tree === "string") return document.createTextNode(tree);
  const [tag, attributes, children] = tree;
  let element;
  if (MATHEMATICS_TAGS.has(tag)) element = document.createElementNS(MATHEMATICS_SPACE, tag);
  else element = document.createElement(MATHEMATICS_PAGE.has(tag) ? tag : "span");
  for (const [name, value] of Object.entries(attributes)) {
    if (MATHEMATICS_KEPT.has(name)) element.setAttribute(name, value);
  }
  element.append(...children.map(buildMathematics));
  return element;
}
