/**
 * The sheet of paper on which a task develops: previews that sharpen, then the result.
 *
 * Owns the frame and what lies in it; its shape is fixed from the first moment, so that
 * nothing moves when a picture comes. Under the safelight the paper's border is red; it is
 * white at the end, when the light goes on (print.css).
 */

import { hasEnded } from "../sdk/index.js";
import { make, say } from "./dom.js";
import { resultUrl, textOf, whyFailed } from "./words.js";

const SQUARE = { width: 1, height: 1 };

/** How a task's frame is shaped, as width and height. */
export function shapeOf(task) {
  const { width, height, aspect_ratio } = task.input_data;
  const made = task.artifacts[0];
  if (made?.width && made.height) return made;
  if (width > 0 && height > 0) return { width, height };
  const [wide, high] = String(aspect_ratio ?? "").split(":").map(Number);
  return wide > 0 && high > 0 ? { width: wide, height: high } : SQUARE;
}

export class Print {
  #layers = [make("img", { class: "layer", alt: "" }), make("img", { class: "layer", alt: "" })];
  #result = make("div", { class: "result" });
  #words = make("p", { class: "cover" });
  #text = make("div", { class: "manuscript", tabIndex: 0 });
  #frame;
  #shown = null;
  #latest = null;

  constructor(task) {
    this.#layers.forEach((layer) => (layer.hidden = true));
    const isText = task.kind === "text";
    this.#text.setAttribute("aria-label", "Text");
    const inside = isText ? [this.#text] : [...this.#layers, this.#result];
    this.#frame = make("div", { class: "frame" }, ...inside, this.#words);
    const look = isText ? "of-text" : "of-picture";
    this.element = make("div", { class: `print ${look}` }, this.#frame);
    const { width, height } = shapeOf(task);
    if (!isText) this.element.style.setProperty("--ratio", String(width / height));
  }

  /** Brings the sheet to what the snapshot says. */
  show(task) {
    this.element.dataset.status = task.status;
    this.element.style.setProperty("--p", String(task.progress));
    this.element.classList.toggle("canceling", task.canceling);
    if (task.kind === "text") this.#showText(task);
    else this.#showResult(task);
    say(this.#words, cover(task));
  }

  /** A preview: it fades in over the one before, once it is decoded. */
  async preview(url) {
    this.#latest = url;
    const [below, above] = this.#layers;
    above.src = url;
    try {
      await above.decode();
    } catch {
      return; // replaced by the next one in the meantime, or no picture
    }
    if (this.#latest !== url) return;
    this.#layers = [above, below];
    above.hidden = false;
    above.classList.add("front");
    below.classList.remove("front");
  }

  #showText(task) {
    const isAtEnd = this.#text.scrollHeight - this.#text.scrollTop - this.#text.clientHeight < 40;
    say(this.#text, textOf(task));
    if (isAtEnd && !hasEnded(task)) this.#text.scrollTop = this.#text.scrollHeight;
  }

  #showResult(task) {
    const url = task.status === "completed" ? resultUrl(task) : null;
    if (url === null || url === this.#shown) return;
    this.#shown = url;
    const made = task.artifacts.filter((artifact) => artifact.attempt === task.attempt);
    const several = made.length > 1 ? made : [{ url, media_type: made[0]?.media_type }];
    this.#result.classList.toggle("several", several.length > 1);
    this.#result.replaceChildren(...several.map((one) => picture(one, task)));
  }
}

/** A picture or clip that appears when it is there. */
function picture({ url, media_type }, task) {
  const isFilm = String(media_type).startsWith("video/");
  const ready = (event) => event.target.classList.add("ready");
  if (isFilm) {
    return make("video", { src: url, controls: true, loop: true, autoplay: true, muted: true,
      playsInline: true, onloadeddata: ready });
  }
  return make("img", { src: url, alt: task.input_data.prompt, onload: ready });
}

/** Words on the sheet where there is nothing to see. */
function cover(task) {
  if (task.status === "failed") return whyFailed(task);
  if (task.status === "canceled") return "Canceled before it was done.";
  return "";
}
