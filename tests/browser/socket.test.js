/** The line: heartbeats, the ladder of waits, sleep and wake. Time and chance are arguments. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { HEARTBEAT_MS, REPLY_MS, Socket, WAKE_REPLY_MS } from "../../clients/browser/sdk/socket.js";
import { backoff } from "../../clients/browser/sdk/world.js";
import { Page, Server, makeWorld } from "./doubles.js";

function start(options = {}) {
  const { token, ...given } = options;
  const world = makeWorld(given);
  const told = [];
  const onLine = (line) => told.push(line);
  const socket = new Socket("ws://safelight.test/socket", { world, token, onLine });
  return { world, told, socket, server: new Server(world) };
}

test("it connects with version 2 of the wire, and offers no sub-protocol without a token", () => {
  const { socket, server } = start();
  socket.open();
  assert.equal(server.line.url, "ws://safelight.test/socket/websocket?vsn=2.0.0");
  assert.equal(server.line.protocols, undefined);
});

test("a token goes as a sub-protocol, never in the address, and is asked anew each time", () => {
  const tokens = ["jwt.a-b_c", "two~?>"];
  const { socket, server } = start({ token: () => tokens.shift() });
  socket.open();
  assert.deepEqual(server.line.protocols, ["phoenix", "base64url.bearer.phx.and0LmEtYl9j"]);
  socket.reconnect();
  assert.deepEqual(server.line.protocols, ["phoenix", "base64url.bearer.phx.dHdvfj8-"]);
  assert.equal(server.line.url.includes("two"), false);
});

test("it tells each state of the line, and when the next try comes", () => {
  const { world, told, socket, server } = start();
  socket.open();
  server.open();
  server.cut();
  assert.deepEqual(told.map((line) => line.state), ["connecting", "live", "waiting"]);
  assert.equal(told.at(-1).retryAt, world.clock.now + 250);
});

test("the waits between tries grow to ten seconds and no further", () => {
  const { world, told, socket, server } = start();
  socket.open();
  const waits = Array.from({ length: 9 }, () => {
    server.cut();
    const wait = told.at(-1).retryAt - world.clock.now;
    world.clock.advance(wait);
    return wait;
  });
  assert.deepEqual(waits, [250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000, 10_000]);
});

test("chance takes up to half of a wait away, so that clients do not return as a crowd", () => {
  assert.equal(backoff([1000], 0, 0), 500);
  assert.equal(backoff([1000], 0, 0.5), 750);
  assert.equal(backoff([1000, 3000], 7, 1), 3000);
});

test("a line that opens and is cut before a word does not start the ladder anew", () => {
  const { world, told, socket, server } = start();
  socket.open();
  for (const wait of [250, 500, 1000]) {
    server.open();
    server.cut();
    assert.equal(told.at(-1).retryAt - world.clock.now, wait);
    world.clock.advance(wait);
  }
});

test("a heartbeat goes out every 30 seconds, with its ref as a string", () => {
  const { world, socket, server } = start();
  socket.open();
  server.open();
  world.clock.advance(HEARTBEAT_MS);
  const beat = server.heard("heartbeat");
  assert.deepEqual([beat.topic, beat.joinRef, typeof beat.ref], ["phoenix", null, "string"]);
  server.reply(beat, {});
  world.clock.advance(HEARTBEAT_MS);
  assert.equal(server.countHeard("heartbeat"), 2);
  assert.equal(world.lines.length, 1);
});

test("a heartbeat without an answer ends the line", () => {
  const { world, told, socket, server } = start();
  socket.open();
  server.open();
  world.clock.advance(HEARTBEAT_MS + REPLY_MS);
  assert.equal(told.at(-1).state, "waiting");
  assert.equal(server.line.isClosed, true);
});

test("a connection that does not come about in ten seconds is tried again", () => {
  const { world, told, socket } = start();
  socket.open();
  world.clock.advance(REPLY_MS);
  assert.equal(told.at(-1).state, "waiting");
});

test("what a replaced line still says is not heard", () => {
  const { world, told, socket, server } = start();
  socket.open();
  const old = server.line;
  socket.reconnect();
  server.open();
  old.onclose({});
  old.onmessage({ data: "[]" });
  assert.equal(told.at(-1).state, "live");
  assert.equal(world.lines.length, 2);
});

test("a page that is shown again does not wait for its turn", () => {
  const page = new Page();
  const { world, socket, server } = start({ page });
  socket.open();
  server.cut();
  page.show(false);
  assert.equal(world.lines.length, 1);
  page.show(true);
  assert.equal(world.lines.length, 2);
});

test("a network that is back does not wait either", () => {
  const { world, socket, server } = start({ page: new Page() });
  socket.open();
  server.cut();
  world.window.dispatchEvent(new Event("online"));
  assert.equal(world.lines.length, 2);
});

test("after a sleep a dead line is found out in three seconds", () => {
  const page = new Page();
  const { world, told, socket, server } = start({ page });
  socket.open();
  server.open();
  page.show(true);
  assert.equal(server.countHeard("heartbeat"), 1);
  world.clock.advance(WAKE_REPLY_MS);
  assert.equal(told.at(-1).state, "waiting");
});

test("a closed socket stays closed and listens to nothing", () => {
  const page = new Page();
  const { world, told, socket, server } = start({ page });
  socket.open();
  server.open();
  socket.close();
  page.show(true);
  socket.reconnect();
  world.clock.advance(60_000);
  assert.equal(told.at(-1).state, "closed");
  assert.equal(world.lines.length, 1);
});

test("a frame that is none is passed over", () => {
  const { told, socket, server } = start();
  socket.open();
  server.open();
  server.line.onmessage({ data: "not a frame" });
  assert.equal(told.at(-1).state, "live");
});
