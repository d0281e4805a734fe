/** Making and finding elements. The one place that knows how the page's text gets into the DOM. */

const SVG = "http://www.w3.org/2000/svg";

/** The element with this id; a missing one is a mistake in index.html and is said so. */
export function byId(id) {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`index.html has no #${id}`);
  return found;
}

/**
 * An element. Text is set as text, never as markup. `class`, `aria-…`, `data-…` and
 * `role` are attributes, everything else is a property, `on…` a listener.
 * @param {string} tag
 * @param {Record<string, any>} [given]
 * @param {...(Node | string | null)} children null is left out
 */
export function make(tag, given = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) give(element, name, value);
  element.append(...children.filter((child) => child !== null));
  return element;
}

function give(element, name, value) {
  if (value === undefined || value === null) return;
  if (/^(class$|role$|for$|aria-|data-)/.test(name)) element.setAttribute(name, value);
  else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
  else element[name] = value;
}

/** One of the symbols in index.html. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

/** Sets text only where it differs, so that readers of live regions are not woken for nothing. */
export function say(element, words) {
  if (element.textContent !== words) element.textContent = words;
}

/** Copies to the clipboard, also on plain-HTTP pages, where browsers hide the newer way. */
export async function copy(text) {
  if (navigator.clipboard !== undefined) return navigator.clipboard.writeText(text);
  const area = make("textarea", { value: text, class: "hidden" });
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}
