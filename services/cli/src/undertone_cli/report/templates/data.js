// The data of the charts: columns over the groups of all stories, and the stories.
const byId = (id) => document.getElementById(id);
const data = JSON.parse(byId("data").textContent);

function decode(base64, Type) {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  const size = Type.BYTES_PER_ELEMENT;
  const read = { 1: (i) => bytes[i], 2: (i) => view.getUint16(2 * i, true), 4: (i) => view.getUint32(4 * i, true) }[size];
  return Array.from({ length: bytes.length / size }, (_, i) => read(i));
}

const probabilities = (base64) => decode(base64, Uint16Array).map((value) => value / data.scale);

function readColumns() {
  const { first, last, count, leading, confidence, means, maxima, valence, changed } = data.columns;
  const columns = {
    first: decode(first, Uint32Array),
    last: decode(last, Uint32Array),
    count: decode(count, Uint32Array),
    leading: decode(leading, Uint16Array).map((index) => (index === 65535 ? null : index)),
    confidence: probabilities(confidence),
    means: means.map(probabilities),
    valence: valence && probabilities(valence).map((value) => value - 1),
    changed: changed && decode(changed, Uint32Array),
  };
  columns.maxima = maxima ? maxima.map(probabilities) : columns.means;
  columns.center = columns.first.map((place, i) => (place + columns.last[i]) / 2);
  return columns;
}

/** A story with its own slices of the columns. */
function course(story) {
  const cut = (column) => column && column.slice(story.start, story.start + story.groups);
  const { first, last, count, leading, confidence, means, maxima, valence, changed, center } = columns;
  return {
    first: cut(first),
    last: cut(last),
    count: cut(count),
    center: cut(center),
    leading: cut(leading),
    confidence: cut(confidence),
    valence: cut(valence),
    changed: cut(changed),
    means: means.map(cut),
    maxima: maxima.map(cut),
  };
}

function percent(share) {
  if (share > 0 && share < 0.005) return "<1%";
  if (share >= 0.995 && share < 1) return ">99%";
  return `${Math.round(100 * share)}%`;
}

const signed = (value) => (Math.abs(value) < 0.005 ? "0.00" : (value < 0 ? "−" : "+") + Math.abs(value).toFixed(2));
const number = (value) => value.toLocaleString("en-US");
const paragraphs = (count) => `${number(count)} ${count === 1 ? "paragraph" : "paragraphs"}`;

function element(name, attributes = {}, ...children) {
  const svg = ["svg", "path", "g", "rect"].includes(name);
  const made = svg ? document.createElementNS(byId("ridges").namespaceURI, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const columns = data.stories.length ? readColumns() : null;
