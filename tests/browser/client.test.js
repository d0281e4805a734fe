/** REST through the client: keys, tries, refusals, tokens, addresses. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { SafelightError, connect } from "../../clients/browser/sdk/index.js";
import { Page, makeWorld, settle } from "./doubles.js";

const ok = (data, status = 200) => ({ status, body: { success: true, data, message: "" } });
const problem = (status, code, details = []) => ({
  status,
  body: {
    type: "about:blank",
    title: code,
    status,
    detail: `detail of ${code}`,
    code,
    success: false,
    error: { code, message: `message of ${code}`, details },
  },
});

function start(answers, options = {}) {
  const world = { ...makeWorld({ answers }), uuid: () => "key-1" };
  return { world, client: connect({ url: "http://safelight.test/", world, ...options }) };
}

/** Runs every wait for the next try until the promise is settled. */
async function insist(world, promise) {
  let isSettled = false;
  const done = promise.finally(() => (isSettled = true));
  done.catch(() => {});
  for (let turn = 0; turn < 20 && !isSettled; turn += 1) {
    await new Promise((resolve) => setImmediate(resolve));
    if (!isSettled) world.clock.advance(10_000);
  }
  return done;
}

test("a create sends the body as it is, with a key made for it", async () => {
  const { world, client } = start([ok({ task_id: "t1", created: true }, 202)]);
  const made = await client.create({ kind: "image", prompt: "a lamp" });
  const [request] = world.asked;
  assert.equal(made.task_id, "t1");
  assert.equal(`${request.method} ${request.url}`, "POST http://safelight.test/api/tasks");
  assert.equal(request.body, '{"kind":"image","prompt":"a lamp"}');
  assert.equal(request.headers["Idempotency-Key"], "key-1");
});

test("a create without an answer goes out again with the same key", async () => {
  const lost = [new TypeError("no network"), { status: 502, body: "gateway" }];
  const answers = [...lost, ok({ task_id: "t1" })];
  const { world, client } = start(answers);
  const made = await insist(world, client.create({ kind: "image", prompt: "a lamp" }));
  assert.equal(made.task_id, "t1");
  const keys = world.asked.map((request) => request.headers["Idempotency-Key"]);
  assert.deepEqual(keys, ["key-1", "key-1", "key-1"]);
});

test("a create gives up after seven tries and says that nobody answered", async () => {
  const { world, client } = start([]);
  await assert.rejects(insist(world, client.create({})), { code: "network" });
  assert.equal(world.asked.length, 7);
});

test("a file is sent as it is, and again where nobody answered", async () => {
  const answers = [new TypeError("no network"), ok({ id: "u1" }, 201)];
  const { world, client } = start(answers, { token: "t" });
  const file = new Blob(["bytes"], { type: "image/png" });
  const sent = await insist(world, client.upload(file));
  assert.equal(sent.id, "u1");
  const [, request] = world.asked;
  assert.equal(`${request.method} ${request.url}`, "POST http://safelight.test/api/uploads");
  assert.equal(request.body, file);
  assert.equal(request.headers["Content-Type"], "application/octet-stream");
  assert.equal(request.headers.Authorization, "Bearer t");
});

test("a refusal is told at once, with its code, status and fields", async () => {
  const details = [{ field: "prompt", found: '""', expected: "a string" }];
  const { world, client } = start([problem(400, "invalid", details)]);
  const error = await client.create({}).catch((caught) => caught);
  assert.ok(error instanceof SafelightError);
  assert.deepEqual([error.code, error.status], ["invalid", 400]);
  assert.equal(error.message, "message of invalid");
  assert.deepEqual(error.fields, { prompt: 'Expected a string. Found "".' });
  assert.equal(world.asked.length, 1);
});

test("a backend that is down is told at once: it may stay so", async () => {
  const { world, client } = start([problem(503, "backend_unreachable"), ok({ task_id: "t1" })]);
  const error = await client.create({}).catch((caught) => caught);
  assert.deepEqual([error.code, error.later], ["backend_unreachable", true]);
  assert.equal(world.asked.length, 1);
});

test("a choice of preferences is sent as it is, null too, and sent again if it is lost", async () => {
  const answers = [new TypeError("no network"), ok({ backend: null, warnings: [] })];
  const { world, client } = start(answers);
  const chosen = await insist(world, client.setPreferences({ backend: null }));
  assert.deepEqual(chosen, { backend: null, warnings: [] });
  assert.deepEqual(world.asked.map(({ body }) => body), ['{"backend":null}', '{"backend":null}']);
});

test("the deployed app's form of details is read too", async () => {
  const { client } = start([problem(400, "VALIDATION_ERROR", { prompt: ["is empty", "is odd"] })]);
  const error = await client.create({}).catch((caught) => caught);
  assert.deepEqual(error.fields, { prompt: "is empty is odd" });
});

test("an answer that is no JSON is still an error with its status", async () => {
  const { client } = start([{ status: 404, body: undefined }]);
  await assert.rejects(client.get("t1"), { code: "http_404", status: 404 });
});

test("a token goes as a bearer header, asked anew each time", async () => {
  const tokens = ["one", "two"];
  const { world, client } = start([ok({}), ok({})], { token: () => tokens.shift() });
  await client.get("t1");
  await client.get("t1");
  const sent = world.asked.map((request) => request.headers.Authorization);
  assert.deepEqual(sent, ["Bearer one", "Bearer two"]);
});

test("no token means no header", async () => {
  const { world, client } = start([ok({})]);
  await client.get("t1");
  assert.equal("Authorization" in world.asked[0].headers, false);
});

for (const [what, call, request] of [
  ["cancel", (client) => client.cancel("a b"), "POST api/tasks/a%20b/cancel"],
  ["remove", (client) => client.remove("t1"), "DELETE api/tasks/t1"],
  ["get", (client) => client.get("t1"), "GET api/tasks/t1"],
  ["list", (client) => client.list({ limit: 5, before: "x" }), "GET api/tasks?limit=5&before=x"],
  ["models", (client) => client.models("image"), "GET api/models?kind=image"],
  ["schema", (client) => client.schema("a/b c"), "GET api/models/a/b%20c/schema"],
  ["backends", (client) => client.backends(), "GET api/backends"],
  ["backends, asked", (client) => client.backends({ refresh: true }), "GET api/backends?refresh=1"],
  ["preferences", (client) => client.preferences(), "GET api/preferences"],
  ["setPreferences", (client) => client.setPreferences({ backend: null }), "PATCH api/preferences"],
]) {
  test(`${what} asks its route`, async () => {
    const { world, client } = start([ok({ models: [], backends: [] })]);
    await call(client);
    const [asked] = world.asked;
    assert.equal(`${asked.method} ${asked.url.replace("http://safelight.test/", "")}`, request);
  });
}

test("a request that hangs counts as lost after 30 seconds", async () => {
  const { world, client } = start([]);
  world.fetch = (_url, { signal }) =>
    new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  const hanging = connect({ url: "http://safelight.test/", world }).get("t1");
  const rejected = assert.rejects(hanging, { code: "network" });
  await settle();
  world.clock.advance(30_000);
  await rejected;
  client.close();
});

test("in a page the address is the page's own, the fragment aside", async () => {
  const page = new Page();
  page.baseURI = "https://safelight.test/here/index.html?x#/t/1";
  const world = makeWorld({ page, answers: [ok({})] });
  const client = connect({ world });
  await client.get("t1");
  client.gallery({});
  assert.equal(world.asked[0].url, "https://safelight.test/here/api/tasks/t1");
  assert.equal(world.lines[0].url, "wss://safelight.test/here/socket/websocket?vsn=2.0.0");
});
