/**
 * Asks again and again, while somebody can see the answer: the page is shown, and it matters.
 *
 * Owns the clock of it and nothing else. One question at a time; the pause begins with
 * the answer, good or bad, so that a slow server is asked less often.
 */

export class Lookout {
  #ask;
  #ms;
  #world;
  #isWanted = false;
  #isAsking = false;
  #timer = null;

  /**
   * @param {() => Promise<unknown>} ask must not reject
   * @param {{ms: number, world?: {setTimeout: Function, clearTimeout: Function,
   *   document: Document}}} options
   */
  constructor(ask, { ms, world = browser() }) {
    this.#ask = ask;
    this.#ms = ms;
    this.#world = world;
    world.document.addEventListener("visibilitychange", () => this.#turn());
  }

  /** Whether to ask at all; asks at once where it did not before. */
  want(isWanted) {
    if (isWanted === this.#isWanted) return;
    this.#isWanted = isWanted;
    this.#turn();
  }

  get #isOn() {
    return this.#isWanted && this.#world.document.visibilityState === "visible";
  }

  #turn() {
    this.#world.clearTimeout(this.#timer);
    if (this.#isOn && !this.#isAsking) this.#look();
  }

  async #look() {
    this.#isAsking = true;
    await this.#ask();
    this.#isAsking = false;
    this.#world.clearTimeout(this.#timer);
    if (this.#isOn) this.#timer = this.#world.setTimeout(() => this.#turn(), this.#ms);
  }
}

const browser = () => ({
  setTimeout: (run, ms) => setTimeout(run, ms),
  clearTimeout: (timer) => clearTimeout(timer),
  document,
});
