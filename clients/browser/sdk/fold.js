/**
 * The fold of a task's events: the same function as `snapshot.py` on the server.
 *
 * Looks at nothing but the snapshot and the event, so every reader of a log ends
 * at the same answer; tests/protocol/vectors/folds.json holds both to it. An event
 * of a type added later changes only what every event carries.
 */

/** @typedef {import("../types.d.ts").Snapshot} Snapshot */
/** @typedef {import("../types.d.ts").TaskEvent} TaskEvent */

/** The statuses that end a task. */
export const ENDED = new Set(["completed", "failed", "canceled"]);

/** @param {Snapshot} snapshot */
export const hasEnded = (snapshot) => ENDED.has(snapshot.status);

/**
 * The snapshot after one more event; the same object if the event is at or below its seq.
 * @param {Snapshot} snapshot
 * @param {TaskEvent} event
 * @returns {Snapshot}
 */
export function fold(snapshot, event) {
  if (event.seq <= snapshot.seq) return snapshot;
  const body = Object.hasOwn(BODIES, event.type) ? BODIES[event.type] : nothing;
  return { ...snapshot, ...envelope(event), ...body(event, snapshot) };
}

function envelope(event) {
  const changes = {
    seq: event.seq,
    status: event.status,
    progress: event.progress,
    attempt: event.attempt,
    canceling: event.canceling === true,
    updated_at: event.timestamp,
  };
  if (event.prediction_id !== undefined) changes.prediction_id = event.prediction_id;
  return changes;
}

const nothing = () => ({});

/** What a new attempt has of the one before: none of this. */
const VOID = {
  backend_url: null,
  prediction_id: null,
  reason: null,
  message: null,
  step: null,
  steps: null,
  eta: null,
  text: "",
};

const BODIES = {
  queued: ({ reason, eta }) => ({ reason, eta }),
  started: freshAttempt,
  progress: ({ step, steps, message, eta }) => ({ step, steps, message, eta }),
  text: ({ delta }, { text }) => ({ text: text + delta }),
  artifact: (event, { artifacts }) => ({ artifacts: [...artifacts, artifact(event)] }),
  retrying: ({ error, retry_at, next_attempt }) => ({
    ...VOID,
    attempt: next_attempt,
    progress: 0,
    error,
    retry_at,
  }),
  canceling: ({ by }) => ({ canceled_by: by }),
  completed: ({ result_data, charge }) => ({ result_data, charge, error: null, eta: null }),
  failed: ({ error_data, charge }) => ({ error_data, charge, eta: null }),
  canceled: ({ confirmed, charge, by }) => ({
    confirmed,
    charge,
    eta: null,
    ...(by === undefined ? {} : { canceled_by: by }),
  }),
};

/** A new attempt begins with nothing; with another seed, if it says so. */
function freshAttempt({ model, provider, backend, backend_url, seed }) {
  const place = backend_url === undefined ? {} : { backend_url };
  const drawn = seed === undefined ? {} : { seed };
  return { ...VOID, model, provider, backend, ...place, ...drawn, retry_at: null };
}

function artifact(event) {
  const { id, url, kind, media_type, width, height, bytes, sha256, attempt } = event;
  const { thumbnail_url = null } = event;
  return { id, url, kind, media_type, width, height, bytes, sha256, attempt, thumbnail_url };
}
