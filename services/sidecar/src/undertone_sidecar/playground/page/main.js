// Connects the form, the calls and the results.

import { classifyBatch, codeName, getModel } from "./api.js";
import { arcChart } from "./arc.js";
import { duration, element, number, plural } from "./dom.js";
import { callRows, describeBars, modelFacts, paragraphItem, summarize, textFigures } from "./results.js";
import { Scoring } from "./scoring.js";
import { STORIES } from "./stories.js";
import { batchesOf, paragraphsOf, sizeProblem } from "./text.js";

const PAGE_SIZE = 100; // paragraphs that the list shows at a time
const INVALID_ARGUMENT = 3;

const $ = (id) => document.getElementById(id);
const form = $("form");
const text = $("text");

let contract = null;
let limits = null;
let scoring = null;
let policy = null;
let running = null; // the AbortController of the running calls

// The model

async function loadModel(signal) {
  ({ contract, limits } = await getModel(signal));
  $("model").replaceChildren(...modelFacts(contract));
  $("max-tokens").textContent = number(contract.maxTokens);
  $("label-count").textContent = plural(contract.labels.length, "label");
}

// The text

function paragraphs() {
  return paragraphsOf(text.value, $("separator").value);
}

function describeSize() {
  const count = paragraphs().length;
  $("size").textContent = count ? `${plural(count, "paragraph")}, ${plural(text.value.length, "character")}` : "No text yet";
}

function addStories() {
  const add = (title, content) => {
    const button = element("button", { type: "button" }, title);
    button.addEventListener("click", () => {
      text.value = content();
      text.scrollTop = 0;
      describeSize();
      start();
    });
    return $("stories").appendChild(button);
  };
  for (const story of STORIES) {
    add(story.title, () => {
      $("separator").value = "blank";
      return story.text;
    });
  }
  let own = { text: "", separator: "blank" };
  const back = add("Your text", () => {
    $("separator").value = own.separator;
    return own.text;
  });
  back.hidden = true;
  form.addEventListener("input", () => {
    if (STORIES.some((story) => story.text === text.value)) return;
    own = { text: text.value, separator: $("separator").value };
    back.hidden = own.text === "";
  });
}

// Calls

function start() {
  const texts = paragraphs();
  if (texts.length === 0) {
    status("Write or paste a text first.");
    text.focus();
    return;
  }
  scoring = null;
  $("results").hidden = true;
  policy = $("policy").value;
  run("Scoring …", async (signal) => {
    await loadModel(signal); // the model may have changed since the page was loaded
    scoring = new Scoring(texts, contract);
    for (const entry of scoring.entries) {
      const message = sizeProblem(entry.text, limits);
      if (message) entry.error = { code: INVALID_ARGUMENT, message };
    }
    await scoreWaiting(signal);
  });
}

/** Runs `work`, which the button Cancel aborts, and shows its activity and its error. */
async function run(activity, work) {
  running?.abort();
  const controller = new AbortController();
  running = controller;
  problem(null);
  status(activity);
  showRunning(true);
  try {
    await work(controller.signal);
  } catch (error) {
    if (controller !== running) return; // another text is being scored
    if (error.name === "AbortError") status(`Cancelled. ${progressText()}`.trim());
    else {
      status(progressText());
      problem(error);
    }
  } finally {
    if (controller === running) {
      running = null;
      showRunning(false);
    }
  }
}

async function scoreWaiting(signal) {
  const batches = batchesOf(scoring.waiting, limits);
  const lane = batches.length > 1 ? "batch" : "online"; // a long text must not delay callers that wait for one paragraph
  showProgress();
  for (const batch of batches) {
    const sent = performance.now();
    const response = await classifyBatch({ texts: batch.map((entry) => entry.text), policy, lane, signal });
    scoring.add(batch, response, (performance.now() - sent) / 1000);
    showResults();
    showProgress();
  }
  if (batches.length === 0) showResults();
  status(resultText());
}

function countText() {
  const [scored, total] = [scoring.scored.length, scoring.entries.length];
  return `${scored === total ? "" : `${number(scored)} of `}${plural(total, "paragraph")} scored`;
}

function progressText() {
  return scoring ? `${countText()}.` : "";
}

function resultText() {
  const failed = scoring.entries.filter((entry) => entry.error).length;
  return `${countText()} in ${duration(scoring.seconds)}${failed ? `, ${plural(failed, "error")}` : ""}.`;
}

// The state of the form

function showRunning(on) {
  if (!on && document.activeElement === $("cancel")) $("score").focus(); // a hidden button has no focus
  $("cancel").hidden = !on;
  if (!on) $("progress").hidden = true;
  $("continue").hidden = on || !scoring || scoring.waiting.length === 0;
  form.setAttribute("aria-busy", on);
}

function showProgress() {
  $("progress").hidden = false;
  $("progress").max = scoring.entries.length;
  $("progress").value = scoring.entries.length - scoring.waiting.length;
  if (scoring.calls.length) status(progressText());
}

function status(message) {
  $("status").textContent = message;
}

function problem(error) {
  const box = $("problem");
  box.hidden = error === null;
  box.replaceChildren();
  if (error === null) return;
  if (error.code !== undefined && error.code !== null) box.append(element("strong", {}, `${codeName(error.code)}:`), " ");
  box.append(/[.!?]$/.test(error.message) ? error.message : `${error.message}.`);
  if (error.retryAfter) box.append(` The server asks to wait ${plural(error.retryAfter, "second")} before a retry.`);
}

// Results

function showResults() {
  const first = $("results").hidden;
  $("results").hidden = false;
  $("summary").textContent = summarize(scoring);
  const chart = scoring.scored.length > 1 ? arcChart(scoring, openParagraph) : null;
  $("arc").hidden = chart === null;
  $("chart").replaceChildren(...(chart ? [chart.plot] : []));
  $("arc-note").textContent = chart ? arcNote(chart.largest) : "";
  $("paragraphs-note").textContent = describeBars(scoring);
  listParagraphs(PAGE_SIZE);
  $("figures").replaceChildren(...(scoring.calls.length ? textFigures(scoring) : []));
  $("calls").replaceChildren(...callRows(scoring.calls));
  if (first) $("paragraphs-title").scrollIntoView({ block: "nearest" }); // and so the arc, above it
}

function arcNote(largest) {
  const [shown, total] = [scoring.shown.length, scoring.labels.length];
  const parts = [
    largest > 1
      ? `The curves pass through the mean probabilities of up to ${largest} adjacent paragraphs.`
      : "The curves pass through the probabilities of each paragraph.",
    scoring.multiLabel
      ? "The strip has the colour of the most probable label that the paragraph has."
      : "The strip has the colour of the most probable label.",
  ];
  if (scoring.thresholds) parts.push("The dashed line is the threshold of the label.");
  if (shown < total) parts.push(`The ${shown} most frequent of ${total} labels are shown.`);
  parts.push("Point at the chart, or use the arrow keys, to see one paragraph. Click, or press Enter, to go to it.");
  return parts.join(" ");
}

/** Makes the list show the first `count` answered paragraphs. */
function listParagraphs(count) {
  const list = $("paragraphs");
  if (list.scoring !== scoring) list.replaceChildren();
  list.scoring = scoring;
  const { answered } = scoring;
  const known = list.children.length;
  list.append(...answered.slice(known, Math.max(count, known)).map((entry) => paragraphItem(scoring, entry)));
  const hidden = answered.length - list.children.length;
  $("more").hidden = hidden <= 0;
  $("more").textContent = `Show ${number(Math.min(hidden, PAGE_SIZE))} of ${plural(hidden, "more paragraph")}`;
}

function openParagraph(position) {
  const place = scoring.answered.findIndex((entry) => entry.number === position);
  listParagraphs(place + 1);
  const item = $(`paragraph-${position}`);
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  item.focus({ preventScroll: true });
  item.scrollIntoView({ block: "center", behavior: calm ? "auto" : "smooth" });
}

addStories();
describeSize();
text.addEventListener("input", describeSize);
$("separator").addEventListener("change", describeSize);
form.addEventListener("submit", (event) => {
  event.preventDefault();
  start();
});
form.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    start();
  }
  if (event.key === "Escape") running?.abort();
});
$("cancel").addEventListener("click", () => running?.abort());
$("continue").addEventListener("click", () => run("Scoring …", scoreWaiting));
$("more").addEventListener("click", () => {
  const list = $("paragraphs");
  const known = list.children.length;
  listParagraphs(known + PAGE_SIZE);
  list.children[known].focus();
});
run("Loading the model …", async (signal) => {
  await loadModel(signal);
  status("");
});
