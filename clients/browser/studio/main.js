/**
 * The Studio: joins the client, the form, the stage and the contact sheet.
 *
 * Owns which task is looked at (the address after `#`), and what happens after a
 * refusal. Everything that is drawn is drawn elsewhere.
 */

import { connect } from "../sdk/index.js";
import { Album } from "./album.js";
import { byId } from "./dom.js";
import { Door, token } from "./door.js";
import { Form } from "./form.js";
import { LineSign } from "./line.js";
import { Sheet } from "./sheet.js";
import { Stage } from "./stage.js";
import { bodyOf, warningWords } from "./words.js";

const base = new URL("./", document.baseURI);
const labels = new Map();
const door = new Door();
const client = connect({ url: base, token, onLine });
const sign = new LineSign(() => client.reconnect());
const form = new Form({
  submit,
  upload: (file) => withToken(() => client.upload(file)),
  askBackends: (options) => client.backends(options),
  chooseBackend: (backend) => withToken(() => client.setPreferences({ backend })),
  quote: (body) => withToken(() => client.quote(body)),
  onBackends: () => stage.relabel(),
});

const album = new Album(client, {
  onList: listed,
  onTask: changed,
  onGone: gone,
  onPreview: previewed,
  onRefused: refused,
  onPreferences: preferred,
  onShut: (error) => shut(error),
});

const stage = new Stage({
  base,
  hasToken: () => token() !== null,
  label: (model) => labels.get(model) ?? model,
  backendLabel: (name) => form.backends.label(name),
  startFrom: (picture) => form.startFrom(picture),
  suggest: (kind, prompt) => form.suggest(kind, prompt),
  fill: (task) => form.fill(task),
  reuseSeed: (seed) => form.reuseSeed(seed),
  cancel: (task) => act(() => client.cancel(task.task_id)),
  remove: (task) => act(() => remove(task)),
  retry: (task) => act(() => submit(bodyOf(task, { withSeed: false }))),
});

const sheet = new Sheet({ hasMore: () => album.hasMore, more: () => album.more() });

/** The task that the address names; null means the newest one, whichever that is. */
let chosen = null;
let newest; // undefined until the gallery is here

function onLine(line) {
  sign.show(line);
  if (line.state !== "live") return;
  loadModels();
  form.backends.load();
}

/** Which model is the default, and which can be used, depends on the backend that is chosen. */
function preferred(preferences) {
  form.backends.tell(preferences);
  const isNews = preferred.before !== undefined && preferred.before !== preferences.backend;
  preferred.before = preferences.backend;
  if (isNews) loadModels();
}

/** Anew with every connection: a server that was restarted may have other models. */
async function loadModels() {
  try {
    const models = await client.models();
    for (const { name, label } of models) labels.set(name, label);
    form.load(models);
    stage.relabel();
  } catch (error) {
    if (isShut(error)) await enter();
    else if (error.code !== "network") throw error;
  }
}

const isShut = (error) => error.code === "unauthorized" || error.status === 401;

async function shut(error) {
  if (isShut(error)) await enter();
  else stage.tell("The server does not let us in.", error.message);
}

/** Asks for a token and begins again with it. */
async function enter() {
  await door.ask();
  client.reconnect();
  album.open();
  await loadModels();
}

async function submit(body) {
  const made = await withToken(() => client.create(body));
  const { created, attached, cursor, log, warnings, events_url, ...task } = made;
  album.learn(task);
  location.hash = `#/t/${encodeURIComponent(task.task_id)}`;
  follow();
  stage.remark(warnings.map(warningWords).join(" "));
  byId("stage").scrollIntoView({ block: isNarrow() ? "start" : "nearest", behavior: motion() });
}

/** Once more after a token was asked for. */
async function withToken(request) {
  try {
    return await request();
  } catch (error) {
    if (!isShut(error)) throw error;
    await enter();
    return request();
  }
}

async function act(request) {
  try {
    await withToken(request);
  } catch (error) {
    if (error.status === undefined) throw error;
    stage.remark(error.message);
  }
}

async function remove(task) {
  await client.remove(task.task_id);
  gone(task.task_id);
}

function listed(tasks) {
  sheet.list(tasks);
  newest = tasks[0]?.task_id ?? null;
  if (chosen === null) look();
}

function changed(task) {
  sheet.update(task);
  const { task_id: id } = task;
  if (id === stage.id || id === looked()) stage.show(task, album.preview(id));
}

function previewed(id, url) {
  sheet.preview(id, url);
  if (id === stage.id) stage.preview(url);
}

function gone(id) {
  if (id === looked()) location.hash = "#/";
}

function refused(id, error) {
  if (id !== looked() || album.task(id) !== undefined) return;
  const isGone = error.code === "gone" || error.code === "not_found";
  stage.tell(isGone ? "There is no such task here." : "This task cannot be shown.", error.message);
}

const looked = () => chosen ?? newest;

/** Brings the stage to the task that is looked at. */
function look() {
  const id = looked();
  if (id === undefined) return;
  sheet.mark(id);
  album.choose(id);
  const task = id === null ? undefined : album.task(id);
  if (task !== undefined) stage.show(task, album.preview(id));
  else if (id === null) stage.invite();
  else stage.tell("One moment", "Looking for this task.");
}

function follow() {
  if (!/^(#\/.*)?$/.test(location.hash)) return; // the skip link's
  const [, id] = location.hash.match(/^#\/t\/(.+)$/) ?? [];
  chosen = id === undefined ? null : decodeURIComponent(id);
  look();
}

const isNarrow = () => !matchMedia("(min-width: 1180px)").matches;
const motion = () => (matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth");

window.addEventListener("hashchange", follow);
byId("cards").addEventListener("click", (event) => {
  if (event.target.closest("a") && isNarrow()) byId("stage").scrollIntoView({ behavior: motion() });
});
follow();
await loadModels();
album.open();
