/**
 * Fields for the parameters that a model's schema lists, steps among them.
 *
 * Owns these fields only. Size and seed have fields of their own (`size.js`, `form.js`).
 * A value is remembered by its name, so that it stays when the model changes, and is
 * sent only where it differs from the model's default.
 */

import { make, say } from "./dom.js";
import { limits } from "./sizes.js";

/** Fields of their own, and what only makes sense with an input picture. */
const ELSEWHERE = new Set(["width", "height", "aspect_ratio", "strength"]);
/** A slider with more stops than this cannot be aimed. */
const MOST_STOPS = 200;

export class Params {
  #box;
  #schema = {};
  #chosen = {};

  /** @param {HTMLElement} box */
  constructor(box) {
    this.#box = box;
  }

  /** What was chosen by name, also for models other than the present one. */
  get chosen() {
    return this.#chosen;
  }

  /** What the present model is sent. */
  get values() {
    const sent = Object.keys(this.#schema).filter((name) => name in this.#chosen);
    return Object.fromEntries(sent.map((name) => [name, this.#chosen[name]]));
  }

  /** Shows the fields of a schema. `chosen` replaces what was chosen before, if given. */
  show(params, chosen = this.#chosen) {
    const known = Object.entries(params).filter(([name]) => !ELSEWHERE.has(name));
    this.#schema = Object.fromEntries(known);
    this.#chosen = { ...chosen };
    this.#box.replaceChildren(...known.map(([name, schema]) => this.#field(name, schema)));
  }

  #field(name, schema) {
    const id = `param-${name}`;
    const value = make("output", { class: "value" });
    const input = inputFor(schema, this.#chosen[name]);
    input.id = id;
    input.addEventListener("input", () => {
      this.#choose(name, schema, input);
      say(value, shown(input));
    });
    say(value, shown(input));
    return make(
      "div",
      { class: "field", "data-field": name },
      make("label", { for: id, title: schema.description ?? "" }, `${title(name)} `, value),
      input,
      make("p", { class: "wrong", id: `wrong-${name}` }),
    );
  }

  #choose(name, schema, input) {
    const value = read(input, schema);
    if (value === null || value === schema.default) delete this.#chosen[name];
    else this.#chosen[name] = value;
  }
}

function inputFor(schema, chosen) {
  const value = chosen ?? schema.default ?? "";
  const isFlag = schema.type === "boolean";
  if (isFlag) return make("input", { type: "checkbox", checked: value === true });
  if (schema.enum) return choice(schema.enum, value);
  if (schema.type === "string") return make("input", { type: "text", value, placeholder: "none" });
  return number(schema, value);
}

function choice(names, value) {
  const option = (name) => make("option", { value: name, selected: name === value }, name);
  return make("select", {}, ...names.map(option));
}

function number(schema, value) {
  const { least, most } = limits(schema);
  const step = schema.type === "integer" ? 1 : fineness(most - least);
  const isSlider = (most - least) / step <= MOST_STOPS && schema.default !== undefined;
  const input = make("input", { type: isSlider ? "range" : "number", inputMode: "decimal" });
  input.min = String(least);
  if (most !== Infinity) input.max = String(most);
  input.step = String(step);
  input.value = String(value);
  return input;
}

const fineness = (span) => (span <= 3 ? 0.05 : 0.5);

function read(input, schema) {
  if (schema.type === "boolean") return input.checked;
  if (input.value.trim() === "") return null;
  return schema.type === "string" ? input.value : Number(input.value);
}

const shown = (input) => (input.type === "range" ? input.value : "");

function title(name) {
  const words = name.replaceAll("_", " ");
  return words === "fps" ? "Pictures a second" : words[0].toUpperCase() + words.slice(1);
}
