// The arc of one story: rows of labels, and the strip of the groups below.
const WIDTH = 1200;
const ROW = 480; // tenths of a pixel
const HEIGHT = 440; // of the probability `data.top`
const SMOOTHING = { default: 4, factor: 2 }; // position 0 of the control is no smoothing

function bandwidth(story, position) {
  return position === 0 ? 0 : story.bandwidth * SMOOTHING.factor ** (position - SMOOTHING.default);
}

const horizontal = (story) => {
  const span = story.last - story.first + 1;
  return (place) => Math.round((10 * WIDTH * (place - story.first)) / span) / 10;
};

function line(values, base, height) {
  const x = (i) => Math.round((WIDTH * (i + 0.5)) / values.length);
  const points = values.map((value, i) => `${x(i)} ${Math.round(base - height * value)}`);
  const end = Math.round(base - height * values[values.length - 1]);
  return `M0 ${Math.round(base - height * values[0])}L${points.join("L")}L${WIDTH} ${end}`;
}

function bars(groups, x, values, base, height) {
  return values
    .map((value, i) => `M${x(groups.first[i])} ${base}V${Math.round(base - height * value)}H${x(groups.last[i] + 1)}V${base}z`)
    .join("");
}

/** The upper edges of the bars: a pale bar alone has too little contrast. */
function edges(groups, x, values, base, height) {
  return values.map((value, i) => `M${x(groups.first[i])} ${Math.round(base - height * value)}H${x(groups.last[i] + 1)}`).join("");
}

/** The rows: valence if it is known, the labels in charts, confidence. */
function rows(groups) {
  const labels = data.shown.map((index, row) => ({
    class: `e${index}`,
    name: data.labels[index],
    mean: groups.means[row],
    highest: groups.maxima[row],
    threshold: data.thresholds && data.thresholds[row],
    text: percent,
  }));
  const confidence = { class: "plain", name: "confidence", mean: groups.confidence, highest: null, text: percent };
  const valence = { class: "plain", name: "valence", mean: groups.valence, centered: true, text: signed };
  return [...(groups.valence ? [valence] : []), ...labels, { ...confidence, whole: true }];
}

function drawRow(row, index, { groups, story, x, values, bars: withBars }) {
  const base = ROW * (index + 1);
  const middle = row.centered ? base - HEIGHT / 2 : base;
  const height = row.centered ? HEIGHT / 2 : HEIGHT / (row.whole ? 1 : data.top);
  const group = element("g", { class: row.class });
  group.append(element("path", { class: "base", d: `M0 ${middle}H${WIDTH}` }));
  if (row.highest && withBars) {
    group.append(element("path", { class: "bars", d: bars(groups, x, row.highest, base, height) }));
    group.append(element("path", { class: "edges", d: edges(groups, x, row.highest, base, height) }));
  }
  const outline = line(values, middle, height);
  group.append(element("path", { class: "area", d: `${outline}V${middle}H0z` }), element("path", { class: "line", d: outline }));
  if (row.threshold != null && row.threshold <= data.top) {
    group.append(element("path", { class: "threshold", d: `M0 ${Math.round(base - height * row.threshold)}H${WIDTH}` }));
  }
  return group;
}

function strip(groups, x) {
  const cells = new Map();
  groups.leading.forEach((leading, i) => {
    const name = leading === null ? "none" : `e${leading}`;
    cells.set(name, `${cells.get(name) ?? ""}M${x(groups.first[i])} 0H${x(groups.last[i] + 1)}V140H${x(groups.first[i])}z`);
  });
  return [...cells].map(([name, d]) => element("path", { class: `cell ${name}`, d }));
}

function changes(groups, x) {
  if (!groups.changed) return [];
  const d = groups.changed
    .map((changed, i) => {
      const share = changed / groups.count[i];
      return share ? `M${x(groups.first[i])} 100V${Math.round(100 - 100 * share)}H${x(groups.last[i] + 1)}V100z` : "";
    })
    .join("");
  return [element("path", { class: "cell", d: d || "M0 0" })];
}

/** Draws a story. Returns its rows and groups for the readout. */
function draw(story, position, withBars) {
  const groups = course(story);
  const x = horizontal(story);
  const found = rows(groups);
  const span = story.last - story.first + 1;
  const series = found.map((row) => row.mean);
  const curves = smooth(groups, series, story.first, span, bandwidth(story, position), chartPoints(story.groups));
  const ridges = byId("ridges");
  ridges.replaceChildren(
    element("path", {
      class: "chapter",
      d: story.chapters.map(([place]) => `M${x(place)} 0V${ROW * found.length}`).join("") || "M0 0",
    }),
    ...found.map((row, i) => drawRow(row, i, { groups, story, x, values: curves[i], bars: withBars })),
  );
  byId("strip").replaceChildren(...strip(groups, x));
  byId("strip").classList.toggle("separate", groups.first.length <= 64);
  if (byId("changes")) byId("changes").replaceChildren(...changes(groups, x));
  return { groups, rows: found, curves };
}
