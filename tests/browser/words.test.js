/** What the Studio says about a task, in words. */

import assert from "node:assert/strict";
import { test } from "node:test";

import * as words from "../../clients/browser/studio/words.js";
import { snapshot } from "./tasks.js";

const NOW = Date.parse("2026-01-01T00:00:00Z");
const SOON = "2026-01-01T00:00:03Z";
const error = { code: "provider_failed", message: "the brush broke" };

for (const [task, expected] of [
  [{ status: "queued" }, "Waiting for its turn"],
  [{ status: "queued", reason: "Two tasks are before it." }, "Two tasks are before it."],
  [{ status: "queued", error, retry_at: SOON }, "Attempt 1 failed, trying again in 3 s"],
  [{ status: "queued", error, retry_at: "2025-12-31T00:00:00Z" }, "Attempt 1 failed, trying again"],
  [{ status: "processing" }, "Developing"],
  [{ status: "processing", kind: "text" }, "Writing"],
  [{ status: "processing", message: "Fixing" }, "Fixing"],
  [{ status: "processing", canceling: true }, "Canceling"],
  [{ status: "completed", result_data: { timings: { running_ms: 4210 } } }, "Developed in 4.2 s"],
  [{ status: "failed", error_data: error }, "Failed"],
  [{ status: "canceled", confirmed: true }, "Canceled"],
  [{ status: "canceled", confirmed: false }, "Canceled, perhaps too late"],
]) {
  test(`a task is told as: ${expected}`, () => {
    assert.equal(words.headline(snapshot(task), NOW), expected);
  });
}

test("steps and the time left are told where they are known", () => {
  const task = snapshot({ status: "processing", step: 3, steps: 9, eta: { low: 4.2, high: 8 } });
  assert.equal(words.pace(task), "step 3 of 9 · 4 to 8 s left");
  const nearly = { ...task, eta: { low: 0.1, high: 0.6 } };
  assert.equal(words.pace(nearly), "step 3 of 9 · about 1 s left");
  assert.equal(words.pace({ ...task, steps: null, eta: null }), "");
});

test("between attempts the reason of the last one is told", () => {
  const task = snapshot({ error, retry_at: SOON });
  assert.equal(words.pace(task), "the brush broke");
});

test("times are told as a person would", () => {
  const told = [612, 4210, 59_960, 125_000].map(words.duration);
  assert.deepEqual(told, ["612 ms", "4.2 s", "60.0 s", "2 min 5 s"]);
});

test("prices and charges are told in dollars, or as free", () => {
  assert.deepEqual([0, 0.02, 1.5, null].map((price) => words.price({ price })), [
    "free",
    "$0.02",
    "$1.50",
    "price unknown",
  ]);
  const charge = { verdict: "charged", amount_micros: 40_000, currency: "USD", reason: "" };
  assert.equal(words.cost(charge), "$0.04");
  assert.equal(words.cost({ ...charge, verdict: "estimated" }), "about $0.04");
  assert.equal(words.cost({ ...charge, verdict: "free" }), "free");
  assert.equal(words.cost(null), null);
});

test("what may be used up is priced by use", () => {
  assert.equal(words.price({ price: null, pricing: { rates: { output_token: 8 } } }), "priced by use");
});

test("a quote says what it costs, and what pressing the button means", () => {
  const consent = { needed: true, given: false };
  const quote = { low_micros: 3000, high_micros: 3000, consent };
  assert.equal(words.quoted(quote), "Costs $0.003. Developing it agrees to that.");
  assert.equal(words.quoted({ ...quote, low_micros: 0 }),
    "Costs $0.00 to $0.003. Developing it agrees to that.");
  assert.equal(words.quoted({ ...quote, consent: { needed: true, given: true } }), "Costs $0.003.");
  assert.equal(words.quoted({ ...quote, high_micros: null }), "Nothing limits what this may cost.");
  assert.equal(words.quoted({ ...quote, consent: { needed: false } }), "Costs nothing.");
  assert.equal(words.allowance({ budget: null }), "");
  assert.equal(words.allowance({ budget: { left_micros: 4_200_000 } }), "$4.20 left today");
});

test("a task that waits tells how long it may take, where that is known", () => {
  const eta = { low: 12, high: 31.4 };
  assert.equal(words.pace(snapshot({ eta })), "12 to 31 s left");
  assert.equal(words.pace(snapshot({ eta: { low: 0.2, high: 0.4 } })), "about 1 s left");
  assert.equal(words.pace(snapshot({ eta: { low: 100, high: 300 } })), "2 to 5 min left");
  assert.equal(words.pace(snapshot({})), "");
});

test("a file is named after the prompt and the seed", () => {
  const artifacts = [{ media_type: "image/png" }];
  const input_data = { type: "image", prompt: "Grüße, vom <See>!" };
  assert.equal(words.fileName(snapshot({ input_data, artifacts })), "grüße-vom-see-7.png");
});

test("the command makes the same task again, and survives quotes in the prompt", () => {
  const input_data = { type: "image", prompt: "it's late", width: 512, height: 512 };
  const command = words.curl(snapshot({ input_data }), new URL("http://safelight.test/"), true);
  assert.ok(command.includes("http://safelight.test/api/tasks"));
  assert.ok(command.includes("$SAFELIGHT_TOKEN"));
  const [, quoted] = command.match(/-d '(.*)'$/s);
  assert.deepEqual(JSON.parse(quoted.replaceAll("'\\''", "'")), {
    kind: "image",
    prompt: "it's late",
    model: "local/painter",
    params: { width: 512, height: 512 },
    seed: 7,
  });
});

test("trying again leaves the seed open and asks for the model that was asked for", () => {
  const body = words.bodyOf(snapshot({ substituted_for: "google/x" }), { withSeed: false });
  assert.deepEqual(body, { kind: "image", prompt: "a lamp", model: "google/x" });
});

test("a task that began with a picture is made again with it, at its place if it is the same", () => {
  const input_data = { type: "image", prompt: "grey", steps: 3, inputs: [{ upload: "u1" }] };
  const task = snapshot({ input_data, model: "comfyui/img2img", backend: "attic", seed: 7 });
  const body = { kind: "image", prompt: "grey", model: "comfyui/img2img", params: { steps: 3 } };
  const inputs = [{ upload: "u1" }];
  assert.deepEqual(words.bodyOf(task), { ...body, inputs, backend: "attic", seed: 7 });
  assert.deepEqual(words.bodyOf(task, { withSeed: false }), { ...body, inputs });
});

test("the small picture is shown where there is one", () => {
  const made = { id: "a", url: "/a", thumbnail_url: "/a/thumbnail" };
  const task = (artifact) => snapshot({ artifacts: [artifact], result_data: { image_url: "/a" } });
  assert.equal(words.thumbUrl(task(made)), "/a/thumbnail");
  assert.equal(words.thumbUrl(task({ ...made, thumbnail_url: null })), "/a");
  assert.equal(words.thumbUrl(task({ ...made, url: "/b" })), "/a");
});

for (const [bytes, expected] of [
  [70, "1 kB"],
  [53_400, "53 kB"],
  [3_240_000, "3.2 MB"],
]) {
  test(`a file of ${bytes} bytes has ${expected}`, () => {
    assert.equal(words.fileSize(bytes), expected);
  });
}
