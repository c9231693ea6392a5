// Divides a text into paragraphs, and paragraphs into batches.

/** Paragraphs of a batch. Smaller than most servers allow, so that results appear early. */
export const BATCH_PARAGRAPHS = 32;

const encoder = new TextEncoder();

/**
 * The paragraphs of a text, without white space around them and without empty ones.
 * `separator` is "blank" (one or more blank lines) or "line" (each line break).
 */
export function paragraphsOf(text, separator) {
  const lines = text.replace(/\r\n?/g, "\n");
  const parts = separator === "line" ? lines.split("\n") : lines.split(/\n[^\S\n]*\n/);
  return parts.map((part) => part.trim()).filter((part) => part !== "");
}

/** Bytes of a text in UTF-8. */
export function bytesOf(text) {
  return encoder.encode(text).length;
}

/** Why the server would refuse a paragraph for its size, or null. `limits` are those of GetModel. */
export function sizeProblem(text, limits) {
  const characters = [...text].length;
  if (characters > limits.maxParagraphCharacters) {
    return `text has ${characters} characters; the limit is ${limits.maxParagraphCharacters}: split it into paragraphs`;
  }
  const bytes = bytesOf(text);
  if (bytes > limits.maxParagraphBytes) {
    return `text has ${bytes} bytes in UTF-8; the limit is ${limits.maxParagraphBytes}: split it into paragraphs`;
  }
  return null;
}

/**
 * Consecutive batches of entries with a `text`. Each batch keeps the limits of GetModel for a call.
 * An entry that is larger than a whole batch is alone in its batch.
 */
export function batchesOf(entries, limits) {
  const maximum = Math.min(BATCH_PARAGRAPHS, limits.maxBatchParagraphs);
  const batches = [];
  let bytes = Infinity;
  for (const entry of entries) {
    const size = bytesOf(entry.text);
    if (bytes + size > limits.maxBatchBytes || batches.at(-1).length === maximum) {
      batches.push([]);
      bytes = 0;
    }
    batches.at(-1).push(entry);
    bytes += size;
  }
  return batches;
}
