/**
 * Backends in words: how one is, which one a task will run on, and what that means for it.
 *
 * Pure functions of what the server tells. The order in which a backend is taken is the
 * server's (docs/backends.md); here it is only foretold.
 */

/**
 * The backend that a new task for the model will run on; undefined where it needs none.
 * @param {import("../types.d.ts").Backend[]} backends
 * @param {import("../types.d.ts").Model | undefined} model
 * @param {string | null} chosen
 */
export function placeOf(backends, model, chosen) {
  const able = backends.filter((one) => model?.backends.includes(one.name));
  const named = able.find((one) => one.name === chosen) ?? able.find((one) => one.default);
  return named ?? able.find((one) => one.name === model.backends[0]);
}

/** Up, down, or neither, as a word. */
export function statusWords({ status, checked_at }) {
  if (status !== "unknown") return status;
  return checked_at === null ? "not asked yet" : "silent";
}

/** How it is, in one short line: status, version, and everybody's prompts there. */
export function stateWords(backend) {
  const status = statusWords(backend);
  if (backend.status !== "up") return status;
  return [status, backend.version, queueWords(backend.queue)].filter(Boolean).join(" · ");
}

function queueWords({ running, pending }) {
  if (running === null && pending === null) return "";
  const count = (running ?? 0) + (pending ?? 0);
  return count === 0 ? "idle" : `${count} in its queue`;
}

/** What whoever is about to send a task should know of the backend; nothing if all is well. */
export function outlook(backend) {
  if (backend === undefined || backend.status === "up") return "";
  const { label, error, unreachable, checked_at } = backend;
  if (checked_at === null) return `${label} has not been asked yet how it is.`;
  if (backend.status === "unknown") {
    return `${label} does not answer just now. It may be loading a model; what runs there goes on.`;
  }
  const why = error ? `: ${error.replace(/\.$/, "")}` : "";
  const then = unreachable === "queue" ? "waits for it" : "is refused until it is back";
  return `${label} is down${why}. A new task ${then}.`;
}
