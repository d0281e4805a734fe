/** What the Studio says about backends, and which one it foretells. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { outlook, placeOf, stateWords } from "../../clients/browser/studio/health.js";

const backend = (changes) => ({
  name: "attic",
  label: "The attic",
  status: "up",
  version: "0.33.0",
  queue: { running: 0, pending: 0 },
  checked_at: "2026-01-01T00:00:00.000Z",
  error: null,
  unreachable: "refuse",
  default: false,
  ...changes,
});

for (const [changes, words] of [
  [{}, "up · 0.33.0 · idle"],
  [{ queue: { running: 1, pending: 3 } }, "up · 0.33.0 · 4 in its queue"],
  [{ queue: { running: null, pending: null }, version: null }, "up"],
  [{ status: "down" }, "down"],
  [{ status: "unknown" }, "silent"],
  [{ status: "unknown", checked_at: null }, "not asked yet"],
]) {
  test(`a backend is told as: ${words}`, () => {
    assert.equal(stateWords(backend(changes)), words);
  });
}

test("nothing has to be said of a backend that is up, or of none", () => {
  assert.equal(outlook(backend()), "");
  assert.equal(outlook(undefined), "");
});

test("of one that is down it is said why, and what becomes of a task", () => {
  const error = "nobody listens.";
  const refuses = outlook(backend({ status: "down", error }));
  const queues = outlook(backend({ status: "down", unreachable: "queue" }));
  assert.equal(
    refuses,
    "The attic is down: nobody listens. A new task is refused until it is back.",
  );
  assert.equal(queues, "The attic is down. A new task waits for it.");
});

test("silence is not called a death", () => {
  const words = outlook(backend({ status: "unknown" }));
  assert.match(words, /^The attic does not answer just now/);
});

const three = ["attic", "cellar", "garden"].map((name) => backend({ name }));
const model = (...backends) => ({ backends });

for (const [what, backends, of, chosen, expected] of [
  ["the chosen one", three, model("attic", "cellar"), "cellar", "cellar"],
  ["the model's first without a choice", three, model("cellar", "attic"), null, "cellar"],
  ["another where the chosen one may not", three, model("attic"), "cellar", "attic"],
  ["the server's default", [three[0], backend({ name: "garden", default: true })],
    model("attic", "garden"), null, "garden"],
  ["none for a model that needs none", three, model(), "attic", undefined],
  ["none before there is a model", three, undefined, "attic", undefined],
]) {
  test(`a task runs on ${what}`, () => {
    assert.equal(placeOf(backends, of, chosen)?.name, expected);
  });
}
