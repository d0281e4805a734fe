/**
 * What can go wrong, as one type with a code from the server's table of codes.
 *
 * Owns the reading of problem documents and of socket refusals, and which codes
 * are worth another try. The table stands in docs/wire.md.
 */

/** Codes after which the same request may succeed later, without being changed. */
export const LATER = new Set([
  "too_many",
  "internal",
  "unavailable",
  "shutting_down",
  "storage_full",
  "backend_unreachable",
  "provider_unreachable",
  "too_many_channels",
]);

/** A request that was refused, or that nobody answered (codes `network` and `timeout`). */
export class SafelightError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   * @param {{details?: any, status?: number | null, extra?: object}} [more]
   */
  constructor(code, message, { details = [], status = null, extra = {} } = {}) {
    super(message);
    this.name = "SafelightError";
    this.code = code;
    this.details = details;
    this.status = status;
    this.extra = extra;
  }

  /** `{field: sentence}` out of either form of details. */
  get fields() {
    return Array.isArray(this.details) ? listed(this.details) : joined(this.details);
  }

  /** Whether the same request may succeed later. */
  get later() {
    return LATER.has(this.code) || this.code === "network" || this.code === "timeout";
  }
}

function listed(details) {
  const named = details.filter((detail) => typeof detail?.field === "string");
  return Object.fromEntries(named.map((detail) => [detail.field, sentence(detail)]));
}

function sentence({ found, expected }) {
  const wanted = typeof expected === "string" ? `Expected ${expected}.` : "Not accepted.";
  return found === undefined ? wanted : `${wanted} Found ${found}.`;
}

function joined(details) {
  const entries = Object.entries(details ?? {});
  return Object.fromEntries(entries.map(([field, words]) => [field, [words].flat().join(" ")]));
}

/**
 * The error in an HTTP answer, whatever its body is.
 * @param {number} status
 * @param {any} body the parsed JSON, or null
 */
export function fromProblem(status, body) {
  const { error = {}, code = error.code, detail, title, ...extra } = body ?? {};
  const message = error.message ?? detail ?? title ?? `The server answered ${status}.`;
  const details = error.details ?? [];
  return new SafelightError(code ?? `http_${status}`, message, { details, status, extra });
}

/**
 * The error in a socket reply: `{reason, code, message, details}`, or only a reason.
 * @param {any} response
 */
export function fromReply(response) {
  const { reason, code, message, details, ...extra } = response ?? {};
  const words = message ?? reason ?? "Refused.";
  const name = code ?? (reason === "unmatched topic" ? "unmatched_topic" : "refused");
  return new SafelightError(name, words, { details, extra });
}
