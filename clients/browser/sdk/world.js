/**
 * The outside world as one argument: sockets, HTTP, time, chance and the page.
 *
 * Everything else in this folder reaches the outside through the object made here,
 * so tests can hand in a clock that they move themselves. Knows nothing of tasks.
 */

/**
 * @typedef {object} World
 * @property {typeof WebSocket} WebSocket
 * @property {typeof fetch} fetch
 * @property {(run: () => void, ms: number) => any} setTimeout
 * @property {(timer: any) => void} clearTimeout
 * @property {() => number} now milliseconds since 1970
 * @property {() => number} random from 0 up to 1
 * @property {() => string} uuid a fresh random name, version 4
 * @property {Document | undefined} document absent in Node
 * @property {Window | undefined} window absent in Node
 */

/**
 * The world, with what the caller gives in place of the globals.
 * @param {Partial<World>} [given]
 * @returns {World}
 */
export function makeWorld(given = {}) {
  const here = globalThis;
  return {
    WebSocket: here.WebSocket,
    fetch: (...args) => here.fetch(...args),
    setTimeout: (run, ms) => here.setTimeout(run, ms),
    clearTimeout: (timer) => here.clearTimeout(timer),
    now: () => Date.now(),
    random: () => Math.random(),
    uuid: randomUuid,
    document: here.document,
    window: here.document === undefined ? undefined : here.window,
    ...given,
  };
}

/** `crypto.randomUUID` is missing on plain-HTTP pages of other hosts, `getRandomValues` is not. */
function randomUuid() {
  const bytes = globalThis.crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/**
 * The wait before try number `tries` (0, 1, 2 …): a step of the ladder, of which
 * between half and the whole is waited, so that many clients do not return as one.
 * @param {number[]} ladder milliseconds
 * @param {number} tries
 * @param {number} chance from 0 up to 1
 */
export function backoff(ladder, tries, chance) {
  const step = ladder[Math.min(tries, ladder.length - 1)];
  return Math.round(step * (0.5 + chance / 2));
}
