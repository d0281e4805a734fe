/**
 * The choice of a backend, and how each of them is.
 *
 * The choice is kept by the server, for all of the owner's devices: what it tells last
 * counts, and what was clicked here stands until it has answered. Shown only where there
 * are backends and the model at hand runs on one. Decides nothing about tasks.
 */

import { byId, make, say } from "./dom.js";
import { outlook, placeOf, stateWords } from "./health.js";
import { Lookout } from "./lookout.js";

/** Between two looks at how they are. The server shares one question among all who ask. */
const LOOK_MS = 5000;

export class Backends {
  #all = [];
  #rows = new Map();
  #told = { backend: null, warnings: [] };
  #wanted;
  #isSaving = false;
  #wasTold = false;
  #model;
  #actions;
  #lookout = new Lookout(() => this.#look(true), { ms: LOOK_MS });

  /**
   * @param {object} actions
   * @param {(options: {refresh: boolean}) => Promise<any[]>} actions.ask
   * @param {(backend: string | null) => Promise<any>} actions.choose
   * @param {() => void} actions.onChange another choice, or news of a backend
   */
  constructor(actions) {
    this.#actions = actions;
  }

  /** The server is there, perhaps another one than before: which backends has it? */
  load() {
    return this.#look(false);
  }

  /** What the owner has chosen, on whatever device. */
  tell(preferences) {
    this.#told = preferences;
    this.#wasTold = true;
    if (this.#wanted === undefined) this.#changed();
  }

  /** The backend that is chosen, if there is such a one. */
  get chosen() {
    const name = this.#wanted === undefined ? this.#told.backend : this.#wanted;
    return this.#all.find((one) => one.name === name);
  }

  /** The backend that a new task will run on; undefined where it needs none. */
  get place() {
    return placeOf(this.#all, this.#model, this.chosen?.name ?? null);
  }

  label(name) {
    return this.#all.find((one) => one.name === name)?.label ?? name;
  }

  /** Shows the choice for a model; `isKept` shows it for one that needs no backend, too. */
  show(model, isKept) {
    this.#model = model;
    const needsOne = model !== undefined && (model.backends.length > 0 || isKept);
    const isShown = this.#all.length > 0 && needsOne;
    byId("places").hidden = !isShown;
    this.#lookout.want(isShown);
    if (isShown) this.#draw();
  }

  async #look(refresh) {
    try {
      this.#all = await this.#actions.ask({ refresh });
    } catch (error) {
      if (error.status === undefined) throw error;
      return; // the sign of the connection says so, and what was known stays
    }
    this.#actions.onChange();
  }

  #choose(name) {
    this.#wanted = name;
    this.#changed();
    if (!this.#isSaving) this.#save();
  }

  #changed() {
    say(byId("wrong-backend"), "");
    this.#actions.onChange();
  }

  /** One after the other, so that the last click is the last word. */
  async #save() {
    this.#isSaving = true;
    try {
      while (this.#wanted !== undefined) await this.#send(this.#wanted);
      this.#changed();
    } catch (error) {
      this.#wanted = undefined;
      this.#changed();
      if (error.status === undefined) throw error;
      say(byId("wrong-backend"), `The choice was not kept: ${error.message}`);
    } finally {
      this.#isSaving = false;
    }
  }

  /** A push that came meanwhile is at least as new as the answer. */
  async #send(name) {
    this.#wasTold = false;
    const told = await this.#actions.choose(name);
    if (!this.#wasTold) this.#told = told;
    if (this.#wanted === name) this.#wanted = undefined;
  }

  #draw() {
    const names = ["", ...this.#all.map((one) => one.name)];
    if (names.join() !== [...this.#rows.keys()].join()) this.#build(names);
    const chosen = this.chosen?.name ?? "";
    for (const one of this.#all) this.#row(one.name, one.label, this.#state(one), one.status);
    const fallback = placeOf(this.#all, this.#model, null);
    this.#row("", "Default", fallback === undefined ? "the server's choice" : fallback.label);
    for (const [name, { input }] of this.#rows) {
      input.checked = name === chosen;
      input.disabled = name !== "" && name !== chosen && !this.#isAble(name);
    }
    say(byId("place-note"), [...this.#told.warnings, outlook(this.place)].join(" ").trim());
  }

  #state(one) {
    return this.#isAble(one.name) ? stateWords(one) : "not for this model";
  }

  #isAble(name) {
    return this.#model.backends.includes(name) || this.#model.backends.length === 0;
  }

  #row(name, label, words, status = "none") {
    const { input, title, state } = this.#rows.get(name);
    input.dataset.status = status;
    say(title, label);
    say(state, words);
  }

  #build(names) {
    this.#rows = new Map(names.map((name) => [name, this.#made(name)]));
    byId("place-list").replaceChildren(...[...this.#rows.values()].map(({ element }) => element));
  }

  #made(name) {
    const onchange = () => this.#choose(name === "" ? null : name);
    const input = make("input", { type: "radio", name: "backend", value: name, onchange });
    const title = make("span", { class: "place-title" });
    const state = make("span", { class: "place-state" });
    const dot = make("i", { class: "health", "aria-hidden": "true" });
    const element = make("label", { class: "place" }, input,
      make("span", { class: "place-body" }, dot, title, " ", state));
    return { element, input, title, state };
  }
}
