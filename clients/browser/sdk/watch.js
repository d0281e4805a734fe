/**
 * One task, watched: a snapshot, every event once and in order, and previews.
 *
 * Owns the cursor. Task events count only after the reply of the present join
 * (`channel.js` sees to that); what is at or below the cursor was told already; a hole
 * makes it join again from the cursor. At the end of the task it leaves. Several
 * listeners share one watch, since a socket has one channel per topic.
 */

import { SafelightError } from "./errors.js";
import { fold, hasEnded } from "./fold.js";
import { decodePreview } from "./frames.js";

/** @typedef {import("../types.d.ts").Snapshot} Snapshot */
/** @typedef {import("../types.d.ts").TaskEvent} TaskEvent */

/**
 * @typedef {object} WatchOptions
 * @property {string | 0} [after] a cursor `<log>-<seq>` from which every event is told, 0 for
 *   all that is kept; without it, the events after the first snapshot
 * @property {boolean} [previews] defaults to whether `onPreview` is there
 * @property {(snapshot: Snapshot) => void} [onSnapshot] after the join and after every change
 * @property {(event: TaskEvent, snapshot: Snapshot) => void} [onEvent] each event once, in order
 * @property {(preview: import("./frames.js").Preview) => void} [onPreview]
 * @property {(snapshot: Snapshot) => void} [onGap] events between were lost: only the
 *   snapshot is left
 * @property {(snapshot: Snapshot) => void} [onEnd] once; nothing comes after it
 * @property {(error: import("./errors.js").SafelightError) => void} [onError] refused for
 *   good (`not_found`, `gone`, …); nothing comes after it
 */

export class Watch {
  #channel = null;
  #listeners = new Set();
  #after;
  #cursor = null;
  #snapshot = null;
  #previews = false;
  #isOver = false;
  #onDone;

  /**
   * @param {import("./socket.js").Socket} socket
   * @param {string} id
   * @param {WatchOptions} first the first listener; only its `after` is asked for
   * @param {() => void} onDone called once, when the watch is over
   */
  constructor(socket, id, first, onDone = () => {}) {
    this.id = id;
    this.#after = first.after;
    this.#onDone = onDone;
    this.#previews = wantsPreviews(first);
    this.#listeners.add(first);
    this.#channel = socket.channel(`task:${id}`, {
      payload: () => this.#payload(),
      joined: (reply) => this.#joined(reply),
      message: (event, payload) => this.#message(event, payload),
      refused: (error) => this.#finish("onError", error),
    });
  }

  /** The fold of all that was told; null before the first reply. */
  get snapshot() {
    return this.#snapshot;
  }

  /** `<log>-<seq>` of the last event told: keep it, and a later watch goes on from there. */
  get cursor() {
    return this.#cursor && `${this.#cursor.log}-${this.#cursor.seq}`;
  }

  /** One more listener. It begins with the snapshot of now; its `after` is not used. */
  add(listener) {
    this.#listeners.add(listener);
    if (this.#snapshot !== null) queueMicrotask(() => this.#introduce(listener));
    if (wantsPreviews(listener) && !this.#previews) {
      this.#previews = true;
      this.#channel.rejoin();
    }
  }

  /** One listener less; the last one gone leaves the channel. Never cancels the task. */
  remove(listener) {
    if (this.#listeners.delete(listener) && this.#listeners.size === 0) this.#stop();
  }

  #introduce(listener) {
    if (this.#listeners.has(listener)) listener.onSnapshot?.(this.#snapshot);
  }

  #payload() {
    const payload = {};
    const after = this.cursor ?? this.#after;
    if (after !== undefined && after !== null) payload.after = after;
    if (this.#previews) payload.previews = "binary";
    return payload;
  }

  /** The log has a new name after a restart of the server; the seq goes on. */
  #joined({ task, cursor, gap }) {
    const place = parseCursor(cursor);
    const isFirst = this.#cursor === null;
    if (isFirst || gap) this.#snapshot = task;
    this.#cursor = isFirst || gap ? place : { log: place.log, seq: this.#cursor.seq };
    if (gap) this.#tell("onGap", this.#snapshot);
    this.#tell("onSnapshot", this.#snapshot);
    this.#settle();
  }

  #message(event, payload) {
    if (event === "progress") this.#event(payload);
    else if (event === "preview") this.#preview(decodePreview(payload));
    else if (event === "task_deleted") this.#finish("onError", gone());
  }

  #event(event) {
    if (!(event.seq > this.#cursor.seq)) return;
    if ((event.from_seq ?? event.seq) > this.#cursor.seq + 1) return this.#channel.retry();
    this.#cursor.seq = event.seq;
    this.#snapshot = fold(this.#snapshot, event);
    if (event.truncated) this.#snapshot = { ...this.#snapshot, truncated: true };
    this.#tell("onEvent", event, this.#snapshot);
    this.#tell("onSnapshot", this.#snapshot);
    this.#settle();
  }

  /** A picture of an attempt that is over must not lie over a newer one. */
  #preview(preview) {
    if (preview === null || preview.attempt < this.#snapshot.attempt) return;
    this.#tell("onPreview", preview);
  }

  #settle() {
    if (this.#isOver || !hasEnded(this.#snapshot)) return;
    if (this.#cursor.seq >= this.#snapshot.seq) this.#finish("onEnd", this.#snapshot);
  }

  /** Over before it is told: a listener may begin to watch the same task again. */
  #finish(call, argument) {
    const listeners = [...this.#listeners];
    this.#stop();
    for (const listener of listeners) listener[call]?.(argument);
  }

  #stop() {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#listeners.clear();
    this.#channel.leave();
    this.#onDone();
  }

  /** A listener may stop itself or another in the middle of this. */
  #tell(call, ...args) {
    for (const listener of [...this.#listeners]) {
      if (this.#listeners.has(listener)) listener[call]?.(...args);
    }
  }
}

const gone = () => new SafelightError("gone", "The task was deleted or has expired.");

const wantsPreviews = ({ previews, onPreview }) => previews ?? onPreview !== undefined;

/** @param {string} cursor `<log>-<seq>`; the log's name may hold dashes */
export function parseCursor(cursor) {
  const dash = cursor.lastIndexOf("-");
  return { log: cursor.slice(0, dash), seq: Number(cursor.slice(dash + 1)) };
}
