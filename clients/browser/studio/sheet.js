/**
 * The contact sheet: all tasks as a grid of small prints, newest first.
 *
 * Keeps one card for each task and changes only what differs. Where tasks come from,
 * and which are watched, is decided in `album.js`.
 */

import { hasEnded } from "../sdk/index.js";
import { byId, make, say } from "./dom.js";
import { headline, percent, textOf, thumbUrl, whyFailed } from "./words.js";

const EXCERPT = 160;

export class Sheet {
  #cards = new Map();
  #current = null;
  #hasMore;
  #more;

  /** @param {{hasMore: () => boolean, more: () => Promise<void>}} paging */
  constructor({ hasMore, more }) {
    this.#hasMore = hasMore;
    this.#more = more;
    byId("older").addEventListener("click", () => this.#older());
    const seen = (entries) => entries.some((entry) => entry.isIntersecting) && this.#older();
    new IntersectionObserver(seen, { rootMargin: "600px" }).observe(byId("older"));
  }

  /** The whole list, in its order. */
  list(tasks) {
    const box = byId("cards");
    const ids = new Set(tasks.map((task) => task.task_id));
    for (const [id, card] of this.#cards) if (!ids.has(id)) this.#drop(id, card);
    tasks.forEach((task, index) => {
      const { element } = this.#card(task);
      const there = box.children[index] ?? null;
      if (there !== element) box.insertBefore(element, there);
    });
    const isAll = !this.#hasMore();
    byId("older").hidden = isAll;
    byId("sheet-empty").hidden = tasks.length > 0;
    say(byId("count"), tasks.length === 0 ? "" : `${tasks.length}${isAll ? "" : "+"}`);
  }

  /** One task has changed. */
  update(task) {
    this.#cards.get(task.task_id)?.show(task);
  }

  preview(id, url) {
    this.#cards.get(id)?.preview(url);
  }

  /** Marks the card of the task on the stage. */
  mark(id) {
    this.#cards.get(this.#current)?.mark(false);
    this.#current = id;
    this.#cards.get(id)?.mark(true);
  }

  #card(task) {
    const known = this.#cards.get(task.task_id);
    if (known !== undefined) return known;
    const card = new Card(task);
    this.#cards.set(task.task_id, card);
    card.show(task);
    card.mark(task.task_id === this.#current);
    return card;
  }

  #drop(id, card) {
    card.element.remove();
    this.#cards.delete(id);
  }

  async #older() {
    try {
      await this.#more();
    } catch {
      // The button stays; the next look at it, or a click, asks again.
    }
  }
}

class Card {
  #link;
  #wanted = null;
  #picture = make("img", { class: "thumb", alt: "", loading: "lazy", decoding: "async" });
  #words = make("span", { class: "card-words" });
  #badge = make("span", { class: "badge" });
  #fill = make("span", { class: "fill" });

  constructor(task) {
    const bar = make("span", { class: "card-bar" }, this.#fill);
    this.#picture.addEventListener("load", () => this.#picture.classList.add("ready"));
    this.#link = make("a", { class: "card", href: `#/t/${encodeURIComponent(task.task_id)}` },
      this.#picture, this.#words, this.#badge, bar);
    this.element = make("li", {}, this.#link);
  }

  show(task) {
    const { prompt } = task.input_data;
    this.#link.dataset.status = task.status;
    this.#link.dataset.kind = task.kind;
    this.#link.title = prompt;
    const state = task.status === "processing" ? percent(task) : headline(task, Date.now());
    this.#link.setAttribute("aria-label", `${prompt}. ${task.kind}, ${state}`);
    this.#fill.style.transform = `scaleX(${task.progress})`;
    say(this.#words, cardWords(task));
    say(this.#badge, badge(task));
    if (task.status === "completed" && task.kind !== "text") this.#use(thumbUrl(task));
  }

  preview(url) {
    this.#use(url);
  }

  mark(isCurrent) {
    if (isCurrent) this.#link.setAttribute("aria-current", "true");
    else this.#link.removeAttribute("aria-current");
  }

  /** What is shown stays until the next picture is decoded; the first is loaded when it is seen. */
  async #use(url) {
    if (url === null || url === this.#wanted) return;
    this.#wanted = url;
    if (this.#picture.hasAttribute("src")) {
      const next = make("img", { src: url });
      await next.decode().catch(() => {});
    }
    if (this.#wanted === url) this.#picture.src = url;
  }
}

function cardWords(task) {
  if (task.status === "failed") return whyFailed(task);
  if (task.status === "canceled") return task.input_data.prompt;
  if (task.kind === "text") return textOf(task).slice(0, EXCERPT) || task.input_data.prompt;
  return hasEnded(task) ? "" : task.input_data.prompt;
}

function badge(task) {
  if (task.status === "failed") return "Failed";
  if (task.status === "canceled") return "Canceled";
  if (task.status === "queued") return task.retry_at === null ? "Waiting" : "Again soon";
  if (task.status === "processing") return task.kind === "text" ? "Writing" : percent(task);
  return task.kind === "video" ? "Clip" : "";
}
