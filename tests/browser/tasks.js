/** Tasks as tests need them: a snapshot, events after it, and the frame of a preview. */

export const SNAPSHOT = Object.freeze({
  task_id: "t1",
  seq: 1,
  status: "queued",
  progress: 0,
  attempt: 1,
  kind: "image",
  input_data: { type: "image", prompt: "a lamp" },
  model: "local/painter",
  provider: "local",
  backend: null,
  substituted_for: null,
  prediction_id: null,
  seed: 7,
  reason: null,
  message: null,
  step: null,
  steps: null,
  eta: null,
  text: "",
  artifacts: [],
  canceling: false,
  retry_at: null,
  error: null,
  result_data: null,
  error_data: null,
  charge: null,
  confirmed: null,
  created_at: "2026-01-01T00:00:00.000Z",
  updated_at: "2026-01-01T00:00:00.000Z",
});

export const snapshot = (changes) => ({ ...SNAPSHOT, ...changes });

export function event(seq, type, changes = {}) {
  const envelope = { task_id: "t1", status: "processing", progress: 0, attempt: 1 };
  return { type, ...envelope, seq, timestamp: `2026-01-01T00:00:0${seq % 10}.000Z`, ...changes };
}

export const progress = (seq, changes = {}) =>
  event(seq, "progress", { step: seq, steps: 9, message: null, eta: null, ...changes });

export const completed = (seq) =>
  event(seq, "completed", {
    status: "completed",
    progress: 1,
    result_data: { image_url: "/api/artifacts/a", seed: 7, artifacts: [] },
    charge: { verdict: "free", amount_micros: 0, currency: "USD", reason: "" },
  });

export const joinReply = (task, changes = {}) => ({
  task,
  log: "log-a",
  cursor: `log-a-${task.seq}`,
  seq: task.seq,
  gap: false,
  attached: true,
  created: false,
  warnings: [],
  ...changes,
});

/** A kind 2 frame `preview` on the task's topic. */
export function previewFrame(topic, header, picture) {
  const text = new TextEncoder();
  const [topicBytes, eventBytes] = [text.encode(topic), text.encode("preview")];
  const headerBytes = text.encode(JSON.stringify(header));
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, headerBytes.length);
  const head = [2, topicBytes.length, eventBytes.length, ...topicBytes, ...eventBytes];
  return Uint8Array.of(...head, ...length, ...headerBytes, ...picture);
}
