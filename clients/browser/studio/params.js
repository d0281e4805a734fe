/**
 * Fields for the parameters that a model's schema lists, steps among them.
 *
 * Owns these fields only. Size and seed have fields of their own (`size.js`, `form.js`).
 * A value is remembered by its name, so that it stays when the model changes, and is
 * sent only where it differs from the model's default. Fields are made anew only for
 * another schema: what somebody types into is left alone.
 */

import { make, say } from "./dom.js";
import { limits } from "./sizes.js";

/** Fields of their own. */
const ELSEWHERE = new Set(["width", "height", "aspect_ratio"]);
/** What only makes sense with an input picture. */
const WITH_INPUT = new Set(["strength"]);
/** A slider with more stops than this cannot be aimed. */
const MOST_STOPS = 200;

export class Params {
  #box;
  #schema = {};
  #chosen = {};
  #shown = "";

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

  /**
   * Shows the fields of a schema.
   * @param {Record<string, any>} params
   * @param {{chosen?: object, hasInput?: boolean}} [options] `chosen` replaces what was chosen
   *   before
   */
  show(params, { chosen, hasInput = false } = {}) {
    const isThere = (name) => !ELSEWHERE.has(name) && (hasInput || !WITH_INPUT.has(name));
    const known = Object.entries(params).filter(([name]) => isThere(name));
    const shown = JSON.stringify(known);
    if (chosen === undefined && shown === this.#shown) return;
    this.#shown = shown;
    this.#schema = Object.fromEntries(known);
    this.#chosen = { ...(chosen ?? this.#chosen) };
    this.#box.replaceChildren(...known.map(([name, schema]) => this.#field(name, schema)));
  }

  /** What may be typed into a field, as far as it is known; the first is what is meant by none. */
  offer(name, values) {
    const list = document.getElementById(`offers-${name}`);
    if (list === null) return;
    const there = Array.from(list.options, (option) => option.value);
    if (there.join("\n") === values.join("\n")) return;
    list.replaceChildren(...values.map((value) => make("option", { value })));
    const input = this.#box.querySelector(`#param-${name}`);
    if (values.length > 0) input.setAttribute("list", list.id);
    else input.removeAttribute("list");
    if (this.#schema[name].default === undefined) input.placeholder = values[0] ?? "none";
  }

  #field(name, schema) {
    const id = `param-${name}`;
    const value = make("output", { class: "value" });
    const input = inputFor(schema, this.#chosen[name]);
    const offers = make("datalist", { id: `offers-${name}` });
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
      input.type === "text" ? offers : null,
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
  if (schema.type === "object") return area(schema, value);
  return number(schema, value);
}

/** An object, as JSON; what is none stays as it was typed. */
function area(schema, value) {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  const placeholder = schema.description ?? "JSON";
  return make("textarea", { class: "code", rows: 5, spellcheck: false, value: text, placeholder });
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
  if (schema.type === "object") return parsed(input.value);
  return schema.type === "string" ? input.value : Number(input.value);
}

/** The server says best what is wrong with it. */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

const shown = (input) => (input.type === "range" ? input.value : "");

function title(name) {
  const words = name.replaceAll("_", " ");
  return words === "fps" ? "Pictures a second" : words[0].toUpperCase() + words.slice(1);
}
