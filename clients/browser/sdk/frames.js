/**
 * Phoenix V2 frames: text both ways, binary from the server, and our previews.
 *
 * Owns the bytes and nothing else. The format is written down in docs/wire.md.
 */

/**
 * @typedef {object} Frame
 * @property {string | null} joinRef the join that it belongs to; null on broadcasts
 * @property {string | null} ref
 * @property {string} topic
 * @property {string} event
 * @property {any} payload an object, or a Uint8Array in a binary frame
 */

/**
 * A frame as text for the server.
 * @param {Frame} frame
 */
export function encode({ joinRef, ref, topic, event, payload }) {
  return JSON.stringify([joinRef, ref, topic, event, payload]);
}

/**
 * A frame from the server; null for what is none. Dropping a bad frame is safe: a
 * lost event shows as a hole in `seq`, and the watch asks again.
 * @param {string | ArrayBuffer} data
 * @returns {Frame | null}
 */
export function decode(data) {
  return typeof data === "string" ? decodeText(data) : decodeBinary(new Uint8Array(data));
}

/** @param {string} text */
function decodeText(text) {
  let parts;
  try {
    parts = JSON.parse(text);
  } catch {
    return null;
  }
  if (!Array.isArray(parts) || parts.length < 5) return null;
  const [joinRef, ref, topic, event, payload] = parts;
  return { joinRef, ref, topic, event, payload };
}

/** How many length bytes follow the kind byte, and which strings they measure. */
const KINDS = [
  ["joinRef", "topic", "event"],
  ["joinRef", "ref", "topic", "status"],
  ["topic", "event"],
];

/** @param {Uint8Array} bytes */
function decodeBinary(bytes) {
  const names = KINDS[bytes[0]];
  if (names === undefined) return null;
  const fields = {};
  let at = 1 + names.length;
  for (const [index, name] of names.entries()) {
    const end = at + bytes[1 + index];
    if (!(end <= bytes.length)) return null;
    fields[name] = new TextDecoder().decode(bytes.subarray(at, end));
    at = end;
  }
  return binaryFrame(fields, bytes.subarray(at));
}

function binaryFrame(fields, body) {
  const { joinRef = "", ref = null, topic, event = "phx_reply", status } = fields;
  const payload = status === undefined ? body : { status, response: body };
  return { joinRef: joinRef === "" ? null : joinRef, ref, topic, event, payload };
}

/**
 * @typedef {object} Preview a picture of progress: never numbered, the latest wins
 * @property {string} task_id
 * @property {number} attempt
 * @property {number | null} step
 * @property {string} media_type
 * @property {Uint8Array} [bytes] with binary previews
 * @property {string} [url] with previews by address
 */

/**
 * The body of a binary `preview`: header length (32 bits, big endian), header, picture.
 * @param {Uint8Array} body
 * @returns {Preview | null}
 */
export function decodePreview(body) {
  if (body.length < 4) return null;
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const end = 4 + view.getUint32(0);
  if (end > body.length) return null;
  try {
    const header = JSON.parse(new TextDecoder().decode(body.subarray(4, end)));
    return { ...header, bytes: body.subarray(end) };
  } catch {
    return null;
  }
}
