/** The fields for shape and size. What they come to for a model is in `sizes.js`. */

import { byId, make } from "./dom.js";
import { hasPixels, limits, pixels, ratio, shapesOf, sidesOf } from "./sizes.js";

/** What a kind begins with, where its model does not say. */
const FIRST_SIDE = { image: 1024, video: 512 };
/** The longer edge of a shape's little picture, in pixels. */
const GLYPH = 18;

export class SizeFields {
  #params = {};
  #kind = "image";
  #sizes = {};
  #onChange;

  constructor(onChange) {
    this.#onChange = onChange;
    const side = byId("side");
    side.addEventListener("change", () => this.#set({ side: Number(side.value) }));
    for (const edge of ["width", "height"]) {
      byId(edge).addEventListener("input", (event) => this.#edge(edge, event.target));
    }
  }

  get size() {
    return { ...this.#size };
  }

  /** What was chosen, by kind. */
  get chosen() {
    return { ...this.#sizes };
  }

  get #size() {
    return this.#sizes[this.#kind] ?? firstSize(this.#kind, this.#params);
  }

  /** Takes over what was chosen, by kind, or a part of it. */
  choose(sizes) {
    this.#sizes = { ...this.#sizes, ...sizes };
  }

  #set(size) {
    this.#sizes[this.#kind] = { ...this.#size, ...size };
    this.show(this.#kind, this.#params);
    this.#onChange();
  }

  /** Shows what a model with these parameters takes; the nearest it has to what was chosen. */
  show(kind, params) {
    this.#kind = kind;
    this.#params = params;
    const shapes = shapesOf(params);
    const names = hasPixels(params) ? [...shapes, "custom"] : shapes;
    byId("size").hidden = names.length === 0;
    if (names.length === 0) return;
    this.#fit(names, params);
    this.#showShapes(names);
    this.#showSides(params);
    this.#showCustom(params);
  }

  /** The size in words: pixels where they are known. */
  words() {
    const { shape, side, width, height } = this.#size;
    if (shape === "custom") return `${width || "?"} × ${height || "?"}`;
    if (!hasPixels(this.#params)) return shapesOf(this.#params).length > 0 ? shape : "";
    return this.#pixels(shape, side);
  }

  #fit(names, params) {
    const { shape, side } = this.#size;
    const sides = hasPixels(params) ? sidesOf(params) : [side];
    const smaller = sides.findLast((one) => one <= side);
    const nearest = sides.includes(side) ? side : (smaller ?? sides[0]);
    const fitting = names.includes(shape) ? shape : names[0];
    if (fitting === shape && nearest === side) return;
    this.#sizes[this.#kind] = { ...this.#size, shape: fitting, side: nearest ?? side };
  }

  #showShapes(names) {
    const box = byId("shapes");
    const key = names.join();
    if (box.dataset.names !== key) box.replaceChildren(...names.map((name) => this.#shape(name)));
    box.dataset.names = key;
    const { shape } = this.#size;
    for (const input of box.querySelectorAll("input")) input.checked = input.value === shape;
  }

  #shape(name) {
    const glyph = make("i", { class: "glyph", "aria-hidden": "true" });
    const wide = name === "custom" ? 1 : ratio(name);
    glyph.style.width = `${GLYPH * Math.min(1, wide)}px`;
    glyph.style.height = `${GLYPH * Math.min(1, 1 / wide)}px`;
    glyph.classList.toggle("free", name === "custom");
    const onchange = () => this.#set(this.#startOf(name));
    const input = make("input", { type: "radio", name: "shape", value: name, onchange });
    const words = name === "custom" ? "Custom" : name;
    return make("label", {}, input, make("span", {}, glyph, words));
  }

  /** Custom sizes begin with the pixels of the shape that was chosen before. */
  #startOf(name) {
    if (name !== "custom" || this.#size.shape === "custom") return { shape: name };
    return { shape: name, ...pixels(this.#size.shape, this.#size.side) };
  }

  #showSides(params) {
    const { shape, side } = this.#size;
    const isThere = hasPixels(params) && shape !== "custom";
    byId("side").hidden = !isThere;
    if (!isThere) return;
    const option = (value) =>
      make("option", { value, selected: value === side }, this.#pixels(shape, value));
    byId("side").replaceChildren(...sidesOf(params).map(option));
  }

  #pixels(shape, side) {
    const { width, height } = pixels(shape, side, limits(this.#params.width).least);
    return `${width} × ${height}`;
  }

  #showCustom(params) {
    const isCustom = this.#size.shape === "custom";
    byId("custom").hidden = !isCustom;
    if (!isCustom) return;
    for (const edge of ["width", "height"]) {
      const { least, most } = limits(params[edge]);
      const input = byId(edge);
      Object.assign(input, { min: least, max: most === Infinity ? "" : most });
      if (document.activeElement !== input) input.value = this.#size[edge] ?? "";
    }
  }

  /** While somebody types, the field stays as it is. */
  #edge(edge, input) {
    const value = input.value === "" ? undefined : Number(input.value);
    this.#sizes[this.#kind] = { ...this.#size, [edge]: value };
    this.#onChange();
  }
}

function firstSize(kind, params) {
  const side = FIRST_SIDE[kind] ?? FIRST_SIDE.image;
  return { shape: params.aspect_ratio?.default ?? "1:1", side, width: side, height: side };
}
