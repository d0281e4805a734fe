/** Bytes to frames and back: text, the three binary kinds, and previews. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { decode, decodePreview, encode } from "../../clients/browser/sdk/frames.js";
import { previewFrame } from "./tasks.js";

const bytes = (hex) => Uint8Array.from(Buffer.from(hex.replaceAll(" ", ""), "hex")).buffer;

test("a frame is sent as an array of five", () => {
  const frame = { joinRef: "1", ref: "2", topic: "task:t1", event: "ping", payload: { x: 1 } };
  assert.equal(encode(frame), '["1","2","task:t1","ping",{"x":1}]');
});

test("a text frame is read by its parts", () => {
  const frame = decode('[null,null,"task:t1","progress",{"seq":2}]');
  const parts = { joinRef: null, ref: null, topic: "task:t1", event: "progress" };
  assert.deepEqual(frame, { ...parts, payload: { seq: 2 } });
});

// The three binary frames were recorded from the reference server.
test("a binary broadcast is read", () => {
  const frame = decode(bytes("02 06 08 726f6f6d3a61 626361737462696e 010203"));
  assert.equal(frame.joinRef, null);
  assert.equal(frame.topic, "room:a");
  assert.equal(frame.event, "bcastbin");
  assert.deepEqual(frame.payload, Uint8Array.of(1, 2, 3));
});

test("a binary push is read with its join", () => {
  const frame = decode(bytes("00 01 06 07 36 726f6f6d3a61 7075736862696e 010203"));
  assert.deepEqual([frame.joinRef, frame.ref, frame.event], ["6", null, "pushbin"]);
});

test("a binary reply is read with its status", () => {
  const frame = decode(bytes("01 01 02 06 02 36 3137 726f6f6d3a61 6f6b 010203"));
  assert.deepEqual([frame.joinRef, frame.ref, frame.event], ["6", "17", "phx_reply"]);
  assert.deepEqual(frame.payload, { status: "ok", response: Uint8Array.of(1, 2, 3) });
});

for (const [what, data] of [
  ["text that is not JSON", "{"],
  ["JSON that is not an array of five", '["a"]'],
  ["an unknown kind", bytes("09 00")],
  ["a frame that ends too early", bytes("02 06 08 72")],
  ["nothing", bytes("")],
]) {
  test(`${what} is no frame`, () => assert.equal(decode(data), null));
}

test("a preview is its header and its picture", () => {
  const header = { task_id: "t1", attempt: 1, step: 3, media_type: "image/jpeg" };
  const frame = decode(previewFrame("task:t1", header, [9, 8, 7]).buffer);
  assert.equal(frame.topic, "task:t1");
  assert.deepEqual(decodePreview(frame.payload), { ...header, bytes: Uint8Array.of(9, 8, 7) });
});

for (const [what, hex] of [
  ["without a length", "0000"],
  ["with a length past its end", "00000009 7b7d"],
  ["with a header that is not JSON", "00000002 7b7b"],
]) {
  test(`a body ${what} is no preview`, () => {
    assert.equal(decodePreview(new Uint8Array(bytes(hex))), null);
  });
}
