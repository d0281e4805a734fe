/** The list of models: which there are for a kind, what they cost, and why one cannot be used. */

import { byId, make, say } from "./dom.js";
import { price } from "./words.js";

export class Models {
  #models = [];
  #chosen = {};
  #kind = "image";
  #onChange;

  constructor(onChange) {
    this.#onChange = onChange;
    byId("model").addEventListener("change", (event) => {
      this.#chosen[this.#kind] = event.target.value;
      this.#showNote();
      this.#onChange();
    });
  }

  /** Names chosen, by kind. */
  get chosen() {
    return { ...this.#chosen };
  }

  /** The model that is selected; undefined before the list is here. */
  get model() {
    return this.#of(this.#kind).find((model) => model.name === byId("model").value);
  }

  /** The server's list, in its order. */
  load(models) {
    this.#models = models;
    this.show(this.#kind);
  }

  /** Shows the models of a kind; `chosen` replaces what was chosen before, if given. */
  show(kind, chosen = this.#chosen) {
    this.#kind = kind;
    this.#chosen = { ...chosen };
    const models = this.#of(kind);
    const wanted = this.#usable(models, this.#chosen[kind]);
    const options = models.map((model) => option(model, model === wanted));
    byId("model").replaceChildren(...(options.length > 0 ? options : [nothing(this.#models)]));
    this.#showNote();
  }

  #of(kind) {
    return this.#models.filter((model) => model.kind === kind);
  }

  #usable(models, name) {
    const usable = models.filter((model) => model.usable);
    const named = usable.find((model) => model.name === name);
    return named ?? usable.find((model) => model.default) ?? usable[0];
  }

  #showNote() {
    const { model } = this;
    say(byId("model-note"), model === undefined ? "" : price(model));
  }
}

function option(model, selected) {
  const words = model.usable ? model.label : `${model.label} (${whyNot(model)})`;
  return make("option", { value: model.name, disabled: !model.usable, selected }, words);
}

const whyNot = ({ provider }) => `no key for ${provider}`;

function nothing(models) {
  const words = models.length > 0 ? "None" : "Loading";
  return make("option", { value: "", disabled: true, selected: true }, words);
}
