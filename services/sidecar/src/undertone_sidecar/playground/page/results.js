// What the page shows for a paragraph, for the whole text, for the calls and for the model.

import { codeName } from "./api.js";
import { duration, element, number, percent, plural } from "./dom.js";
import { huesOf, paint, readingOrder } from "./palette.js";

const MAX_BARS = 12; // with more labels, a paragraph shows its most probable ones first
const FIRST_BARS = 8;
const MAX_NAMED = 4; // labels of a paragraph above its bars

/** A list item: the text of an entry, and its distribution or its error. */
export function paragraphItem(scoring, entry) {
  const item = element(
    "li",
    { id: `paragraph-${entry.number}`, tabindex: "-1" },
    element("span", { class: "index" }, number(entry.number)),
    element("p", { class: "prose" }, entry.text),
  );
  item.append(entry.error ? errorBox(entry.error) : distribution(scoring, entry.classification));
  return item;
}

function errorBox({ code, message }) {
  return element("p", { class: "error" }, element("strong", {}, codeName(code)), ` ${message}`);
}

function distribution(scoring, classification) {
  const { probabilities, tokens, truncated, chunks, flags } = classification;
  const ranked = [...scoring.order].sort((a, b) => probabilities[b] - probabilities[a]);
  const has = new Set(scoring.labelsOf(classification));
  const bars = (indexes) => {
    const list = element("ul", { class: "bars" });
    for (const index of indexes) list.append(bar(scoring, index, probabilities[index], has.has(index)));
    return list;
  };
  const heading = verdict(scoring, ranked.filter((index) => has.has(index)), probabilities);
  const facts = [plural(tokens, "token")];
  if (chunks > 1) facts.push(plural(chunks, "chunk"));
  if (truncated) facts.push("the end was ignored");
  heading.append(element("span", { class: "detail" }, facts.join(", ")));
  const box = element("div", { class: "distribution" }, heading);
  if (flags?.length) box.append(flagNote(flags));
  if (scoring.labels.length <= MAX_BARS) {
    box.append(bars(scoring.order));
  } else {
    const rest = ranked.slice(FIRST_BARS);
    box.append(bars(ranked.slice(0, FIRST_BARS)));
    box.append(element("details", {}, element("summary", {}, `${rest.length} other labels`), bars(rest)));
  }
  return box;
}

const FLAG_REASONS = {
  FLAG_LANGUAGE: "in a language that the model was not made for",
  FLAG_UNREADABLE: "not readable for the model",
};

function flagNote(flags) {
  const reasons = flags.map((flag) => FLAG_REASONS[flag] ?? flag);
  return element("p", { class: "flag" }, `Not reliable: the text is ${reasons.join(", ")}.`);
}

/** The labels that the paragraph has, the most probable first. */
function verdict(scoring, indexes, probabilities) {
  const line = element("p", { class: "verdict" });
  if (indexes.length === 0) line.append(element("span", { class: "no-label" }, "no label reaches its threshold"));
  for (const index of indexes.slice(0, MAX_NAMED)) {
    const name = paint(element("b", {}, scoring.labels[index]), scoring.hues[index]);
    line.append(element("span", {}, name, ` ${percent(probabilities[index])}`), " ");
  }
  const rest = indexes.length - MAX_NAMED;
  if (rest > 0) line.append(element("span", { class: "no-label" }, `and ${rest} more`), " ");
  return line;
}

function bar(scoring, index, probability, has) {
  const track = element("i", { class: "track", "aria-hidden": "true" }, element("i", { class: "value" }));
  track.firstChild.style.width = `${100 * probability}%`;
  if (scoring.thresholds) {
    const mark = track.appendChild(element("i", { class: "mark" }));
    mark.style.left = `${100 * scoring.thresholds[index]}%`;
  }
  const name = element("span", { class: "name", title: scoring.labels[index] }, scoring.labels[index]);
  const item = element("li", has ? { class: "has" } : {}, name, " ", track, element("span", { class: "share" }, percent(probability)));
  return paint(item, scoring.hues[index]);
}

/** One sentence on the labels of the text. */
export function summarize(scoring) {
  const { counts, none } = scoring.counts;
  const total = scoring.scored.length;
  if (total === 0) return "No paragraph has a score.";
  const ranked = scoring.order.filter((index) => counts[index] > 0).sort((a, b) => counts[b] - counts[a]);
  if (ranked.length === 0) return `No label reaches its threshold in ${plural(total, "paragraph")}.`;
  const [first, ...others] = ranked.map((index) => ({ label: scoring.labels[index], count: counts[index] }));
  let text = `${first.label} ${scoring.multiLabel ? "reaches its threshold" : "leads"} in ${first.count} of ${plural(total, "paragraph")}`;
  const next = others.slice(0, 2).map(({ label, count }) => `${label} (${count})`);
  if (next.length) text += `, followed by ${next.join(" and ")}`;
  if (none) text += `; ${plural(none, "paragraph")} ${none === 1 ? "has" : "have"} no label`;
  return `${text[0].toUpperCase()}${text.slice(1)}.`;
}

/** What the bars of the paragraphs show. */
export function describeBars(scoring) {
  const parts = [
    scoring.multiLabel
      ? "The bars are the probabilities of the labels, which are independent. A paragraph has the labels whose probability reaches their threshold."
      : "The bars are the probabilities of the labels. They add up to 100%.",
  ];
  if (scoring.thresholds) parts.push("The mark is the threshold.");
  return parts.join(" ");
}

/** Figures of the text: description lists of a term and a number. */
export function textFigures(scoring) {
  const tokens = scoring.scored.reduce((sum, entry) => sum + entry.classification.tokens, 0);
  const failed = scoring.entries.filter((entry) => entry.error).length;
  const figures = [
    ["Paragraphs scored", number(scoring.scored.length)],
    ["Tokens", number(tokens)],
    ["Round trips", duration(scoring.seconds)],
    ["Paragraphs per second", number(Math.round((10 * scoring.scored.length) / scoring.seconds) / 10)],
  ];
  const flagged = scoring.scored.filter((entry) => entry.classification.flags?.length).length;
  if (flagged) figures.splice(1, 0, ["Not reliable", number(flagged)]);
  if (failed) figures.splice(1, 0, ["Without a score", number(failed)]);
  return figures.map(([term, value]) => element("div", {}, element("dt", {}, term), element("dd", {}, value)));
}

/** A table row for each call. */
export function callRows(calls) {
  return calls.map(({ paragraphs, timings, seconds }, index) => {
    const stages = [timings.tokenizeSeconds, timings.queueSeconds, timings.predictSeconds, timings.totalSeconds, seconds];
    const cells = [number(paragraphs), ...stages.map(duration)].map((value) => element("td", {}, value));
    return element("tr", {}, element("th", { scope: "row" }, number(index + 1)), ...cells);
  });
}

/** Facts on the served model. */
export function modelFacts(contract) {
  const multiLabel = contract.problemType === "PROBLEM_TYPE_MULTI_LABEL";
  const hues = huesOf(contract.labels);
  const labels = element("ul", { class: "legend" });
  for (const index of readingOrder(contract.labels)) {
    const threshold = multiLabel && contract.thresholds[index] !== undefined ? ` ${percent(contract.thresholds[index])}` : "";
    labels.append(paint(element("li", {}, contract.labels[index], threshold), hues[index]));
  }
  const facts = [
    ["Name", contract.name],
    ["Version", contract.version],
    ["Precision", contract.precision],
    ["Labels of a paragraph", multiLabel ? "any number (the percentages are the thresholds)" : "exactly one"],
    [`${plural(contract.labels.length, "label")}`, labels],
    ["Maximum tokens", number(contract.maxTokens)],
  ];
  return facts.map(([term, value]) => element("div", {}, element("dt", {}, term), element("dd", {}, value)));
}
