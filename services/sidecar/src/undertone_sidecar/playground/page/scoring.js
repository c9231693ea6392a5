// The scores of a text: its paragraphs with their answers, and the model that gave them.

import { huesOf, readingOrder } from "./palette.js";

const SHOWN_IN_ARC = 12; // more colours cannot be told apart

/** Thrown if two calls of one text were answered by different models, whose scores cannot be compared. */
export class ModelChangedError extends Error {}

/**
 * Paragraphs in the order of the text. An entry has `number` (from 1), `text`, and later either `classification`
 * (a Classification) or `error` (a google.rpc.Status).
 */
export class Scoring {
  /** `contract` is the ModelContract of GetModel. */
  constructor(texts, contract) {
    this.entries = texts.map((text, index) => ({ number: index + 1, text, classification: null, error: null }));
    this.contract = contract;
    this.calls = [];
    this.model = null;
    this.labels = [];
  }

  /** Sum of the round trips in seconds. */
  get seconds() {
    return this.calls.reduce((sum, call) => sum + call.seconds, 0);
  }

  /** Entries without an answer. */
  get waiting() {
    return this.entries.filter((entry) => !entry.classification && !entry.error);
  }

  /** Entries before the first one without an answer. */
  get answered() {
    const end = this.entries.findIndex((entry) => !entry.classification && !entry.error);
    return end < 0 ? this.entries : this.entries.slice(0, end);
  }

  /** Entries with scores. */
  get scored() {
    return this.entries.filter((entry) => entry.classification);
  }

  /** Adds a ClassifyBatchResponse for the entries of a batch. `seconds` is the time of the round trip. */
  add(batch, response, seconds) {
    const { model, labels, results } = response;
    if (this.model && identity(this.model) !== identity(model)) {
      throw new ModelChangedError(
        `The model changed from version ${this.model.version} to ${model.version} while the text was scored. ` +
          "Score the text again.",
      );
    }
    if (!this.model) {
      this.model = model;
      this.labels = labels;
      this.hues = huesOf(labels);
      this.order = readingOrder(labels);
      this.multiLabel = response.problemType === "PROBLEM_TYPE_MULTI_LABEL";
      const { name, version, thresholds } = this.contract;
      const known = this.multiLabel && name === model.name && version === model.version;
      this.thresholds = known && thresholds.length === labels.length ? thresholds : null;
    }
    batch.forEach((entry, index) => {
      entry.classification = results[index].classification ?? null;
      entry.error = results[index].error ?? null;
    });
    this.calls.push({ paragraphs: batch.length, timings: response.timings, seconds });
  }

  /** Indexes of the labels that a paragraph has: its most probable one, or those that reach their threshold. */
  labelsOf(classification) {
    return this.multiLabel ? classification.labelIndexesAboveThreshold : [classification.labelIndex];
  }

  /** The number of paragraphs with each label, and with none. */
  get counts() {
    const counts = this.labels.map(() => 0);
    let none = 0;
    for (const { classification } of this.scored) {
      const indexes = this.labelsOf(classification);
      indexes.forEach((index) => counts[index]++);
      if (indexes.length === 0) none++;
    }
    return { counts, none };
  }

  /** Indexes of the labels that the arc shows, in reading order: the most frequent ones. */
  get shown() {
    const { counts } = this.counts;
    const means = this.means;
    const frequent = [...this.order].sort((a, b) => counts[b] - counts[a] || means[b] - means[a]);
    const chosen = new Set(frequent.slice(0, SHOWN_IN_ARC));
    return this.order.filter((index) => chosen.has(index));
  }

  /** Mean probability of each label. */
  get means() {
    return meansOf(this.scored.map((entry) => entry.classification.probabilities), this.labels.length);
  }
}

/** The mean of each column of rows with `width` columns. */
export function meansOf(rows, width) {
  const sums = new Array(width).fill(0);
  for (const row of rows) row.forEach((value, index) => (sums[index] += value));
  return sums.map((sum) => sum / Math.max(1, rows.length));
}

function identity({ name, version, precision }) {
  return `${name} ${version} ${precision}`;
}
