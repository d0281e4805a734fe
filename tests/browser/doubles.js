/**
 * A world that the test moves by hand: a clock, a server's end of sockets, HTTP answers.
 *
 * Stands for the network and for time. Unrealistic on purpose: frames arrive at once
 * and in the order given, and nothing is lost unless the test cuts the line.
 */

/** A clock that runs its timers when it is advanced, in the order of their times. */
export class Clock {
  now = 1_000_000;
  #timers = [];

  setTimeout(run, ms) {
    const timer = { at: this.now + ms, run };
    this.#timers.push(timer);
    return timer;
  }

  clearTimeout(timer) {
    this.#timers = this.#timers.filter((other) => other !== timer);
  }

  advance(ms) {
    const end = this.now + ms;
    for (let next = this.#due(end); next; next = this.#due(end)) {
      this.clearTimeout(next);
      this.now = next.at;
      next.run();
    }
    this.now = end;
  }

  #due(end) {
    const due = this.#timers.filter((timer) => timer.at <= end);
    return due.sort((one, other) => one.at - other.at)[0];
  }
}

/** A page that can be hidden and shown. */
export class Page extends EventTarget {
  visibilityState = "visible";
  baseURI = "http://safelight.test/";

  show(isShown) {
    this.visibilityState = isShown ? "visible" : "hidden";
    this.dispatchEvent(new Event("visibilitychange"));
  }
}

/** A world and the server's end of every line that was opened in it. */
export function makeWorld({ page, answers = [], chance = 1 } = {}) {
  const clock = new Clock();
  const lines = [];
  const asked = [];
  class Line {
    sent = [];
    isClosed = false;
    constructor(url, protocols) {
      Object.assign(this, { url, protocols });
      lines.push(this);
    }
    send(text) {
      this.sent.push(JSON.parse(text));
    }
    close() {
      this.isClosed = true;
    }
  }
  const fetch = async (url, options) => {
    asked.push({ url: String(url), ...options });
    const answer = answers.shift();
    if (answer === undefined) throw new TypeError("no network");
    if (answer instanceof Error) throw answer;
    const { status = 200, body } = answer;
    return new Response(JSON.stringify(body), { status });
  };
  return {
    clock,
    lines,
    asked,
    fetch,
    WebSocket: Line,
    setTimeout: (run, ms) => clock.setTimeout(run, ms),
    clearTimeout: (timer) => clock.clearTimeout(timer),
    now: () => clock.now,
    random: () => chance,
    document: page,
    window: page === undefined ? undefined : new EventTarget(),
  };
}

/** What the server does on the newest line of a world. */
export class Server {
  constructor(world) {
    this.world = world;
  }

  get line() {
    return this.world.lines.at(-1);
  }

  open() {
    this.line.onopen();
  }

  cut() {
    this.line.onclose({});
  }

  /** A frame to the client, as text. */
  say(frame) {
    this.line.onmessage({ data: JSON.stringify(frame) });
  }

  /** Bytes to the client. */
  sayBytes(bytes) {
    const { buffer, byteOffset, byteLength } = bytes;
    this.line.onmessage({ data: buffer.slice(byteOffset, byteOffset + byteLength) });
  }

  /** The last frame with this event that the client sent on the newest line, by its parts. */
  heard(event) {
    const frame = this.line.sent.findLast((sent) => sent[3] === event);
    if (frame === undefined) return undefined;
    const [joinRef, ref, topic, , payload] = frame;
    return { joinRef, ref, topic, payload };
  }

  countHeard(event) {
    return this.line.sent.filter((sent) => sent[3] === event).length;
  }

  reply(to, response, status = "ok") {
    this.say([to.joinRef, to.ref, to.topic, "phx_reply", { status, response }]);
  }

  broadcast(topic, event, payload) {
    this.say([null, null, topic, event, payload]);
  }
}

/** Lets promises that are already settled run their callbacks. */
export async function settle() {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
}
