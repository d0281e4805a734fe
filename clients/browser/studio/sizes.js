/**
 * Shapes and sizes of pictures: from a preset to the parameters that a model takes.
 *
 * Pure. A model that has `width` and `height` gets numbers, one that has only
 * `aspect_ratio` gets its name, any other gets nothing.
 */

export const SHAPES = ["1:1", "4:3", "3:2", "16:9", "3:4", "2:3", "9:16"];
export const SIDES = [512, 768, 1024, 1536, 2048];
const STEP = 8;

/**
 * @typedef {object} Size
 * @property {string} shape one of SHAPES, or "custom"
 * @property {number} side the longest side in pixels, for a shape
 * @property {number} width for "custom"
 * @property {number} height for "custom"
 */

/** Width over height of a shape such as "4:3". */
export function ratio(shape) {
  const [wide, high] = shape.split(":").map(Number);
  return wide / high;
}

/** Pixels of a shape, each a multiple of 8 and at least `least`. */
export function pixels(shape, side, least = 0) {
  const wanted = ratio(shape);
  const short = (long) => Math.max(least, Math.round(long / STEP) * STEP);
  if (wanted >= 1) return { width: side, height: short(side / wanted) };
  return { width: short(side * wanted), height: side };
}

/** Which shapes a model takes: those of its list, if it has one and no free sizes. */
export function shapesOf(params) {
  if (hasPixels(params)) return SHAPES;
  const { enum: listed, examples } = params.aspect_ratio ?? { enum: [] };
  return listed ?? examples ?? SHAPES;
}

/** The longest sides that a model takes. */
export function sidesOf(params) {
  const { least, most } = limits(params.width);
  return SIDES.filter((side) => side >= least && side <= most);
}

export const hasPixels = (params) => "width" in params && "height" in params;

/** The bounds of a number in a schema. */
export function limits(schema = {}) {
  const least = schema.minimum ?? schema.min ?? 0;
  const most = schema.maximum ?? schema.max ?? Infinity;
  return { least, most };
}

/**
 * The parameters for a size.
 * @param {Size} size
 * @param {Record<string, any>} params the model's schema
 */
export function sizeParams({ shape, side, width, height }, params) {
  if (!hasPixels(params)) return "aspect_ratio" in params ? { aspect_ratio: shape } : {};
  if (shape === "custom") return { width, height };
  return pixels(shape, side, limits(params.width).least);
}

/** The size that a task was made with, for the form. */
export function sizeOf({ width, height, aspect_ratio }) {
  if (!width || !height) return aspect_ratio ? { shape: aspect_ratio } : {};
  const side = Math.max(width, height);
  const shape = SHAPES.find((one) => {
    const made = pixels(one, side);
    return made.width === width && made.height === height;
  });
  return SIDES.includes(side) && shape ? { shape, side } : { shape: "custom", width, height };
}
