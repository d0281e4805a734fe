/** One topic: joins and their generations, refusals, pushes and replies. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Socket } from "../../clients/browser/sdk/socket.js";
import { Server, makeWorld, settle } from "./doubles.js";

function start() {
  const world = makeWorld();
  const socket = new Socket("ws://safelight.test/socket", { world });
  const told = { joined: [], messages: [], refused: [] };
  let joins = 0;
  const channel = socket.channel("room", {
    payload: () => ({ join: (joins += 1) }),
    joined: (response) => told.joined.push(response),
    message: (event, payload) => told.messages.push([event, payload]),
    refused: (error) => told.refused.push(error.code),
  });
  const server = new Server(world);
  return { world, socket, channel, server, told };
}

function startJoined() {
  const started = start();
  started.server.open();
  started.server.reply(started.server.heard("phx_join"), {});
  return started;
}

test("a join's ref is its join ref, both strings", () => {
  const { server } = start();
  server.open();
  const join = server.heard("phx_join");
  assert.equal(join.ref, join.joinRef);
  assert.equal(typeof join.ref, "string");
});

test("nothing is told before the reply of the present join, not even a broadcast", () => {
  const { server, told } = start();
  server.open();
  server.broadcast("room", "news", { n: 1 });
  server.reply(server.heard("phx_join"), { hello: true });
  server.broadcast("room", "news", { n: 2 });
  assert.deepEqual(told.joined, [{ hello: true }]);
  assert.deepEqual(told.messages, [["news", { n: 2 }]]);
});

test("what carries another join's ref is dropped", () => {
  const { server, told } = startJoined();
  server.say(["77", null, "room", "news", { n: 1 }]);
  server.say(["77", "77", "room", "phx_close", {}]);
  assert.deepEqual(told.messages, []);
  assert.deepEqual(told.refused, []);
});

test("after a loss it joins again with a new ref and a payload made anew", () => {
  const { world, server, told } = startJoined();
  const first = server.heard("phx_join");
  server.cut();
  world.clock.advance(250);
  server.open();
  const second = server.heard("phx_join");
  assert.notEqual(second.ref, first.ref);
  assert.deepEqual(second.payload, { join: 2 });
  server.broadcast("room", "news", { n: 1 });
  assert.deepEqual(told.messages, []);
});

test("a join without an answer is taken back, then tried again", () => {
  const { world, server, told } = start();
  server.open();
  const first = server.heard("phx_join");
  world.clock.advance(10_000);
  assert.equal(server.heard("phx_leave").joinRef, first.joinRef);
  world.clock.advance(1000);
  assert.equal(server.countHeard("phx_join"), 2);
  server.reply(first, { late: true });
  assert.deepEqual(told.joined, []);
});

test("a join that is refused for now is tried again, and a final refusal is told once", () => {
  const { world, server, told } = start();
  server.open();
  server.reply(server.heard("phx_join"), { code: "unavailable", reason: "x" }, "error");
  world.clock.advance(1000);
  assert.equal(server.countHeard("phx_join"), 2);
  server.reply(server.heard("phx_join"), { code: "not_found", reason: "Task not found" }, "error");
  world.clock.advance(11_000);
  assert.equal(server.countHeard("phx_join"), 2);
  assert.deepEqual(told.refused, ["not_found"]);
});

test("a channel error on the server makes it join again after a second", () => {
  const { world, server } = startJoined();
  const { joinRef } = server.heard("phx_join");
  server.say([joinRef, joinRef, "room", "phx_error", {}]);
  world.clock.advance(1000);
  assert.equal(server.countHeard("phx_join"), 2);
});

test("a channel that the server closes is over", () => {
  const { world, server, told } = startJoined();
  const { joinRef } = server.heard("phx_join");
  server.say([joinRef, joinRef, "room", "phx_close", {}]);
  server.cut();
  world.clock.advance(250);
  server.open();
  assert.deepEqual(told.refused, ["closed"]);
  assert.equal(server.countHeard("phx_join"), 0);
});

test("a push waits for the join, carries its ref, and resolves with the response", async () => {
  const { server, channel } = start();
  const answer = channel.push("ping", { x: 1 });
  server.open();
  assert.equal(server.countHeard("ping"), 0);
  server.reply(server.heard("phx_join"), {});
  const ping = server.heard("ping");
  assert.equal(ping.joinRef, server.heard("phx_join").joinRef);
  server.reply(ping, { x: 1 });
  assert.deepEqual(await answer, { x: 1 });
});

test("a refused push rejects with the server's code", async () => {
  const { server, channel } = startJoined();
  const answer = channel.push("dance", {});
  const response = { reason: "No such event", code: "unknown_event", message: "m", details: [] };
  server.reply(server.heard("dance"), response, "error");
  await assert.rejects(answer, { code: "unknown_event", message: "m" });
});

test("a push that is not answered in ten seconds rejects, and is not sent later", async () => {
  const { world, server, channel } = start();
  const answer = channel.push("ping", {});
  const rejected = assert.rejects(answer, { code: "timeout" });
  world.clock.advance(9_999);
  server.open();
  world.clock.advance(1);
  server.reply(server.heard("phx_join"), {});
  await rejected;
  assert.equal(server.countHeard("ping"), 0);
});

test("a push whose answer is lost with the line rejects at once", async () => {
  const { server, channel } = startJoined();
  const rejected = assert.rejects(channel.push("ping", {}), { code: "network" });
  server.cut();
  await rejected;
});

test("a push made while the line is down goes out after the next join", async () => {
  const { world, server, channel } = startJoined();
  server.cut();
  const answer = channel.push("ping", {});
  world.clock.advance(250);
  server.open();
  server.reply(server.heard("phx_join"), {});
  server.reply(server.heard("ping"), { back: true });
  assert.deepEqual(await answer, { back: true });
});

test("leaving says so once, fails what is waited for, and hears nothing more", async () => {
  const { server, channel, told } = startJoined();
  const rejected = assert.rejects(channel.push("ping", {}), { code: "network" });
  channel.leave();
  channel.leave();
  server.broadcast("room", "news", {});
  await rejected;
  await settle();
  assert.equal(server.countHeard("phx_leave"), 1);
  assert.deepEqual(told.messages, []);
});

test("a channel that was left does not come back with the line", () => {
  const { world, server, channel } = startJoined();
  channel.leave();
  server.cut();
  world.clock.advance(250);
  server.open();
  assert.equal(server.countHeard("phx_join"), 0);
});
