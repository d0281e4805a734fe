/** The list of tasks: order, positions, deletions, pages. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { connect } from "../../clients/browser/sdk/index.js";
import { Server, makeWorld } from "./doubles.js";
import { snapshot } from "./tasks.js";

const TOPIC = "tasks:mine";
const task = (n, seq = 1) =>
  snapshot({ task_id: `t${n}`, seq, created_at: `2026-01-01T00:00:0${n}.000Z` });
const reply = (tasks, changes = {}) => ({
  tasks,
  position: 10,
  log: "log-a",
  next: null,
  gap: false,
  ...changes,
});

function start(options = {}) {
  const world = makeWorld();
  const told = { ids: [], changed: [], deleted: [] };
  const gallery = connect({ url: "http://safelight.test/", world }).gallery({
    onTasks: (tasks) => (told.ids = tasks.map(({ task_id }) => task_id)),
    onTask: ({ task_id, seq }) => told.changed.push(`${task_id}@${seq}`),
    onDeleted: (id) => told.deleted.push(id),
    ...options,
  });
  const server = new Server(world);
  server.open();
  return { world, gallery, server, told };
}

function startJoined(tasks, changes) {
  const started = start();
  started.server.reply(started.server.heard("phx_join"), reply(tasks, changes));
  return started;
}

function comeBack({ world, server }) {
  server.cut();
  world.clock.advance(250);
  server.open();
}

test("it begins with a page and shows it newest first", () => {
  const { server, told } = startJoined([task(1), task(3), task(2)]);
  assert.deepEqual(server.heard("phx_join").payload, { limit: 50 });
  assert.deepEqual(told.ids, ["t3", "t2", "t1"]);
});

test("a changed task replaces itself, a new one comes in front", () => {
  const { server, told } = startJoined([task(1)]);
  server.broadcast(TOPIC, "task", { task: task(2), position: 11 });
  server.broadcast(TOPIC, "task", { task: task(1, 5), position: 12 });
  assert.deepEqual(told.ids, ["t2", "t1"]);
  assert.deepEqual(told.changed, ["t1@1", "t2@1", "t1@5"]);
});

test("a snapshot that is not newer than the one at hand changes nothing", () => {
  const { server, told } = startJoined([task(1, 5)]);
  server.broadcast(TOPIC, "task", { task: task(1, 4), position: 11 });
  server.broadcast(TOPIC, "task", { task: task(1, 5), position: 12 });
  assert.deepEqual(told.changed, ["t1@5"]);
});

test("a deleted task goes away and stays away", () => {
  const { server, told } = startJoined([task(1), task(2)]);
  server.broadcast(TOPIC, "task_deleted", { task_id: "t1", position: 11 });
  server.broadcast(TOPIC, "task", { task: task(1, 9), position: 12 });
  assert.deepEqual(told.ids, ["t2"]);
  assert.deepEqual(told.deleted, ["t1"]);
});

test("after a loss it goes on from the last position that it was told", () => {
  const started = startJoined([task(1)]);
  const { server, told } = started;
  server.broadcast(TOPIC, "task", { task: task(2), position: 15 });
  comeBack(started);
  assert.deepEqual(server.heard("phx_join").payload, { limit: 50, after: 15, log: "log-a" });
  server.reply(server.heard("phx_join"), reply([], { position: 15, log: "log-b" }));
  assert.deepEqual(told.ids, ["t2", "t1"]);
  server.broadcast(TOPIC, "task_deleted", { task_id: "t1", position: 18 });
  server.broadcast(TOPIC, "task", { task: task(3), position: 20 });
  assert.deepEqual(told.ids, ["t3", "t2"]);
  comeBack(started);
  assert.deepEqual(server.heard("phx_join").payload, { limit: 50, after: 20, log: "log-b" });
});

test("a gap begins anew: what is not in the new page is gone", () => {
  const started = startJoined([task(1), task(2)]);
  const { server, told } = started;
  comeBack(started);
  server.reply(server.heard("phx_join"), reply([task(3)], { gap: true, position: 3 }));
  assert.deepEqual(told.ids, ["t3"]);
  server.broadcast(TOPIC, "task", { task: task(4), position: 4 });
  comeBack(started);
  assert.equal(server.heard("phx_join").payload.after, 4);
});

test("older tasks come by pages until there are none", async () => {
  const { gallery, server, told } = startJoined([task(5)], { next: "n1" });
  assert.equal(gallery.hasMore, true);
  const first = gallery.more();
  assert.equal(gallery.more(), first);
  assert.deepEqual(server.heard("list").payload, { before: "n1", limit: 50 });
  server.reply(server.heard("list"), { tasks: [task(4), task(3)], next: null });
  await first;
  assert.deepEqual(told.ids, ["t5", "t4", "t3"]);
  assert.equal(gallery.hasMore, false);
  await gallery.more();
  assert.equal(server.countHeard("list"), 1);
});

test("a page that fails can be asked for again", async () => {
  const { gallery, server } = startJoined([task(5)], { next: "n1" });
  const first = gallery.more();
  server.reply(server.heard("list"), { code: "unavailable", message: "m" }, "error");
  await assert.rejects(first, { code: "unavailable" });
  const second = gallery.more();
  server.reply(server.heard("list"), { tasks: [task(4)], next: null });
  await second;
  assert.deepEqual(gallery.tasks.length, 2);
});

test("what the owner has chosen is told at each join and at each change", () => {
  const told = [];
  const started = start({ onPreferences: ({ backend }) => told.push(backend) });
  const join = (backend) => {
    const preferences = { backend, warnings: [] };
    started.server.reply(started.server.heard("phx_join"), reply([], { preferences }));
  };
  join(null);
  started.server.broadcast(TOPIC, "preferences", { backend: "attic", warnings: [] });
  started.server.broadcast(TOPIC, "task", { task: task(1), position: 11 });
  assert.deepEqual(told, [null, "attic"]);
  comeBack(started);
  assert.deepEqual(started.server.heard("phx_join").payload.after, 11);
  join("cellar");
  assert.deepEqual(told, [null, "attic", "cellar"]);
});
