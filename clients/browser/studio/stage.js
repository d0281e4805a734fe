/**
 * The task that is looked at, large: its print, its progress, and what is known of it.
 *
 * Built once for each task and then brought up to date, so that nothing loses its
 * focus or starts its fading again. Knows nothing of connections or requests.
 */

import { hasEnded } from "../sdk/index.js";
import { buttons, facts } from "./details.js";
import { byId, make, say } from "./dom.js";
import { Print } from "./print.js";
import { headline, pace, percent, when, whyFailed } from "./words.js";

const NAME = "Safelight";
const TICK_MS = 500;
/** What the facts and the buttons under a print depend on. */
const DESCRIBED = ["status", "attempt", "model", "backend_url", "prediction_id", "settled_charge"];
const INVITATION =
  "Say what should appear, and watch it develop here. Or begin with one of these:";
const EXAMPLES = [
  ["image", "A lighthouse in a winter storm, seen from the sea"],
  ["image", "Red hills under a green evening sky"],
  ["video", "Clouds passing over a quiet harbour"],
  ["text", "Three sentences about the smell of a darkroom"],
];

export class Stage {
  #actions;
  #parts = null;
  #task = null;
  #told = "";
  #timer = null;

  /** @param {object} actions what the buttons do; see `main.js` */
  constructor(actions) {
    this.#actions = actions;
  }

  /** The id of the task that is shown. */
  get id() {
    return this.#task?.task_id ?? null;
  }

  /** Shows a task, or brings the one that is shown up to date. */
  show(task, preview) {
    if (task.task_id !== this.id) this.#build(task);
    const isNew = DESCRIBED.some((name) => this.#task?.[name] !== task[name]);
    this.#task = task;
    document.body.dataset.light = hasEnded(task) ? "on" : "off";
    this.#parts.print.show(task);
    this.#progress(task);
    if (isNew) this.#describe(task);
    if (preview !== undefined) this.preview(preview);
    this.#announce(task);
  }

  preview(url) {
    this.#parts?.print.preview(url);
  }

  /** A word about the task that is shown: what was ignored, what could not be done. */
  remark(words) {
    if (this.#parts !== null) say(this.#parts.remark, words);
  }

  /** The models have got their labels, or the backends. */
  relabel() {
    if (this.#task !== null) this.#fill(this.#task);
  }

  /** Nothing is there yet: an invitation. */
  invite() {
    this.#clear();
    const examples = EXAMPLES.map(([kind, prompt]) => {
      const onclick = () => this.#actions.suggest(kind, prompt);
      const words = [make("small", {}, kind), make("span", {}, prompt)];
      const button = make("button", { type: "button", class: "example", onclick }, ...words);
      return make("li", {}, button);
    });
    byId("stage").replaceChildren(
      make("div", { class: "blank" },
        make("h2", {}, "The paper is still white."),
        make("p", {}, INVITATION),
        make("ul", { class: "examples" }, ...examples)),
    );
  }

  /** Words instead of a task: it is not there, or not yet. */
  tell(title, words) {
    this.#clear();
    byId("stage").replaceChildren(
      make("div", { class: "blank" }, make("h2", {}, title), make("p", {}, words)),
    );
  }

  #clear() {
    clearInterval(this.#timer);
    this.#parts = null;
    this.#task = null;
    document.body.dataset.light = "off";
    document.title = NAME;
  }

  #build(task) {
    this.#clear();
    this.#told = "";
    const parts = {
      print: new Print(task),
      bar: make("div", { class: "bar", role: "progressbar", "aria-label": "Progress",
        "aria-valuemin": "0", "aria-valuemax": "100" }, make("span", { class: "fill" })),
      words: make("p", { class: "doing" }),
      pace: make("p", { class: "pace" }),
      cancel: make("button", { type: "button", class: "tool" }, "Cancel"),
      facts: make("dl", { class: "facts" }),
      tools: make("div", { class: "tools" }),
      remark: make("p", { class: "note", role: "status" }),
    };
    this.#parts = parts;
    parts.cancel.addEventListener("click", () => this.#cancel());
    const doing = make("div", { class: "doing-words" }, parts.words, parts.pace);
    const row = make("div", { class: "doing-row" }, doing, parts.cancel);
    byId("stage").replaceChildren(
      parts.print.element,
      make("div", { class: "progress" }, parts.bar, row),
      make("h2", { class: "prompt" }, task.input_data.prompt),
      parts.facts,
      parts.tools,
      parts.remark,
    );
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  #cancel() {
    this.#parts.cancel.disabled = true;
    this.#actions.cancel(this.#task);
  }

  /** Only the wait for another attempt counts down by itself. */
  #tick() {
    if (this.#task !== null && this.#task.retry_at !== null) this.#progress(this.#task);
  }

  #progress(task) {
    const { bar, words, pace: small, cancel } = this.#parts;
    const isOver = hasEnded(task);
    bar.dataset.status = task.status;
    bar.setAttribute("aria-valuenow", String(Math.round(task.progress * 100)));
    bar.firstChild.style.transform = `scaleX(${task.progress})`;
    bar.classList.toggle("unknown", !isOver && task.progress === 0);
    say(words, headline(task, Date.now()));
    say(small, isOver ? when(task) : [percentOf(task), pace(task)].filter(Boolean).join(" · "));
    if (isOver && document.activeElement === cancel) byId("stage").focus();
    cancel.hidden = isOver;
    document.title = isOver ? NAME : `${percent(task)} · ${NAME}`;
    cancel.disabled = cancel.disabled || task.canceling;
  }

  /** Whoever stands on one of the buttons stays among them. */
  #describe(task) {
    const { tools } = this.#parts;
    const hadFocus = tools.contains(document.activeElement);
    this.#fill(task);
    tools.replaceChildren(...buttons(task, this.#actions));
    if (hadFocus) tools.firstElementChild.focus();
  }

  #fill(task) {
    const list = this.#parts.facts;
    const fresh = make("dl", {}, ...facts(task, this.#actions));
    if (list.innerHTML !== fresh.innerHTML) list.replaceChildren(...fresh.childNodes);
  }

  /** Every quarter and every change of status, for those who cannot see the bar. */
  #announce(task) {
    const quarter = Math.floor(task.progress * 4) * 25;
    const isWord = hasEnded(task) || quarter === 0;
    const words = isWord ? headline(task, Date.now()) : `${quarter} % done`;
    const whole = task.status === "failed" ? `${words}: ${whyFailed(task)}` : words;
    const isCounting = task.status === "queued" && task.retry_at !== null;
    if (isCounting || whole === this.#told) return;
    this.#told = whole;
    say(byId("announcer"), whole);
  }
}

const percentOf = (task) =>
  task.status === "processing" && task.progress > 0 ? percent(task) : "";
