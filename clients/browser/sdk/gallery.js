/**
 * All tasks of one's own, newest first, kept up to date by the channel `tasks:mine`.
 *
 * Owns the position in the store's changes, with which it goes on after a loss. A
 * snapshot with a lower seq than the one at hand changes nothing. Older tasks are
 * paged in by `more`. Knows nothing of events.
 */

/** @typedef {import("../types.d.ts").Snapshot} Snapshot */

/**
 * @typedef {object} GalleryOptions
 * @property {number} [limit] tasks in a page, 1 to 200; 50 by default
 * @property {(tasks: Snapshot[]) => void} [onTasks] all of them, after every change
 * @property {(task: Snapshot) => void} [onTask] one that is new or has changed
 * @property {(id: string) => void} [onDeleted]
 * @property {(preferences: import("../types.d.ts").Preferences) => void} [onPreferences] what the
 *   owner has chosen, after each join and whenever any device changes it
 * @property {(error: import("./errors.js").SafelightError) => void} [onError] refused for good
 */

export class Gallery {
  #channel;
  #options;
  #tasks = new Map();
  #deleted = new Set();
  #position = null;
  #log = null;
  #next = null;
  #paging = null;

  /**
   * @param {import("./socket.js").Socket} socket
   * @param {GalleryOptions} [options]
   */
  constructor(socket, options = {}) {
    this.#options = { limit: 50, ...options };
    this.#channel = socket.channel("tasks:mine", {
      payload: () => this.#payload(),
      joined: (reply) => this.#joined(reply),
      message: (event, payload) => this.#message(event, payload),
      refused: (error) => this.#options.onError?.(error),
    });
  }

  /** Newest first. */
  get tasks() {
    return [...this.#tasks.values()].sort(newestFirst);
  }

  /** Whether there are older tasks than those here. */
  get hasMore() {
    return this.#next !== null;
  }

  /** Fetches a page of older tasks. One page at a time: a second call shares the first's. */
  more() {
    this.#paging ??= this.#page().finally(() => {
      this.#paging = null;
    });
    return this.#paging;
  }

  stop() {
    this.#channel.leave();
  }

  #payload() {
    const { limit } = this.#options;
    if (this.#position === null) return { limit };
    return { limit, after: this.#position, log: this.#log };
  }

  /** Going on from a position, the reply has no tasks: what changed comes as it does live. */
  #joined({ tasks, position, log, next, gap, preferences }) {
    const isFresh = this.#position === null || gap;
    if (isFresh) {
      this.#tasks.clear();
      this.#deleted.clear();
      this.#next = next ?? null;
    }
    this.#position = position;
    this.#log = log;
    for (const task of tasks) this.#put(task);
    this.#tellAll();
    if (preferences !== undefined) this.#options.onPreferences?.(preferences);
  }

  #message(event, payload) {
    if (event === "preferences") return this.#options.onPreferences?.(payload);
    if (event !== "task" && event !== "task_deleted") return;
    this.#position = Math.max(this.#position, payload.position);
    if (event === "task") this.#put(payload.task);
    else this.#drop(payload.task_id);
    this.#tellAll();
  }

  async #page() {
    if (!this.hasMore) return;
    const { limit } = this.#options;
    const before = this.#next;
    const { tasks, next } = await this.#channel.push("list", { before, limit });
    // A fresh start in between has its own page to go on from.
    if (this.#next !== before) return;
    this.#next = next ?? null;
    for (const task of tasks) this.#put(task);
    this.#tellAll();
  }

  /** Ids are never used again, so what was deleted stays so, however late a page tells of it. */
  #put(task) {
    const known = this.#tasks.get(task.task_id);
    if (this.#deleted.has(task.task_id) || (known && known.seq >= task.seq)) return;
    this.#tasks.set(task.task_id, task);
    this.#options.onTask?.(task);
  }

  #drop(id) {
    this.#deleted.add(id);
    if (this.#tasks.delete(id)) this.#options.onDeleted?.(id);
  }

  #tellAll() {
    this.#options.onTasks?.(this.tasks);
  }
}

function newestFirst(one, other) {
  if (one.created_at !== other.created_at) return one.created_at < other.created_at ? 1 : -1;
  return one.task_id < other.task_id ? 1 : -1;
}
