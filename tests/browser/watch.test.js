/** One task: every event once and in order, over losses, restarts, gaps and holes. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { connect, parseCursor } from "../../clients/browser/sdk/index.js";
import { Server, makeWorld, settle } from "./doubles.js";
import { completed, event, joinReply, previewFrame, progress, snapshot } from "./tasks.js";

const TOPIC = "task:t1";

function listener() {
  const told = { seqs: [], snapshots: [], gaps: [], ends: [], errors: [], previews: [] };
  return {
    told,
    onEvent: ({ seq }) => told.seqs.push(seq),
    onSnapshot: (task) => told.snapshots.push(task),
    onGap: (task) => told.gaps.push(task.seq),
    onEnd: (task) => told.ends.push(task.status),
    onError: (error) => told.errors.push(error.code),
  };
}

function start(options = {}) {
  const world = makeWorld();
  const client = connect({ url: "http://safelight.test/", world });
  const first = { ...listener(), ...options };
  const watch = client.watch("t1", first);
  const server = new Server(world);
  server.open();
  return { world, client, watch, server, told: first.told };
}

function answerJoin(server, task, changes) {
  server.reply(server.heard("phx_join"), joinReply(task, changes));
}

function startJoined(options) {
  const started = start(options);
  answerJoin(started.server, snapshot({ seq: 2 }));
  return started;
}

function comeBack({ world, server }) {
  server.cut();
  world.clock.advance(250);
  server.open();
}

test("it begins with the snapshot and tells what comes after it", () => {
  const { server, told, watch } = startJoined();
  assert.deepEqual(server.heard("phx_join").payload, {});
  server.broadcast(TOPIC, "progress", progress(3, { progress: 0.3 }));
  assert.deepEqual(told.seqs, [3]);
  assert.deepEqual(told.snapshots.map((task) => task.progress), [0, 0.3]);
  assert.equal(watch.cursor(), "log-a-3");
});

test("an event is never told twice", () => {
  const { server, told } = startJoined();
  for (const seq of [2, 3, 3, 1, 4, 3]) server.broadcast(TOPIC, "progress", progress(seq));
  assert.deepEqual(told.seqs, [3, 4]);
});

test("an event that comes before the reply of the present join does not count", () => {
  const started = startJoined();
  const { server, told } = started;
  comeBack(started);
  server.broadcast(TOPIC, "progress", progress(3));
  assert.deepEqual(told.seqs, []);
  answerJoin(server, snapshot({ seq: 3 }), { cursor: "log-a-2" });
  server.broadcast(TOPIC, "progress", progress(3));
  assert.deepEqual(told.seqs, [3]);
});

test("after a loss it asks from its cursor, and goes on under the log's new name", () => {
  const started = startJoined();
  const { server, told, watch } = started;
  server.broadcast(TOPIC, "progress", progress(3));
  comeBack(started);
  assert.deepEqual(server.heard("phx_join").payload, { after: "log-a-3" });
  answerJoin(server, snapshot({ seq: 5 }), { cursor: "log-b-3", log: "log-b" });
  server.broadcast(TOPIC, "progress", progress(4));
  server.broadcast(TOPIC, "progress", progress(5));
  assert.deepEqual(told.seqs, [3, 4, 5]);
  assert.deepEqual(told.snapshots.map((task) => task.seq), [2, 3, 3, 4, 5]);
  assert.deepEqual(told.gaps, []);
  assert.equal(watch.cursor(), "log-b-5");
});

test("a reply that begins before the cursor tells nothing again", () => {
  const started = startJoined();
  const { server, told } = started;
  server.broadcast(TOPIC, "progress", progress(3));
  comeBack(started);
  answerJoin(server, snapshot({ seq: 4 }), { cursor: "log-a-1" });
  for (const seq of [2, 3, 4]) server.broadcast(TOPIC, "progress", progress(seq));
  assert.deepEqual(told.seqs, [3, 4]);
});

test("a watch from a cursor tells the events up to the snapshot, and folds them once", () => {
  const { server, told } = start({ after: "log-a-1" });
  assert.deepEqual(server.heard("phx_join").payload, { after: "log-a-1" });
  answerJoin(server, snapshot({ seq: 3, text: "ab" }), { cursor: "log-a-1" });
  const text = (seq) => event(seq, "text", { delta: "c" });
  for (const seq of [2, 3, 4]) server.broadcast(TOPIC, "progress", text(seq));
  assert.deepEqual(told.seqs, [2, 3, 4]);
  assert.equal(told.snapshots.at(-1).text, "abc");
});

test("after 0 asks for all that is kept", () => {
  const { server } = start({ after: 0 });
  assert.deepEqual(server.heard("phx_join").payload, { after: 0 });
});

test("a gap brings the snapshot and says so", () => {
  const started = startJoined();
  const { server, told, watch } = started;
  comeBack(started);
  answerJoin(server, snapshot({ seq: 40 }), { gap: true, log: "log-b", cursor: "log-b-40" });
  server.broadcast(TOPIC, "progress", progress(41));
  assert.deepEqual(told.gaps, [40]);
  assert.deepEqual(told.seqs, [41]);
  assert.equal(watch.cursor(), "log-b-41");
});

test("events that were folded into one frame count as told", () => {
  const { server, told, watch } = startJoined();
  server.broadcast(TOPIC, "progress", progress(6, { from_seq: 3 }));
  server.broadcast(TOPIC, "progress", progress(5));
  assert.deepEqual(told.seqs, [6]);
  assert.equal(watch.cursor(), "log-a-6");
});

test("a snapshot says when an event was too large for its frame", () => {
  const { server, told } = startJoined();
  server.broadcast(TOPIC, "progress", progress(3));
  server.broadcast(TOPIC, "progress", progress(4, { truncated: true }));
  server.broadcast(TOPIC, "progress", progress(5));
  assert.deepEqual(told.snapshots.slice(-3).map((s) => s.truncated), [undefined, true, true]);
});

test("a hole makes it ask again from its cursor, after a pause, instead of going on", () => {
  const { world, server, told } = startJoined();
  server.broadcast(TOPIC, "progress", progress(4));
  server.broadcast(TOPIC, "progress", progress(3));
  assert.equal(server.countHeard("phx_join"), 1);
  world.clock.advance(1000);
  assert.deepEqual(server.heard("phx_join").payload, { after: "log-a-2" });
  answerJoin(server, snapshot({ seq: 4 }), { cursor: "log-a-2" });
  server.broadcast(TOPIC, "progress", progress(3));
  server.broadcast(TOPIC, "progress", progress(4));
  assert.deepEqual(told.seqs, [3, 4]);
});

test("an event of an unknown type is told and moves the cursor", () => {
  const { server, told } = startJoined();
  server.broadcast(TOPIC, "progress", event(3, "weighed", { progress: 0.5 }));
  assert.deepEqual(told.seqs, [3]);
  assert.equal(told.snapshots.at(-1).progress, 0.5);
});

test("at the end it says so once and leaves", () => {
  const { server, told } = startJoined();
  server.broadcast(TOPIC, "progress", completed(3));
  server.broadcast(TOPIC, "progress", progress(4));
  assert.deepEqual(told.seqs, [3]);
  assert.deepEqual(told.ends, ["completed"]);
  assert.equal(server.countHeard("phx_leave"), 1);
});

test("a task that has ended already is told as its snapshot and its end", () => {
  const { server, told } = start();
  answerJoin(server, snapshot({ seq: 9, status: "failed" }));
  server.broadcast(TOPIC, "progress", event(9, "failed", { status: "failed" }));
  assert.deepEqual([told.seqs, told.ends], [[], ["failed"]]);
});

test("a cursor behind the end of an ended task still brings every event", () => {
  const { server, told } = start({ after: "log-a-1" });
  answerJoin(server, snapshot({ seq: 3, status: "completed" }), { cursor: "log-a-1" });
  server.broadcast(TOPIC, "progress", progress(2));
  server.broadcast(TOPIC, "progress", completed(3));
  assert.deepEqual([told.seqs, told.ends], [[2, 3], ["completed"]]);
});

test("an unknown task is an error, told once", () => {
  const { server, told, client } = start();
  const reply = { reason: "Task not found", code: "not_found", message: "m", details: [] };
  server.reply(server.heard("phx_join"), reply, "error");
  assert.deepEqual(told.errors, ["not_found"]);
  client.watch("t1", {});
  assert.equal(server.countHeard("phx_join"), 2);
});

test("previews are asked for where somebody listens, and none comes late", () => {
  const previews = [];
  const { server } = start({ onPreview: (preview) => previews.push(preview.step) });
  assert.equal(server.heard("phx_join").payload.previews, "binary");
  answerJoin(server, snapshot({ seq: 2, attempt: 2, status: "processing" }));
  const show = (attempt, step) =>
    server.sayBytes(previewFrame(TOPIC, { task_id: "t1", attempt, step, media_type: "m" }, [1]));
  show(2, 1);
  show(1, 8);
  server.broadcast(TOPIC, "progress", { ...completed(3), attempt: 2 });
  show(2, 9);
  assert.deepEqual(previews, [1]);
});

test("two watches of a task share one channel; the second begins with the snapshot", async () => {
  const { server, client } = startJoined();
  const second = listener();
  client.watch("t1", second);
  await settle();
  assert.deepEqual(second.told.snapshots.map((task) => task.seq), [2]);
  assert.equal(server.countHeard("phx_join"), 1);
  server.broadcast(TOPIC, "progress", progress(3));
  assert.deepEqual(second.told.seqs, [3]);
});

test("a second watch that wants previews joins again from the cursor", () => {
  const { server, client } = startJoined();
  client.watch("t1", { onPreview: () => {} });
  assert.deepEqual(server.heard("phx_join").payload, { after: "log-a-2", previews: "binary" });
});

test("the last listener gone leaves the channel, and a new watch joins anew", () => {
  const { server, client, watch, told } = startJoined();
  const second = client.watch("t1", {});
  watch.stop();
  assert.equal(server.countHeard("phx_leave"), 0);
  second.stop();
  second.stop();
  assert.equal(server.countHeard("phx_leave"), 1);
  server.broadcast(TOPIC, "progress", progress(3));
  assert.deepEqual(told.seqs, []);
  client.watch("t1", {});
  assert.equal(server.countHeard("phx_join"), 2);
});

test("watching again from within the end gets a channel of its own", () => {
  const { server, client } = start({ onEnd: () => client.watch("t1", {}) });
  answerJoin(server, snapshot({ seq: 9, status: "completed" }));
  assert.equal(server.countHeard("phx_join"), 2);
});

test("a cursor is cut at its last dash", () => {
  assert.deepEqual(parseCursor("a-b-12"), { log: "a-b", seq: 12 });
});

test("a task that is deleted while it is watched is gone, and nothing is asked again", () => {
  const { world, server, told } = startJoined();
  const { joinRef } = server.heard("phx_join");
  server.say([joinRef, null, TOPIC, "task_deleted", { task_id: "t1" }]);
  server.say([joinRef, joinRef, TOPIC, "phx_close", {}]);
  world.clock.advance(60_000);
  assert.deepEqual(told.errors, ["gone"]);
  assert.equal(server.countHeard("phx_join"), 0);
});
