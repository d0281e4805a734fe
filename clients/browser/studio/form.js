/**
 * The form: what is asked for, kept over reloads, and what was wrong with it.
 *
 * Owns reading and writing the fields; what happens with a request is the caller's.
 * Fields are found by `data-field`, which holds the server's name for them.
 */

import { Backends } from "./backends.js";
import { Bill } from "./bill.js";
import { byId, say } from "./dom.js";
import { Inputs, inputsOf } from "./inputs.js";
import { Models } from "./models.js";
import { Params } from "./params.js";
import { SizeFields } from "./size.js";
import { sizeOf, sizeParams } from "./sizes.js";

const KEPT = "safelight.form";
/** The largest integer that JSON readers keep exact; larger seeds travel as strings. */
const EXACT = BigInt(Number.MAX_SAFE_INTEGER);
const WIDE = "(min-width: 760px)";

export class Form {
  #models = new Models(() => this.#changed());
  #params = new Params(byId("params"));
  #size = new SizeFields(() => this.#keep());
  #inputs;
  #bill;
  #actions;

  /**
   * @param {object} actions
   * @param {(body: object) => Promise<void>} actions.submit
   * @param {(file: File) => Promise<any>} actions.upload
   * @param {(options: object) => Promise<any[]>} actions.askBackends
   * @param {(backend: string | null) => Promise<any>} actions.chooseBackend
   * @param {(body: object) => Promise<any>} actions.quote what a request would cost
   * @param {() => void} actions.onBackends there is news of backends
   */
  constructor(actions) {
    this.#actions = actions;
    this.#inputs = new Inputs(actions.upload, () => this.#changed());
    this.#bill = new Bill(actions.quote);
    const { askBackends: ask, chooseBackend: choose } = actions;
    /** The choice of a backend; whoever hears of it tells it. */
    this.backends = new Backends({ ask, choose, onChange: () => this.#news() });
    this.#listen();
    this.#restore();
    const wide = matchMedia(WIDE);
    const open = () => (byId("options").open = wide.matches);
    wide.addEventListener("change", open);
    open();
  }

  /** The server's models. */
  load(models) {
    this.#models.load(models);
    this.#show();
  }

  /** Fills the fields with what a task was made with. */
  fill(task) {
    const { type: _type, prompt, inputs: _inputs, ...params } = task.input_data;
    const chosen = { ...this.#models.chosen, [task.kind]: task.substituted_for ?? task.model };
    const sizes = { [task.kind]: { ...this.#size.size, ...sizeOf(params) } };
    const inputs = inputsOf(task);
    this.#write({ kind: task.kind, prompt, seed: task.seed, models: chosen, sizes, params, inputs });
    byId("prompt").focus();
  }

  /** Begins with a picture that is there already. */
  startFrom(picture) {
    if (this.#kind === "text") byId("form").elements.kind.value = "image";
    this.#show();
    this.#models.chooseWithInput();
    this.#show();
    this.#inputs.add(picture);
    byId("prompt").focus();
  }

  /** Fills in an example. */
  suggest(kind, prompt) {
    this.#write({ kind, prompt, seed: "" });
    byId("develop").focus();
  }

  reuseSeed(seed) {
    byId("seed").value = String(seed);
    byId("options").open = true;
    byId("seed").focus();
    this.#keep();
  }

  /** The native body of what the fields say. */
  get body() {
    const { model } = this.#models;
    const schema = model?.params ?? {};
    const body = { kind: this.#kind, prompt: byId("prompt").value.trim() };
    if (model !== undefined) body.model = model.name;
    const place = this.backends.chosen?.name;
    if (model?.backends.includes(place)) body.backend = place;
    const inputs = this.#inputs.values;
    if (inputs.length > 0) body.inputs = inputs;
    const params = { ...this.#params.values, ...sizeParams(this.#size.size, schema) };
    if (Object.keys(params).length > 0) body.params = params;
    const seed = byId("seed").value.trim();
    if (seed !== "") body.seed = wireSeed(seed);
    return body;
  }

  get #kind() {
    return byId("form").elements.kind.value;
  }

  #listen() {
    const form = byId("form");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    form.addEventListener("input", () => this.#keep());
    for (const radio of form.elements.kind) radio.addEventListener("change", () => this.#show());
    byId("prompt").addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey || event.shiftKey)) return;
      event.preventDefault();
      this.#submit();
    });
    byId("seed-clear").addEventListener("click", () => this.#setSeed(""));
    byId("seed-draw").addEventListener("click", () => this.#setSeed(drawSeed()));
    if (/Mac|iPhone|iPad/.test(navigator.platform)) say(byId("shortcut"), "⌘ ↵");
  }

  async #submit() {
    const button = byId("develop");
    if (button.getAttribute("aria-disabled") === "true") return;
    this.#clearWrong();
    const isEmpty = byId("prompt").value.trim() === "";
    if (isEmpty) return this.#wrong({ prompt: "Say what should appear." });
    button.setAttribute("aria-disabled", "true");
    say(byId("develop-words"), "Sending");
    try {
      await this.#inputs.settled();
      const { missing } = this.#inputs;
      if (missing !== "") this.#wrong({ inputs: missing });
      else await this.#send(this.body);
    } catch (error) {
      this.#refused(error);
    } finally {
      button.removeAttribute("aria-disabled");
      say(byId("develop-words"), "Develop");
    }
  }

  async #send(body) {
    const agreement = await this.#bill.agreement(body);
    await this.#actions.submit({ ...body, ...agreement });
  }

  /** Whatever the server blames a field for goes to that field; the rest above the button. */
  #refused(error) {
    if (error.status === undefined) throw error;
    if (error.code === "backend_unreachable") return this.#refusedByPlace(error);
    const entries = Object.entries(error.fields);
    const named = entries.map(([field, words]) => [shownAs(field), words]);
    const placed = named.filter(([name]) => document.getElementById(`wrong-${name}`) !== null);
    if (placed.length === 0) return say(byId("wrong"), error.message);
    this.#wrong(Object.fromEntries(placed));
  }

  /** Why it is down stands there already, if that is known. */
  #refusedByPlace(error) {
    const isTold = byId("place-note").textContent !== "";
    this.#wrong({ backend: isTold ? "The task was refused; nothing was made." : error.message });
  }

  #wrong(fields) {
    for (const [name, words] of Object.entries(fields)) {
      say(byId(`wrong-${name}`), words);
      const input = inputOf(name);
      input?.setAttribute("aria-invalid", "true");
      input?.setAttribute("aria-describedby", `wrong-${name}`);
    }
    const [first] = Object.keys(fields);
    if (byId("options").contains(inputOf(first))) byId("options").open = true;
    inputOf(first)?.focus();
  }

  #clearWrong() {
    for (const words of byId("form").querySelectorAll(".wrong")) say(words, "");
    for (const input of byId("form").querySelectorAll("[aria-invalid]")) {
      input.removeAttribute("aria-invalid");
    }
  }

  #setSeed(seed) {
    byId("seed").value = seed;
    this.#keep();
  }

  #changed() {
    this.#show();
    this.#keep();
  }

  #show() {
    this.#models.hold(this.backends.chosen);
    this.#models.show(this.#kind);
    const { model } = this.#models;
    const params = model?.params ?? {};
    this.#inputs.show(model);
    this.#params.show(params, { hasInput: this.#inputs.values.length > 0 });
    this.#size.show(this.#kind, params);
    this.#showPlace();
    this.#note();
  }

  #showPlace() {
    this.backends.show(this.#models.model, this.#models.isHeldBack);
    this.#params.offer("checkpoint", this.backends.place?.checkpoints ?? []);
  }

  /** Backends are looked at every few seconds: nothing that somebody uses may be made anew. */
  #news() {
    const before = this.#models.model;
    this.#models.hold(this.backends.chosen);
    this.#models.show(this.#kind);
    if (this.#models.model === before) this.#showPlace();
    else this.#show();
    this.#actions.onBackends();
  }

  #note() {
    const seed = byId("seed").value.trim();
    const words = [this.#size.words(), seed === "" ? "random seed" : `seed ${seed}`];
    say(byId("options-note"), words.filter(Boolean).join(" · "));
    this.#bill.show(this.#models.model, this.body);
  }

  #write({ kind, prompt, seed, models, sizes, params, inputs }) {
    const form = byId("form");
    form.elements.kind.value = kind ?? "image";
    byId("prompt").value = prompt ?? "";
    byId("seed").value = seed ?? "";
    this.#size.choose(sizes ?? {});
    this.#models.show(this.#kind, models);
    this.#inputs.choose(inputs ?? []);
    this.#params.show(this.#models.model?.params ?? {}, { chosen: params });
    this.#clearWrong();
    this.#show();
    this.#keep();
  }

  #keep() {
    this.#note();
    const kept = {
      kind: this.#kind,
      prompt: byId("prompt").value,
      seed: byId("seed").value,
      models: this.#models.chosen,
      sizes: this.#size.chosen,
      params: this.#params.chosen,
      inputs: this.#inputs.chosen,
    };
    localStorage.setItem(KEPT, JSON.stringify(kept));
  }

  #restore() {
    try {
      this.#write(JSON.parse(localStorage.getItem(KEPT)) ?? {});
    } catch {
      localStorage.removeItem(KEPT);
    }
  }
}

const inputOf = (name) =>
  document.querySelector(`[data-field="${CSS.escape(name)}"] :is(textarea, input, select)`);

/** Which of our fields the server's name for one is about: `inputs.0`, `params.workflow.3.seed`. */
function shownAs(field) {
  const [head, second] = field.split(".");
  return head === "params" ? (second ?? head) : head;
}

/** Anything that is no number goes as it is: the server says best what is wrong with it. */
function wireSeed(text) {
  if (!/^\d+$/.test(text)) return text;
  return BigInt(text) <= EXACT ? Number(text) : text;
}

function drawSeed() {
  const [high, low] = crypto.getRandomValues(new Uint32Array(2));
  return String((high & 0x1fffff) * 2 ** 32 + low);
}
