"use strict";
// The event and the order of event.py, for the peers on Node.

const FILLER = ".".repeat(81);
const seqs = new Map();

// The events, each with its topic, that "FIRST COUNT TOPICS STAMP" asks for.
exports.read = function* (order) {
  const [first, count, topics, stamp] = order.split(" ");
  for (let number = +first; number < +first + +count; number++) {
    const topic = number % +topics;
    const seq = (seqs.get(topic) ?? 0) + 1;
    seqs.set(topic, seq);
    yield [topic, {
      topic: `bench-${String(topic).padStart(4, "0")}`,
      seq,
      type: "progress",
      status: "processing",
      progress: 0.421337,
      attempt: 1,
      step: 42,
      steps: 100,
      message: stamp,
      filler: FILLER,
    }];
  }
};
