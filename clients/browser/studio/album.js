/**
 * Every task that the page knows, each in its newest snapshot, and its preview.
 *
 * Joins two sources: the gallery's channel for all tasks, and a watch for the tasks
 * that are looked at (the one on the stage, and the newest that run, for previews).
 * Whichever snapshot has the higher seq counts. Draws nothing.
 */

import { hasEnded } from "../sdk/index.js";

const PAGE = 48;
/** Tasks in the gallery whose previews are followed. */
const MOST_WATCHED = 6;

/**
 * @typedef {object} Listener
 * @property {(tasks: any[]) => void} onList the gallery, newest first
 * @property {(task: any) => void} onTask a task that is new or has changed
 * @property {(id: string) => void} onGone
 * @property {(id: string, url: string) => void} onPreview a blob's address, which makes the
 *   one before void soon
 * @property {(id: string, error: Error) => void} onRefused a task that cannot be watched
 * @property {(preferences: any) => void} onPreferences what the owner has chosen, on any device
 * @property {(error: Error) => void} onShut the gallery itself is refused
 */

export class Album {
  #client;
  #listener;
  #gallery = null;
  #tasks = new Map();
  #watches = new Map();
  #previews = new Map();
  #current = null;

  /** @param {import("../sdk/tasks.js").Client} client @param {Listener} listener */
  constructor(client, listener) {
    this.#client = client;
    this.#listener = listener;
  }

  /** Joins the gallery; again after a new token. */
  open() {
    this.#gallery?.stop();
    this.#gallery = this.#client.gallery({
      limit: PAGE,
      onTask: (task) => this.learn(task),
      onTasks: (tasks) => this.#listed(tasks),
      onDeleted: (id) => this.#gone(id),
      onPreferences: (preferences) => this.#listener.onPreferences(preferences),
      onError: (error) => this.#listener.onShut(error),
    });
  }

  get hasMore() {
    return this.#gallery?.hasMore ?? false;
  }

  more() {
    return this.#gallery.more();
  }

  task(id) {
    return this.#tasks.get(id);
  }

  preview(id) {
    return this.#previews.get(id);
  }

  /** The task on the stage: watched until it ends, even where the gallery does not list it. */
  choose(id) {
    this.#current = id;
    this.#watchWhatCounts();
    if (id !== null && this.#isOver(id) && this.#tasks.get(id).truncated) this.#complete(id);
  }

  async #complete(id) {
    const { cursor, log, ...task } = await this.#client.get(id);
    this.learn(task);
  }

  /** Takes a snapshot in, if it is newer or fuller than what is known. */
  learn(task) {
    if (!this.#isNews(task, this.#tasks.get(task.task_id))) return;
    this.#tasks.set(task.task_id, task);
    this.#listener.onTask(task);
    if (hasEnded(task)) this.#forgetPreview(task.task_id);
  }

  /** The gallery cuts long texts; it must not cut what a watch has told in full. */
  #isNews(task, known) {
    if (known === undefined) return true;
    const isCut = task.truncated === true && known.truncated !== true;
    if (task.seq > known.seq) return !(isCut && this.#watches.has(task.task_id));
    return task.seq === known.seq && known.truncated === true && task.truncated !== true;
  }

  #listed(tasks) {
    this.#listener.onList(tasks.map((task) => this.#tasks.get(task.task_id) ?? task));
    this.#watchWhatCounts();
  }

  #gone(id) {
    this.#tasks.delete(id);
    this.#forgetPreview(id);
    this.#listener.onGone(id);
  }

  #watchWhatCounts() {
    const running = (this.#gallery?.tasks ?? []).filter((task) => !this.#isOver(task.task_id));
    const wanted = new Set(running.slice(0, MOST_WATCHED).map((task) => task.task_id));
    if (this.#current !== null && !this.#isOver(this.#current)) wanted.add(this.#current);
    for (const [id, watch] of this.#watches) if (!wanted.has(id)) this.#unwatch(id, watch);
    for (const id of wanted) if (!this.#watches.has(id)) this.#watch(id);
  }

  #isOver(id) {
    const task = this.#tasks.get(id);
    return task !== undefined && hasEnded(task);
  }

  #watch(id) {
    const watch = this.#client.watch(id, {
      onSnapshot: (task) => this.learn(task),
      onPreview: (preview) => this.#show(id, preview),
      onEnd: () => this.#watches.delete(id),
      onError: (error) => this.#refused(id, error),
    });
    this.#watches.set(id, watch);
  }

  #unwatch(id, watch) {
    this.#watches.delete(id);
    watch.stop();
  }

  #refused(id, error) {
    this.#watches.delete(id);
    if (id === this.#current) this.#current = null;
    this.#listener.onRefused(id, error);
  }

  #show(id, { bytes, media_type }) {
    const old = this.#previews.get(id);
    const url = URL.createObjectURL(new Blob([bytes], { type: media_type }));
    this.#previews.set(id, url);
    this.#listener.onPreview(id, url);
    revokeSoon(old);
  }

  #forgetPreview(id) {
    revokeSoon(this.#previews.get(id));
    this.#previews.delete(id);
  }
}

/** Pictures on the page may still be fading from it. */
function revokeSoon(url) {
  if (url !== undefined) setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
