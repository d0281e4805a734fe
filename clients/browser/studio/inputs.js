/**
 * The pictures that a task begins with: sent from this device, or taken from an earlier task.
 *
 * Owns their field, and the sending, which is over before the form is. What is kept over a
 * reload is how the server knows them and where they are seen, never their bytes.
 */

import { byId, icon, make, say } from "./dom.js";
import { fileSize } from "./words.js";

/** Where a model does not say how many it takes. */
const MOST = 1;

/**
 * @typedef {object} Picture
 * @property {{upload: string} | {artifact: string} | {task: string}} [given] none while it is sent
 * @property {string | null} url where it is seen
 * @property {string} name
 */

export class Inputs {
  #pictures = [];
  #most = 0;
  #least = 0;
  #upload;
  #onChange;
  #sending = Promise.resolve();

  /**
   * @param {(file: File) => Promise<import("../types.d.ts").Uploaded>} upload
   * @param {() => void} onChange
   */
  constructor(upload, onChange) {
    this.#upload = upload;
    this.#onChange = onChange;
    const picker = byId("input-file");
    picker.addEventListener("change", () => {
      this.#take(picker.files);
      picker.value = "";
    });
    this.#listenForDrops(byId("bench"));
  }

  /** Shows the field for a model, undefined before there is one. */
  show(model) {
    const takesNone = model === undefined || model.kind === "text";
    this.#most = takesNone ? 0 : (model.max_inputs ?? MOST);
    this.#least = takesNone ? 0 : model.min_inputs;
    byId("inputs").hidden = this.#most === 0;
    this.#draw();
  }

  /** Those that the present model is sent, as the server knows them. */
  get values() {
    return this.#shown.filter(({ given }) => given !== undefined).map(({ given }) => given);
  }

  /** What is kept over a reload. */
  get chosen() {
    const sent = this.#pictures.filter(({ given }) => given !== undefined);
    return sent.map(({ given, url, name }) => {
      return { given, url: url.startsWith("blob:") ? seenAt(given) : url, name };
    });
  }

  /** In place of what was there: kept pictures, or those of a task. */
  choose(pictures) {
    this.#pictures = pictures.map((one) => ({ ...one, url: one.url ?? seenAt(one.given) }));
    this.#draw();
  }

  /** One more; more than the model takes push the oldest out. */
  add(picture) {
    this.#pictures = [...this.#shown, picture].slice(-Math.max(1, this.#most));
    say(byId("wrong-inputs"), "");
    this.#draw();
    this.#onChange();
  }

  /** Resolves when nothing is being sent any more. */
  settled() {
    return this.#sending;
  }

  /** What is missing, in words; nothing if enough is there. */
  get missing() {
    if (this.values.length >= this.#least) return "";
    const count = this.#least === 1 ? "a picture" : `${this.#least} pictures`;
    return `This model begins with ${count}.`;
  }

  get #shown() {
    return this.#most === 0 ? [] : this.#pictures.slice(-this.#most);
  }

  #take(files) {
    for (const file of files) this.#sending = Promise.all([this.#sending, this.#send(file)]);
  }

  async #send(file) {
    const picture = { url: URL.createObjectURL(file), name: file.name };
    this.add(picture);
    this.#busy(`Sending ${file.name} (${fileSize(file.size)})`);
    try {
      const { id } = await this.#upload(file);
      picture.given = { upload: id };
    } catch (error) {
      this.#remove(picture);
      if (error.status === undefined) throw error;
      say(byId("wrong-inputs"), `${file.name} was not taken: ${error.message}`);
    } finally {
      this.#busy("");
      this.#draw();
      this.#onChange();
    }
  }

  #busy(words) {
    const isBusy = words !== "" || this.#pictures.some(({ given }) => given === undefined);
    byId("inputs").setAttribute("aria-busy", String(isBusy));
    say(byId("inputs-busy"), words);
  }

  #remove(picture) {
    this.#pictures = this.#pictures.filter((one) => one !== picture);
    this.#draw();
    this.#onChange();
  }

  #draw() {
    const shown = this.#shown;
    byId("inputs-list").replaceChildren(...shown.map((one) => this.#item(one)));
    say(byId("inputs-note"), this.#least > 0 ? "" : "(optional)");
    const isFull = shown.length >= this.#most;
    say(byId("inputs-pick-words"), isFull ? "Choose another" : "Choose a picture");
  }

  #item(picture) {
    const { url, name, given } = picture;
    const image = make("img", { src: url, alt: "", decoding: "async" });
    image.addEventListener("error", () => image.classList.add("lost"));
    const onclick = () => {
      this.#remove(picture);
      byId("input-file").focus();
    };
    const button = make("button", { type: "button", class: "icon", title: "Remove",
      "aria-label": `Remove ${name}`, onclick }, icon("clear"));
    const words = make("span", { class: "input-name" }, name);
    const look = { class: "input", "data-sent": String(given !== undefined) };
    return make("li", look, image, words, button);
  }

  #listenForDrops(area) {
    const isFile = (event) => this.#most > 0 && event.dataTransfer?.types.includes("Files");
    area.addEventListener("dragover", (event) => isFile(event) && event.preventDefault());
    area.addEventListener("drop", (event) => {
      if (!isFile(event)) return;
      event.preventDefault();
      this.#take(event.dataTransfer.files);
    });
  }
}

/** The address of an input's bytes; a task's is not known. */
function seenAt({ upload, artifact }) {
  if (upload !== undefined) return `api/uploads/${encodeURIComponent(upload)}`;
  return artifact === undefined ? "" : `api/artifacts/${encodeURIComponent(artifact)}`;
}

/** The pictures that a task began with, for the field. */
export function inputsOf(task) {
  const given = task.input_data.inputs ?? [];
  return given.map((one) => ({ given: one, url: null, name: "the picture of before" }));
}
