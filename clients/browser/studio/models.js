/**
 * The list of models: which there are for a kind, what they cost, and why one cannot be used.
 *
 * One that runs on backends, but not on the chosen one, cannot be used while that is chosen.
 */

import { byId, make, say } from "./dom.js";
import { price } from "./words.js";

/** Providers that run on backends of one's own, and need no key but at least one of those. */
const ON_BACKENDS = new Set(["comfyui"]);

export class Models {
  #models = [];
  #place;
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

  /** Whether there are models of this kind that only another backend may run. */
  get isHeldBack() {
    return this.#of(this.#kind).some((model) => model.usable && !this.#isUsable(model));
  }

  /** The server's list, in its order. */
  load(models) {
    this.#models = models;
    this.show(this.#kind);
  }

  /** What is shown next is to run on this backend; undefined for whichever the server takes. */
  hold(place) {
    this.#place = place;
  }

  /** Chooses a model that begins with a picture, one of the same provider if there is one. */
  chooseWithInput() {
    const { model } = this;
    if (model?.max_inputs !== 0 || model.kind === "text") return;
    const able = this.#of(this.#kind).filter((one) => one.max_inputs !== 0 && this.#isUsable(one));
    const other = able.find(({ provider }) => provider === model.provider) ?? able[0];
    if (other !== undefined) this.show(this.#kind, { ...this.#chosen, [this.#kind]: other.name });
  }

  /** Shows the models of a kind; `chosen` replaces what was chosen before, if given. */
  show(kind, chosen = this.#chosen) {
    this.#kind = kind;
    this.#chosen = { ...chosen };
    const models = this.#of(kind);
    const wanted = this.#usable(models, this.#chosen[kind]);
    const options = models.map((model) => option(model, this.#whyNot(model), model === wanted));
    this.#fill(options.length > 0 ? options : [nothing(this.#models)]);
    this.#showNote();
  }

  /** A list that somebody has open closes when it is filled anew, even with the same. */
  #fill(options) {
    const select = byId("model");
    const same = (option, index) => option.isEqualNode(select.options[index]);
    if (options.length !== select.options.length || !options.every(same)) {
      select.replaceChildren(...options);
    }
    const selected = options.findIndex((option) => option.selected);
    if (select.selectedIndex !== selected) select.selectedIndex = selected;
  }

  #of(kind) {
    return this.#models.filter((model) => model.kind === kind);
  }

  #isUsable(model) {
    return this.#whyNot(model) === "";
  }

  #whyNot({ usable, provider, backends }) {
    if (!usable) return ON_BACKENDS.has(provider) ? "no backend" : `no key for ${provider}`;
    const isElsewhere = this.#place !== undefined && backends.length > 0;
    return isElsewhere && !backends.includes(this.#place.name) ? `not on ${this.#place.label}` : "";
  }

  #usable(models, name) {
    const usable = models.filter((model) => this.#isUsable(model));
    const named = usable.find((model) => model.name === name);
    return named ?? usable.find((model) => model.default) ?? usable[0];
  }

  #showNote() {
    const { model } = this;
    say(byId("model-note"), model === undefined ? "" : price(model));
  }
}

function option(model, whyNot, selected) {
  const words = whyNot === "" ? model.label : `${model.label} (${whyNot})`;
  return make("option", { value: model.name, disabled: whyNot !== "", selected }, words);
}

function nothing(models) {
  const words = models.length > 0 ? "None" : "Loading";
  return make("option", { value: "", disabled: true, selected: true }, words);
}
