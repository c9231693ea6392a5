// Calls of the HTTP API of this server. Addresses are relative to the page, so that a proxy may add a prefix.

const TIMEOUT_SECONDS = 120;

// The names of gRPC's status codes; the index is the code.
const CODES = [
  "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
  "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
  "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
];

/** A call that failed. `retryAfter` is the time to wait in seconds, or null. */
export class CallError extends Error {
  constructor(message, { code = null, retryAfter = null } = {}) {
    super(message);
    this.name = "CallError";
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

/** The name of a gRPC status code. */
export function codeName(code) {
  return CODES[code] ?? `code ${code}`;
}

/** The contract of the served model, and the limits of the server: a GetModelResponse. */
export function getModel(signal) {
  return call("v1/model", { signal });
}

/**
 * Scores a batch: a ClassifyBatchResponse. `lane` is "online" or "batch".
 * An aborted call fails with an AbortError, and all other failures are CallErrors.
 */
export function classifyBatch({ texts, policy, lane, signal }) {
  const request = { paragraphs: texts.map((text) => ({ text })), overlengthPolicy: policy };
  return call("v1/paragraphs:classifyBatch", {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "grpc-timeout": `${TIMEOUT_SECONDS}S`,
      "undertone-lane": lane,
    },
    body: JSON.stringify(request),
    signal,
  });
}

async function call(path, options) {
  let response, body;
  try {
    response = await fetch(new URL(path, document.baseURI), { cache: "no-store", redirect: "error", ...options });
    body = await response.text();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new CallError("The server does not answer. Check that it runs, and try again.");
  }
  const message = parse(body);
  if (response.ok && message !== null) return message;
  const { code = null, message: reason } = message ?? {};
  throw new CallError(reason || `The server answered with HTTP status ${response.status}.`, {
    code,
    retryAfter: secondsUntil(response.headers.get("retry-after")),
  });
}

function parse(body) {
  try {
    return JSON.parse(body);
  } catch {
    return null; // the answer of a proxy, such as a page
  }
}

/** Seconds of a Retry-After header, which is a number of seconds or a date. Null without one. */
function secondsUntil(header) {
  if (header === null) return null;
  const seconds = /^\d+$/.test(header) ? Number(header) : (Date.parse(header) - Date.now()) / 1000;
  return Number.isNaN(seconds) ? null : Math.max(0, Math.ceil(seconds));
}
