/** The sign of the connection: live, or how long until the next try. */

import { byId, say } from "./dom.js";

const WORDS = {
  connecting: "Connecting",
  live: "Live",
  waiting: "Reconnecting",
  closed: "Not connected",
};
const TICK_MS = 250;

export class LineSign {
  #retryAt = null;
  #timer = null;
  #wasLive = false;

  /** @param {() => void} onNow somebody does not want to wait */
  constructor(onNow) {
    byId("line-now").addEventListener("click", onNow);
  }

  /** @param {import("../sdk/socket.js").Line} line */
  show({ state, retryAt }) {
    this.#retryAt = retryAt;
    this.#wasLive ||= state === "live";
    const isBack = this.#wasLive && state === "connecting";
    byId("line").dataset.state = state;
    byId("line-now").hidden = state !== "waiting";
    say(byId("line-words"), isBack ? "Reconnecting" : WORDS[state]);
    clearInterval(this.#timer);
    if (state === "waiting") this.#timer = setInterval(() => this.#count(), TICK_MS);
    this.#count();
  }

  #count() {
    const seconds = this.#retryAt === null ? 0 : Math.ceil((this.#retryAt - Date.now()) / 1000);
    say(byId("line-wait"), seconds > 0 ? `\u00a0in ${seconds} s` : "");
  }
}
