/**
 * The client: everything one can do with tasks, over one socket and REST.
 *
 * Owns no state of tasks; that is in `watch.js` and `gallery.js`. The connection is
 * made with the first watch or gallery and then kept until `close`.
 */

import { Gallery } from "./gallery.js";
import { Rest } from "./rest.js";
import { Socket } from "./socket.js";
import { Watch } from "./watch.js";
import { makeWorld } from "./world.js";

/** @typedef {import("../types.d.ts").CreateTask} CreateTask */
/** @typedef {import("../types.d.ts").AppCreateTask} AppCreateTask */
/** @typedef {import("../types.d.ts").CreatedData} CreatedData */
/** @typedef {import("../types.d.ts").Uploaded} Uploaded */
/** @typedef {import("../types.d.ts").Backend} Backend */
/** @typedef {import("../types.d.ts").Preferences} Preferences */

/**
 * @typedef {object} ConnectOptions
 * @property {string | URL} [url] where the server's paths begin; the page's own folder by default
 * @property {string | (() => string | null) | null} [token] a bearer token; a function is asked
 *   anew for every request and connection
 * @property {(line: import("./socket.js").Line) => void} [onLine] the state of the connection
 * @property {Partial<import("./world.js").World>} [world] in place of globals; Node before 22
 *   has no WebSocket of its own
 */

/** @param {ConnectOptions} [options] */
export function connect(options = {}) {
  return new Client(options);
}

export class Client {
  #world;
  #rest;
  #socket;
  #watches = new Map();

  /** @param {ConnectOptions} options */
  constructor({ url, token = null, onLine, world }) {
    this.#world = makeWorld(world);
    const base = new URL("./", url ?? this.#world.document.baseURI);
    const ask = typeof token === "function" ? token : () => token;
    this.#rest = new Rest(base, { world: this.#world, token: ask });
    this.#socket = new Socket(socketUrl(base), { world: this.#world, token: ask, onLine });
  }

  get line() {
    return this.#socket.line;
  }

  /** Connects anew, now: after a new token, or because somebody is tired of waiting. */
  reconnect() {
    this.#socket.reconnect();
  }

  close() {
    this.#socket.close();
  }

  /**
   * Makes a task, or attaches to the one that this request already is. The key is minted
   * before the first try and goes with every further one, so a lost answer costs no second task.
   * @param {CreateTask | AppCreateTask} body
   * @param {{key?: string}} [options]
   * @returns {Promise<CreatedData>} the snapshot, with `created`, `attached`, `cursor`, `warnings`
   */
  create(body, { key = this.#world.uuid() } = {}) {
    const headers = { "Idempotency-Key": key };
    return this.#rest.insist("POST", "api/tasks", { body, headers });
  }

  /**
   * What a create of this would cost, and whether it is agreed to. Makes nothing.
   * @param {CreateTask | AppCreateTask} body
   * @returns {Promise<Quote>} `{low_micros, high_micros, consent, budget, ...}`
   */
  quote(body) {
    return this.#rest.insist("POST", "api/quotes", { body });
  }

  /**
   * Sends a file that tasks may start from: name it as `inputs: [{ upload: id }]`. The same
   * bytes are the same upload, so a lost answer costs nothing but the time.
   * @param {Blob | BufferSource} file a File of an `<input>`, say
   * @returns {Promise<Uploaded>} `{id, url, media_type, width, height, bytes}`
   */
  upload(file) {
    const headers = { "Content-Type": "application/octet-stream" };
    return this.#rest.insist("POST", "api/uploads", { file, headers });
  }

  /**
   * Watches a task until its end or until the returned function is called. Watching a
   * task twice shares one channel: the second begins with the snapshot of now.
   * @param {string} id
   * @param {import("./watch.js").WatchOptions} options
   * @returns {{stop: () => void, cursor: () => string | null}}
   */
  watch(id, options) {
    const listener = { ...options };
    const watch = this.#watches.get(id) ?? this.#begin(id, listener);
    watch.add(listener);
    return { stop: () => watch.remove(listener), cursor: () => watch.cursor };
  }

  /** @param {import("./gallery.js").GalleryOptions} options */
  gallery(options) {
    return new Gallery(this.#socket, options);
  }

  /** The snapshot of a task, with its `cursor`; never `truncated`, as long ones are elsewhere. */
  get(id) {
    return this.#rest.ask("GET", taskPath(id));
  }

  /** A page of one's own tasks, newest first: `{tasks, next, position, log}`. */
  list({ limit = 50, before = null } = {}) {
    const query = new URLSearchParams({ limit: String(limit) });
    if (before !== null) query.set("before", before);
    return this.#rest.ask("GET", `api/tasks?${query}`);
  }

  /** Asks for the task's end; asking again does no harm. Resolves with the snapshot. */
  cancel(id) {
    return this.#rest.insist("POST", `${taskPath(id)}/cancel`);
  }

  /** Deletes an ended task with its files; code `still_running` if it has not ended. */
  remove(id) {
    return this.#rest.ask("DELETE", taskPath(id));
  }

  /** The models, all or of one kind. */
  async models(kind = null) {
    const query = kind === null ? "" : `?${new URLSearchParams({ kind })}`;
    const { models } = await this.#rest.ask("GET", `api/models${query}`);
    return models;
  }

  /** What a model takes as `params`, as a document of JSON Schema; `x-order` is a form's order. */
  schema(model) {
    const name = model.split("/").map(encodeURIComponent).join("/");
    return this.#rest.ask("GET", `api/models/${name}/schema`);
  }

  /**
   * The named backends, each as it was when it was last asked.
   * @param {{refresh?: boolean}} [options] with `refresh` they are asked first, for a bounded while
   * @returns {Promise<Backend[]>} none where the server has none
   */
  async backends({ refresh = false } = {}) {
    const path = refresh ? "api/backends?refresh=1" : "api/backends";
    const { backends } = await this.#rest.ask("GET", path);
    return backends;
  }

  /** What the owner has chosen for all devices; a gallery's `onPreferences` tells of changes. */
  preferences() {
    return this.#rest.ask("GET", "api/preferences");
  }

  /**
   * Chooses for all devices; what is left out stays, null takes a choice back.
   * @param {{backend?: string | null}} changes
   * @returns {Promise<Preferences>} as they are from now on
   */
  setPreferences(changes) {
    return this.#rest.insist("PATCH", "api/preferences", { body: changes });
  }

  #begin(id, listener) {
    const done = () => this.#watches.delete(id);
    const watch = new Watch(this.#socket, id, listener, done);
    this.#watches.set(id, watch);
    return watch;
  }
}

const taskPath = (id) => `api/tasks/${encodeURIComponent(id)}`;

function socketUrl(base) {
  const url = new URL("socket", base);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}
