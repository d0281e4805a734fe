/** The fold of a log, by itself and against the vectors that the server is held to. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { fold, hasEnded } from "../../clients/browser/sdk/fold.js";
import { completed, event, progress, snapshot } from "./tasks.js";

test("an event at or below the snapshot's seq changes nothing", () => {
  const before = snapshot({ seq: 4 });
  assert.equal(fold(before, progress(4)), before);
  assert.equal(fold(before, progress(3)), before);
});

test("an event of an unknown type changes only what every event carries", () => {
  const after = fold(snapshot(), event(2, "weighed", { progress: 0.4, weight: 12 }));
  const envelope = { seq: 2, status: "processing", progress: 0.4 };
  assert.deepEqual(after, snapshot({ ...envelope, updated_at: "2026-01-01T00:00:02.000Z" }));
});

test("a type that is a word of the language is unknown too", () => {
  const after = fold(snapshot(), event(2, "constructor"));
  assert.deepEqual(Object.keys(after), Object.keys(snapshot()));
});

test("a new attempt voids the text and the steps of the one before", () => {
  const before = snapshot({ text: "half", step: 3, steps: 9, reason: "waiting", retry_at: "x" });
  const started = { attempt: 2, model: "m", provider: "p", backend: null };
  const after = fold(before, event(2, "started", started));
  assert.deepEqual([after.text, after.step, after.steps, after.attempt], ["", null, null, 2]);
  assert.deepEqual([after.reason, after.retry_at], [null, null]);
});

test("a retry voids the attempt before it", () => {
  const before = snapshot({ text: "half", step: 3, steps: 9, progress: 0.5, prediction_id: "p" });
  const error = { code: "provider_failed" };
  const after = fold(before, event(2, "retrying", { error, retry_at: "x", next_attempt: 2 }));
  assert.deepEqual([after.text, after.step, after.steps, after.prediction_id], ["", null, null, null]);
  assert.deepEqual([after.attempt, after.progress, after.error], [2, 0, error]);
});

test("a seed drawn anew is shown", () => {
  const started = { attempt: 2, model: "m", provider: "p", backend: null };
  assert.equal(fold(snapshot({ seed: 7 }), event(2, "started", started)).seed, 7);
  assert.equal(fold(snapshot({ seed: 7 }), event(2, "started", { ...started, seed: 8 })).seed, 8);
});

test("who asked for the end is told with the cancel, or with the end in the queue", () => {
  const asked = fold(snapshot(), event(2, "canceling", { canceling: true, by: "owner" }));
  const end = { status: "canceled", confirmed: true, charge: null };
  assert.equal(fold(asked, event(3, "canceled", end)).canceled_by, "owner");
  assert.equal(fold(snapshot(), event(2, "canceled", { ...end, by: "ann" })).canceled_by, "ann");
});

test("text grows and artifacts add up", () => {
  const one = fold(snapshot({ text: "a" }), event(2, "text", { delta: "b" }));
  const two = fold(one, event(3, "artifact", { id: "x", url: "/x", kind: "image" }));
  assert.equal(two.text, "ab");
  assert.equal(two.artifacts.length, 1);
  assert.equal(two.artifacts[0].attempt, 1);
  assert.equal("seq" in two.artifacts[0], false);
});

test("canceling is told by every later event, and ends with none", () => {
  const asked = fold(snapshot(), event(2, "canceling", { canceling: true, by: "owner" }));
  assert.equal(asked.canceling, true);
  assert.equal(fold(asked, completed(3)).canceling, false);
});

test("the end brings the result and clears the last error", () => {
  const after = fold(snapshot({ error: { code: "x" } }), completed(2));
  assert.equal(hasEnded(after), true);
  assert.equal(after.error, null);
  assert.equal(after.result_data.image_url, "/api/artifacts/a");
});

test("the golden logs fold, event by event, as they do on the server", () => {
  const file = new URL("../protocol/vectors/folds.json", import.meta.url);
  const vectors = JSON.parse(readFileSync(file, "utf8"));
  assert.ok(vectors.length > 0);
  for (const { name, start, events, folds, end } of vectors) {
    let task = start;
    events.forEach((one, index) => {
      task = fold(task, one);
      assert.deepEqual(task, folds[index], `${name}, event ${index}`);
    });
    assert.deepEqual(task, end, name);
  }
});
