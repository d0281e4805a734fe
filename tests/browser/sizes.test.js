/** The Studio's arithmetic of shapes and pixels. */

import assert from "node:assert/strict";
import { test } from "node:test";

import * as sizes from "../../clients/browser/studio/sizes.js";

const side = { type: "integer", minimum: 256, maximum: 2048 };
const free = { width: side, height: side, aspect_ratio: { type: "string" } };
const named = { aspect_ratio: { type: "string", examples: ["4:3", "16:9"] } };

test("the longer side of a shape is as asked, the other a multiple of eight", () => {
  assert.deepEqual(sizes.pixels("16:9", 1024), { width: 1024, height: 576 });
  assert.deepEqual(sizes.pixels("2:3", 1024), { width: 680, height: 1024 });
  assert.deepEqual(sizes.pixels("1:1", 768), { width: 768, height: 768 });
});

test("no side is shorter than the model takes", () => {
  assert.deepEqual(sizes.pixels("9:16", 256, 256), { width: 256, height: 256 });
});

test("a model with free sizes gets numbers", () => {
  const size = { shape: "4:3", side: 1024 };
  assert.deepEqual(sizes.sizeParams(size, free), { width: 1024, height: 768 });
  const custom = { shape: "custom", width: 500, height: 900 };
  assert.deepEqual(sizes.sizeParams(custom, free), { width: 500, height: 900 });
});

test("a model that names shapes gets the name, and offers only its own", () => {
  assert.deepEqual(sizes.sizeParams({ shape: "4:3", side: 1024 }, named), { aspect_ratio: "4:3" });
  assert.deepEqual(sizes.shapesOf(named), ["4:3", "16:9"]);
});

test("a model without sizes gets none and offers none", () => {
  assert.deepEqual(sizes.sizeParams({ shape: "4:3", side: 1024 }, {}), {});
  assert.deepEqual(sizes.shapesOf({}), []);
});

test("only sides that the model takes are offered", () => {
  const small = { width: { ...side, maximum: 1024 }, height: side };
  assert.deepEqual(sizes.sidesOf(small), [512, 768, 1024]);
});

test("every size that the form can make is found again from its pixels", () => {
  for (const shape of sizes.SHAPES) {
    for (const one of sizes.SIDES) {
      assert.deepEqual(sizes.sizeOf(sizes.pixels(shape, one)), { shape, side: one });
    }
  }
});

test("any other size is a custom one", () => {
  const size = { width: 500, height: 900 };
  assert.deepEqual(sizes.sizeOf(size), { shape: "custom", ...size });
});
