/** What is known about a task, and what can be done with it: the lines under the print. */

import { hasEnded } from "../sdk/index.js";
import { copy, icon, make, say } from "./dom.js";
import { cost, curl, duration, fileName, money, resultUrl, textOf, thumbUrl } from "./words.js";

/** How long a button says that it has done its work, or asks for a second click. */
const ANSWER_MS = 2500;

/**
 * The list of facts. Replaced as a whole: nothing in it is held on to but the seed's button.
 * @param {any} task
 * @param {{reuseSeed: (seed: number | string) => void, label: (model: string) => string,
 *   backendLabel: (name: string) => string}} actions
 */
export function facts(task, { reuseSeed, label, backendLabel }) {
  const seed = make("button", { type: "button", class: "fact-button", title: "Use this seed",
    onclick: () => reuseSeed(task.seed) }, String(task.seed));
  const rows = [
    ["Model", modelWords(task, label)],
    ["Size", sizeWords(task)],
    ["Seed", seed],
    ["Waited", waited(task)],
    ["Attempt", task.attempt > 1 ? String(task.attempt) : null],
    ["Cost", costWords(task)],
    ["Saved", saved(task)],
    ["Code", task.error_data?.code ?? null],
    ["Backend", placeWords(task, backendLabel)],
    ["Prediction there", placeId(task)],
  ];
  const known = rows.filter(([, value]) => value !== null);
  return known.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value)));
}

/** What it cost, as it was learnt last; why is told to whoever points at it. */
function costWords(task) {
  const charge = task.settled_charge ?? task.charge;
  const words = cost(charge);
  return words === null ? null : make("span", { title: charge.reason }, words);
}

/** What a cancel has spared. */
function saved({ saved_micros: micros }) {
  return micros > 0 ? `up to ${money(micros / 1e6)}` : null;
}

function modelWords(task, label) {
  const name = label(task.model);
  return task.substituted_for === null ? name : `${name}, for ${task.substituted_for}`;
}

/** Where it runs or ran, by the address that was written with its claim. */
function placeWords({ backend, backend_url }, backendLabel) {
  if (backend === null) return null;
  const where = backend_url ?? "not begun there";
  return make("span", {}, `${backendLabel(backend)} `, make("span", { class: "where" }, where));
}

const placeId = ({ backend, prediction_id }) =>
  backend === null || prediction_id === null
    ? null
    : make("span", { class: "where" }, prediction_id);

function sizeWords(task) {
  const { width, height } = task.artifacts[0] ?? task.input_data;
  if (task.kind === "text") return null;
  return width && height ? `${width} × ${height}` : (task.input_data.aspect_ratio ?? null);
}

/** A wait that nobody noticed is no fact worth a line. */
function waited(task) {
  const waited = task.result_data?.timings?.queued_ms ?? 0;
  return waited < 1000 ? null : duration(waited);
}

/**
 * The row of buttons for a task in this state.
 * @param {any} task
 * @param {object} actions
 */
export function buttons(task, actions) {
  const url = task.status === "completed" ? resultUrl(task) : null;
  const isFailed = task.status === "failed" || task.status === "canceled";
  return [
    url === null ? null : download(url, task),
    task.kind === "text" && task.status === "completed" ? copyText(task) : null,
    isFailed ? button("again", "Try again", () => actions.retry(task), "strong") : null,
    button("again", "Use again", () => actions.fill(task)),
    url !== null && task.kind === "image" ? startFrom(task, actions) : null,
    copyCurl(task, actions),
    hasEnded(task) ? remove(task, actions) : null,
  ].filter((one) => one !== null);
}

function download(url, task) {
  const link = { class: "tool strong", href: url, download: fileName(task) };
  return make("a", link, icon("save"), "Download");
}

/** The picture is the beginning of the next one, or of a clip. */
function startFrom(task, actions) {
  const url = resultUrl(task);
  const made = task.artifacts.find((one) => one.url === url);
  if (made === undefined) return null;
  const picture = { given: { artifact: made.id }, url: thumbUrl(task), name: task.input_data.prompt };
  return button("picture", "Start from this", () => actions.startFrom(picture));
}

function copyText(task) {
  return answering(button("copy", "Copy text", () => copy(textOf(task)), "strong"), "Copied");
}

function copyCurl(task, { base, hasToken }) {
  const words = () => curl(task, base, hasToken());
  return answering(button("copy", "Copy as curl", () => copy(words())), "Copied");
}

function button(symbol, words, onclick, look = "") {
  const label = make("span", {}, words);
  return make("button", { type: "button", class: `tool ${look}`, onclick }, icon(symbol), label);
}

/** A button that says for a moment that it has done its work. */
function answering(element, words) {
  const label = element.lastChild;
  const before = label.textContent;
  element.addEventListener("click", () => {
    say(label, words);
    setTimeout(() => say(label, before), ANSWER_MS);
  });
  return element;
}

/** Deleting cannot be taken back: the first click only asks. */
function remove(task, actions) {
  const element = button("trash", "Delete", () => {
    if (element.dataset.asked === "yes") return actions.remove(task);
    element.dataset.asked = "yes";
    say(element.lastChild, "Delete for good?");
    setTimeout(() => {
      delete element.dataset.asked;
      say(element.lastChild, "Delete");
    }, ANSWER_MS);
  });
  return element;
}
