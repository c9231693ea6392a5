// The chart of probabilities along the text: a row for each label, and a strip of the paragraphs below.

import { curve } from "./curve.js";
import { element, percent, svg } from "./dom.js";
import { paint } from "./palette.js";
import { meansOf } from "./scoring.js";

const WIDTH = 1200; // of the drawing, which is stretched to the width of the page
const PITCH = 36; // pixels between two rows
const HEADROOM = 26; // pixels by which a row may rise into the one above
const MIN_PEAK = 0.5; // lower peaks do not fill the row: weak labels should look weak
const MAX_GROUPS = 240; // with more paragraphs, a point is the mean of a group of adjacent ones
const MAX_SEPARATE = 64; // with more, the cells of the strip have no gaps

/**
 * The chart of a Scoring with at least one scored paragraph. `open` is called with the number of a paragraph that the
 * user chooses. Returns the element and the largest number of paragraphs of a group.
 */
export function arcChart(scoring, open) {
  const groups = groupsOf(scoring);
  const rows = scoring.shown;
  const means = scoring.means;
  const height = HEADROOM + PITCH * rows.length + 1;
  const peak = Math.max(...groups.map((group) => Math.max(...rows.map((label) => group.means[label]))));
  const rise = (PITCH + HEADROOM) / Math.max(peak, MIN_PEAK);

  const ridges = svg("svg", { class: "ridges", viewBox: `0 0 ${WIDTH} ${height}`, height, preserveAspectRatio: "none" });
  rows.forEach((label, row) => {
    const base = HEADROOM + PITCH * (row + 1);
    const points = groups.map((group) => [WIDTH * group.middle, base - rise * group.means[label]]);
    const line = curve(points, 0, WIDTH);
    ridges.append(
      svg("path", { class: "base", d: `M0 ${base}H${WIDTH}` }),
      paint(
        svg("g", {}, svg("path", { class: "area", d: `${line}V${base}H0z` }), svg("path", { class: "line", d: line })),
        scoring.hues[label],
      ),
    );
    if (scoring.thresholds && scoring.thresholds[label] * rise <= PITCH + HEADROOM) {
      ridges.append(svg("path", { class: "threshold", d: `M0 ${base - rise * scoring.thresholds[label]}H${WIDTH}` }));
    }
  });

  const strip = svg("svg", { class: "strip", viewBox: `0 0 ${WIDTH} 14`, height: 14, preserveAspectRatio: "none" });
  if (groups.length <= MAX_SEPARATE) strip.classList.add("separate");
  for (const group of groups) {
    const cell = svg("rect", { x: WIDTH * group.start, width: WIDTH * (group.end - group.start), height: 14 });
    strip.append(group.leading === null ? cell : paint(cell, scoring.hues[group.leading]));
  }

  const names = element("ol", { class: "names", "aria-hidden": "true" });
  const values = element("ol", { class: "values", "aria-label": "Mean probability of each label" });
  for (const label of rows) {
    const name = element("span", { title: scoring.labels[label] }, scoring.labels[label]);
    names.append(paint(element("li", {}, name), scoring.hues[label]));
    const hidden = element("span", { class: "visually-hidden" }, `${scoring.labels[label]} `);
    values.append(paint(element("li", {}, hidden, percent(means[label])), scoring.hues[label]));
  }
  const canvas = element("div", { class: "canvas" }, ridges, strip);
  const selected = element("span", {}, "paragraph");
  const title = element("p", { class: "column-title" }, "mean");
  const last = scoring.scored.at(-1).number;
  const axis = element("p", { class: "axis" }, element("span", {}, `${groups[0].first}`), selected);
  if (last > groups[0].first) axis.append(element("span", {}, `${last}`));
  const plot = element("div", { class: "plot" }, names, canvas, values, axis, title);
  addReading({ plot, canvas, values, selected, title, groups, scoring, rows, means, rise, open });
  return { plot, largest: Math.max(...groups.map((group) => group.count)) };
}

/** Scored paragraphs as points of the chart, with their place from 0 to 1. */
function groupsOf(scoring) {
  const { scored } = scoring;
  const first = scored[0].number;
  const span = scored.at(-1).number - first + 1;
  const size = Math.ceil(span / MAX_GROUPS);
  const members = new Map();
  for (const entry of scored) {
    const key = Math.floor((entry.number - first) / size);
    if (!members.has(key)) members.set(key, []);
    members.get(key).push(entry);
  }
  return [...members.values()].map((entries) => {
    const [from, to] = [entries[0].number, entries.at(-1).number];
    const [start, end] = [(from - first) / span, (to - first + 1) / span];
    const rows = entries.map((entry) => entry.classification.probabilities);
    const means = meansOf(rows, scoring.labels.length);
    const leading = leadingOf(scoring, entries, means);
    return { first: from, last: to, count: entries.length, start, end, middle: (start + end) / 2, means, leading };
  });
}

/** Index of the label that the most paragraphs have, by mean if several do; null if no paragraph has a label. */
function leadingOf(scoring, entries, means) {
  const counts = new Map();
  for (const { classification } of entries) {
    for (const label of scoring.labelsOf(classification)) counts.set(label, (counts.get(label) ?? 0) + 1);
  }
  return [...counts.keys()].sort((a, b) => counts.get(b) - counts.get(a) || means[b] - means[a])[0] ?? null;
}

/** Shows the values at the pointer, and makes the canvas a slider for the keyboard. */
function addReading({ plot, canvas, values, selected, title, groups, scoring, rows, means, rise, open }) {
  const cursor = canvas.appendChild(element("i", { class: "cursor" }));
  const stems = rows.map((label) => canvas.appendChild(paint(element("i", { class: "stem" }), scoring.hues[label])));
  let current = -1;

  const write = (numbers) => rows.forEach((label, row) => (values.children[row].lastChild.data = percent(numbers[label])));
  const describe = (group) => {
    const place = group.count > 1 ? `paragraphs ${group.first}–${group.last}, mean` : `paragraph ${group.first}`;
    const ranked = [...scoring.order].sort((a, b) => group.means[b] - group.means[a]).slice(0, 3);
    return { place, text: `${place}: ${ranked.map((i) => `${scoring.labels[i]} ${percent(group.means[i])}`).join(", ")}` };
  };

  function show(index) {
    current = Math.min(Math.max(index, 0), groups.length - 1);
    const group = groups[current];
    const { place, text } = describe(group);
    cursor.style.left = `${100 * group.middle}%`;
    stems.forEach((stem, row) => {
      const tall = rise * group.means[rows[row]];
      stem.style.left = `${100 * group.middle}%`;
      stem.style.top = `${HEADROOM + PITCH * (row + 1) - tall}px`;
      stem.style.height = `${tall}px`;
    });
    write(group.means);
    selected.textContent = place;
    title.textContent = "here";
    plot.classList.add("reading");
    canvas.setAttribute("aria-valuenow", current + 1);
    canvas.setAttribute("aria-valuetext", text);
  }

  function reset() {
    plot.classList.remove("reading");
    write(means);
    selected.textContent = "paragraph";
    title.textContent = "mean";
  }

  function nearest({ clientX }) {
    const { left, width } = canvas.getBoundingClientRect();
    const distance = (group) => Math.abs(group.middle - (clientX - left) / width);
    return groups.reduce((best, group, index) => (distance(group) < distance(groups[best]) ? index : best), 0);
  }

  canvas.tabIndex = 0;
  for (const [name, value] of Object.entries({
    role: "slider",
    "aria-label": "Paragraph of the text",
    "aria-valuemin": 1,
    "aria-valuemax": groups.length,
    "aria-valuenow": 1,
    "aria-valuetext": describe(groups[0]).text,
  })) canvas.setAttribute(name, value);

  const steps = {
    ArrowLeft: () => current - 1,
    ArrowRight: () => current + 1,
    ArrowDown: () => current - 1,
    ArrowUp: () => current + 1,
    PageDown: () => current - 10,
    PageUp: () => current + 10,
    Home: () => 0,
    End: () => groups.length - 1,
  };
  canvas.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "Escape") reset();
    if (event.key === "Enter" && current >= 0) open(groups[current].first);
    if (!(event.key in steps)) return;
    event.preventDefault();
    show(steps[event.key]());
  });
  canvas.addEventListener("pointermove", (event) => show(nearest(event)));
  canvas.addEventListener("pointerdown", (event) => show(nearest(event)));
  canvas.addEventListener("click", (event) => open(groups[nearest(event)].first));
  canvas.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && reset());
  canvas.addEventListener("blur", reset);
}
