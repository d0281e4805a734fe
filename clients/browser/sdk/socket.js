/**
 * One Phoenix V2 connection that stays: refs, heartbeats, reconnecting, sleep and wake.
 *
 * Owns the WebSocket and the ladder of waits. A replaced WebSocket can say nothing
 * more: each callback names the one it was made for. Channels (`channel.js`) are told
 * when the line opens and drops. Knows nothing of tasks.
 */

import { Channel } from "./channel.js";
import { decode, encode } from "./frames.js";
import { backoff } from "./world.js";

/** Milliseconds; phoenix.js uses 10 to 5,000 without chance, and comes back as one crowd. */
export const RECONNECT_MS = [250, 500, 1000, 2000, 4000, 8000, 10_000];
export const HEARTBEAT_MS = 30_000;
export const REPLY_MS = 10_000;
/** After a sleep the line is often dead without knowing it. */
export const WAKE_REPLY_MS = 3_000;

/**
 * @typedef {object} Line the state of the connection
 * @property {"closed" | "connecting" | "live" | "waiting"} state
 * @property {number | null} retryAt when the next try starts, in milliseconds since 1970
 */

export class Socket {
  #world;
  #url;
  #token;
  #onLine;
  #ws = null;
  #line = { state: "closed", retryAt: null };
  #refs = 0;
  #tries = 0;
  #timer = null;
  #beat = null;
  #channels = new Map();
  #unlisten = () => {};

  /**
   * @param {string} url the mount of the socket, such as ws://127.0.0.1:4000/socket
   * @param {object} options
   * @param {import("./world.js").World} options.world
   * @param {() => string | null} [options.token] asked anew for every connection
   * @param {(line: Line) => void} [options.onLine]
   */
  constructor(url, { world, token = () => null, onLine = () => {} }) {
    this.#world = world;
    this.#url = url;
    this.#token = token;
    this.#onLine = onLine;
  }

  get line() {
    return this.#line;
  }

  get world() {
    return this.#world;
  }

  get isLive() {
    return this.#line.state === "live";
  }

  /** A channel on this socket, joined as soon as there is a line. One per topic. */
  channel(topic, handlers) {
    const channel = new Channel(this, topic, handlers);
    this.#channels.set(topic, channel);
    this.open();
    if (this.isLive) channel.opened();
    return channel;
  }

  forget(channel) {
    if (this.#channels.get(channel.topic) === channel) this.#channels.delete(channel.topic);
  }

  nextRef() {
    this.#refs += 1;
    return String(this.#refs);
  }

  send(frame) {
    this.#ws.send(encode(frame));
  }

  /** Connects, if that is not done or under way. */
  open() {
    if (this.#line.state !== "closed") return;
    this.#unlisten = listen(this.#world, () => this.wake());
    this.#connect();
  }

  /** Ends the connection for good; only `open` begins again. */
  close() {
    this.#unlisten();
    this.#detach();
    this.#set("closed");
    for (const channel of [...this.#channels.values()]) channel.dropped();
  }

  /** The page is back, or the network: try at once, and test a line that seems alive. */
  wake() {
    if (this.#line.state === "waiting") this.reconnect();
    else if (this.isLive) this.#heartbeat(WAKE_REPLY_MS);
  }

  /** Connects anew, now; with a fresh token if there is one. */
  reconnect() {
    if (this.#line.state === "closed") return;
    this.#tries = 0;
    this.#detach();
    this.#dropChannels();
    this.#connect();
  }

  #connect() {
    this.#set("connecting");
    const token = this.#token();
    const address = `${this.#url}/websocket?vsn=2.0.0`;
    const Line = this.#world.WebSocket;
    const ws = token ? new Line(address, ["phoenix", tokenProtocol(token)]) : new Line(address);
    ws.binaryType = "arraybuffer";
    this.#ws = ws;
    const mine = (run) => (event) => this.#ws === ws && run(event);
    ws.onopen = mine(() => this.#opened());
    ws.onmessage = mine((event) => this.#receive(event.data));
    ws.onclose = mine(() => this.#lost());
    ws.onerror = () => {};
    this.#after(REPLY_MS, () => this.#lost());
  }

  #opened() {
    this.#set("live");
    this.#after(HEARTBEAT_MS, () => this.#heartbeat(REPLY_MS));
    for (const channel of [...this.#channels.values()]) channel.opened();
  }

  #heartbeat(patience) {
    this.#beat = this.nextRef();
    const beat = { joinRef: null, topic: "phoenix", event: "heartbeat", payload: {} };
    this.send({ ...beat, ref: this.#beat });
    this.#after(patience, () => this.#lost());
  }

  #receive(data) {
    const frame = decode(data);
    if (frame === null) return;
    // Not at open: a server that accepts and hangs up again must not be asked without pause.
    this.#tries = 0;
    if (frame.topic === "phoenix" && frame.ref === this.#beat) {
      this.#after(HEARTBEAT_MS, () => this.#heartbeat(REPLY_MS));
    }
    this.#channels.get(frame.topic)?.receive(frame);
  }

  #lost() {
    this.#detach();
    const wait = backoff(RECONNECT_MS, this.#tries, this.#world.random());
    this.#tries += 1;
    this.#set("waiting", this.#world.now() + wait);
    this.#after(wait, () => this.#connect());
    this.#dropChannels();
  }

  #dropChannels() {
    for (const channel of [...this.#channels.values()]) channel.dropped();
  }

  /** Closing a dead line may take a minute to be told: do not wait for it. */
  #detach() {
    this.#world.clearTimeout(this.#timer);
    const ws = this.#ws;
    this.#ws = null;
    this.#beat = null;
    ws?.close();
  }

  /** One thing is waited for at a time: the line, the next beat, its answer, the next try. */
  #after(ms, run) {
    this.#world.clearTimeout(this.#timer);
    this.#timer = this.#world.setTimeout(run, ms);
  }

  #set(state, retryAt = null) {
    this.#line = { state, retryAt };
    this.#onLine(this.#line);
  }
}

/**
 * The token as a WebSocket sub-protocol, which keeps it out of addresses and their logs.
 * A slash or plus of plain base64 is not allowed in every header reader: both go the URL-safe way.
 */
function tokenProtocol(token) {
  const binary = String.fromCharCode(...new TextEncoder().encode(token));
  const name = btoa(binary).replaceAll("=", "").replaceAll("+", "-").replaceAll("/", "_");
  return `base64url.bearer.phx.${name}`;
}

/** Calls `wake` when the page is shown again or the network is back. Returns the undoing. */
function listen({ document, window }, wake) {
  if (document === undefined) return () => {};
  const shown = () => document.visibilityState === "visible" && wake();
  document.addEventListener("visibilitychange", shown);
  window.addEventListener("online", wake);
  window.addEventListener("pageshow", shown);
  return () => {
    document.removeEventListener("visibilitychange", shown);
    window.removeEventListener("online", wake);
    window.removeEventListener("pageshow", shown);
  };
}
