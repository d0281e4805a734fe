/**
 * One topic on a socket: join, join again after a loss, pushes and their replies.
 *
 * `joinRef` is a generation number: what carries another one belongs to an earlier
 * join and is dropped here, in one place. Broadcasts carry none and pass, but nothing
 * passes before the reply of the present join. Knows nothing of tasks.
 */

import { SafelightError, fromReply } from "./errors.js";
import { backoff } from "./world.js";

const JOIN_MS = 10_000;
const PUSH_MS = 10_000;
const REJOIN_MS = [1000, 2000, 5000, 10_000];

/**
 * @typedef {object} Handlers
 * @property {() => object} payload made anew for every join, so that it can carry a cursor
 * @property {(response: any) => void} joined
 * @property {(event: string, payload: any) => void} message
 * @property {(error: SafelightError) => void} refused the join was refused for good, or the
 *   server closed the channel
 */

export class Channel {
  #socket;
  #world;
  #handlers;
  #state = "closed";
  #joinRef = null;
  #timer = null;
  #tries = 0;
  #waiting = [];
  #replies = new Map();

  /**
   * @param {import("./socket.js").Socket} socket
   * @param {string} topic
   * @param {Handlers} handlers
   */
  constructor(socket, topic, handlers) {
    this.topic = topic;
    this.#socket = socket;
    this.#world = socket.world;
    this.#handlers = handlers;
  }

  get state() {
    return this.#state;
  }

  /** The line is open: join. Called by the socket. */
  opened() {
    this.#join();
  }

  /** The line is gone, and with it every reply that was waited for. Called by the socket. */
  dropped() {
    if (this.#state === "left") return;
    this.#world.clearTimeout(this.#timer);
    this.#state = "closed";
    this.#failReplies("The connection was lost before the answer came.");
  }

  /** As `rejoin`, after a pause: whatever went wrong may go wrong again at once. */
  retry() {
    this.#retryJoin();
  }

  /** Joins again on a live line, with a fresh payload. The server closes the earlier join. */
  rejoin() {
    if (this.#state !== "left" && this.#socket.isLive) this.#join();
  }

  /**
   * Sends once joined; resolves with the response, or rejects with a SafelightError
   * (`timeout` after 10 s, sent or not; `network` if the line drops with the answer due).
   */
  push(event, payload) {
    return new Promise((resolve, reject) => {
      const push = { event, payload, resolve, reject, timer: null };
      push.timer = this.#world.setTimeout(() => this.#expire(push), PUSH_MS);
      if (this.#state === "joined") this.#send(push);
      else this.#waiting.push(push);
    });
  }

  leave() {
    if (this.#state === "left") return;
    const isKnown = this.#state === "joined" || this.#state === "joining";
    if (isKnown && this.#socket.isLive) this.#write("phx_leave", {}, this.#socket.nextRef());
    this.#finish("The channel was left before the answer came.");
  }

  /** A frame for this topic. Called by the socket. */
  receive(frame) {
    if (frame.joinRef && frame.joinRef !== this.#joinRef) return;
    if (frame.event === "phx_reply") this.#reply(frame);
    else if (frame.event === "phx_close") this.#closed(frame.joinRef);
    else if (frame.event === "phx_error") this.#retryJoin();
    else if (this.#state === "joined") this.#handlers.message(frame.event, frame.payload);
  }

  #join() {
    this.#failReplies("The channel was joined again before the answer came.");
    this.#state = "joining";
    this.#joinRef = this.#socket.nextRef();
    this.#write("phx_join", this.#handlers.payload(), this.#joinRef);
    this.#after(JOIN_MS, () => this.#joinTimedOut());
  }

  /** The server may still answer the old join: take it back before the next. */
  #joinTimedOut() {
    this.#write("phx_leave", {}, this.#socket.nextRef());
    this.#retryJoin();
  }

  #retryJoin() {
    if (this.#state === "left") return;
    this.#state = "closed";
    this.#failReplies("The channel failed before the answer came.");
    const wait = backoff(REJOIN_MS, this.#tries, this.#world.random());
    this.#tries += 1;
    this.#after(wait, () => this.rejoin());
  }

  #reply({ ref, payload }) {
    if (ref === this.#joinRef) this.#joinReply(payload);
    const push = this.#replies.get(ref);
    if (push === undefined) return;
    this.#replies.delete(ref);
    this.#world.clearTimeout(push.timer);
    if (payload.status === "ok") push.resolve(payload.response);
    else push.reject(fromReply(payload.response));
  }

  #joinReply({ status, response }) {
    if (this.#state !== "joining") return;
    this.#world.clearTimeout(this.#timer);
    if (status === "ok") this.#joined(response);
    else this.#refused(fromReply(response));
  }

  #joined(response) {
    this.#state = "joined";
    this.#tries = 0;
    this.#handlers.joined(response);
    for (const push of this.#waiting.splice(0)) this.#send(push);
  }

  #refused(error) {
    if (error.later) return this.#retryJoin();
    this.#finish(error.message);
    this.#handlers.refused(error);
  }

  #closed(joinRef) {
    if (!joinRef || this.#state === "left") return;
    this.#finish("The server closed the channel.");
    this.#handlers.refused(new SafelightError("closed", "The server closed the channel."));
  }

  #send(push) {
    if (this.#state !== "joined") return this.#waiting.push(push);
    const ref = this.#socket.nextRef();
    this.#replies.set(ref, push);
    this.#write(push.event, push.payload, ref);
  }

  #expire(push) {
    this.#waiting = this.#waiting.filter((other) => other !== push);
    for (const [ref, other] of this.#replies) if (other === push) this.#replies.delete(ref);
    push.reject(new SafelightError("timeout", `No answer to ${push.event} in time.`));
  }

  #failReplies(words) {
    this.#rejectAll([...this.#replies.values()], words);
    this.#replies.clear();
  }

  #rejectAll(pushes, words) {
    for (const push of pushes) {
      this.#world.clearTimeout(push.timer);
      push.reject(new SafelightError("network", words));
    }
  }

  #finish(words) {
    this.#state = "left";
    this.#world.clearTimeout(this.#timer);
    this.#failReplies(words);
    this.#rejectAll(this.#waiting.splice(0), words);
    this.#socket.forget(this);
  }

  #write(event, payload, ref) {
    this.#socket.send({ joinRef: this.#joinRef, ref, topic: this.topic, event, payload });
  }

  #after(ms, run) {
    this.#world.clearTimeout(this.#timer);
    this.#timer = this.#world.setTimeout(run, ms);
  }
}
