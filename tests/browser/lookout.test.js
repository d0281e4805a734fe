/** How often the Studio asks: only while the page is seen, and never twice at once. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Lookout } from "../../clients/browser/studio/lookout.js";
import { Page, makeWorld, settle } from "./doubles.js";

function start() {
  const page = new Page();
  const world = makeWorld({ page });
  const open = [];
  const seen = { world, page, asked: 0, answer: () => open.splice(0).forEach((done) => done()) };
  const ask = () => {
    seen.asked += 1;
    return new Promise((done) => open.push(done));
  };
  seen.lookout = new Lookout(ask, { ms: 5000, world });
  return seen;
}

async function answered(seen) {
  seen.answer();
  await settle();
}

test("it asks at once, and again after each answer and a pause", async () => {
  const seen = start();
  assert.equal(seen.asked, 0);
  seen.lookout.want(true);
  assert.equal(seen.asked, 1);
  seen.world.clock.advance(60_000);
  assert.equal(seen.asked, 1);
  await answered(seen);
  seen.world.clock.advance(4999);
  assert.equal(seen.asked, 1);
  seen.world.clock.advance(1);
  assert.equal(seen.asked, 2);
});

test("a page that is hidden asks nothing, and at once when it is shown", async () => {
  const seen = start();
  seen.lookout.want(true);
  await answered(seen);
  seen.page.show(false);
  seen.world.clock.advance(600_000);
  assert.equal(seen.asked, 1);
  seen.page.show(true);
  assert.equal(seen.asked, 2);
});

test("an answer that comes when the page is hidden is the last one", async () => {
  const seen = start();
  seen.lookout.want(true);
  seen.page.show(false);
  await answered(seen);
  seen.world.clock.advance(600_000);
  assert.equal(seen.asked, 1);
});

test("hidden and shown while it asks, it does not ask twice", async () => {
  const seen = start();
  seen.lookout.want(true);
  seen.page.show(false);
  seen.page.show(true);
  assert.equal(seen.asked, 1);
  await answered(seen);
  seen.world.clock.advance(5000);
  assert.equal(seen.asked, 2);
});

test("what nobody wants to know is not asked", async () => {
  const seen = start();
  seen.lookout.want(true);
  await answered(seen);
  seen.lookout.want(false);
  seen.world.clock.advance(600_000);
  seen.page.show(false);
  seen.page.show(true);
  assert.equal(seen.asked, 1);
});
