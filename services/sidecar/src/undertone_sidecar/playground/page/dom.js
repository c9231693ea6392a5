// Elements and numbers as text. All text enters the page as text nodes, never as markup.

const SVG = "http://www.w3.org/2000/svg";

/** A new HTML element. Children are nodes or strings; null and undefined are left out. */
export function element(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

/** A new SVG element. */
export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** A probability as a percentage without decimals. */
export function percent(probability) {
  const rounded = Math.round(100 * probability);
  if (rounded === 0 && probability > 0) return "<1%";
  if (rounded === 100 && probability < 1) return ">99%";
  return `${rounded}%`;
}

/** A count with separators. */
export function number(count) {
  return count.toLocaleString("en");
}

/** "1 paragraph", "2 paragraphs". */
export function plural(count, noun) {
  return `${number(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/** A duration in seconds with three significant digits, in ms or s. */
export function duration(seconds) {
  const milliseconds = 1000 * seconds;
  if (milliseconds >= 999.5) return `${seconds.toFixed(seconds < 9.995 ? 2 : 1)} s`;
  return `${milliseconds.toFixed(milliseconds < 9.95 ? 1 : 0)} ms`;
}
