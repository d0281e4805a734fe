/**
 * What a request will cost, above the button that makes it, and the agreement to that.
 *
 * Asks the server for a quote where a model may cost something. Whoever presses the button
 * agrees to the most that is shown; where nothing limits it, a field asks for the limit.
 */

import { byId, say } from "./dom.js";
import { allowance, quoted } from "./words.js";

/** How long nothing may change before a quote is asked for. */
const PAUSE_MS = 350;

export class Bill {
  #ask;
  #asked = "";
  #quote = null;
  #waiting = null;
  #timer = null;

  /** @param {(body: object) => Promise<any>} ask the quote of a request */
  constructor(ask) {
    this.#ask = ask;
  }

  /** What is asked for now, and by which model. */
  show(model, body) {
    const isFree = model === undefined || (model.price === 0 && !model.vip);
    byId("bill").hidden = isFree;
    clearTimeout(this.#timer);
    if (isFree || body.prompt === "") return this.#clear();
    const asked = JSON.stringify(body);
    if (asked === this.#asked) return;
    this.#timer = setTimeout(() => this.#begin(asked), PAUSE_MS);
  }

  /** What a request must say to agree to what is shown for it. */
  async agreement(body) {
    if (byId("bill").hidden) return {};
    const asked = JSON.stringify(body);
    if (asked !== this.#asked) this.#begin(asked);
    await this.#waiting;
    const { consent, high_micros: high } = this.#quote ?? { consent: { needed: false } };
    if (!consent.needed || consent.given) return {};
    if (high !== null) return { max_cost: high / 1e6 };
    const limit = Number.parseFloat(byId("max_cost").value);
    return Number.isFinite(limit) ? { max_cost: limit } : {};
  }

  #begin(asked) {
    clearTimeout(this.#timer);
    this.#asked = asked;
    this.#waiting = this.#ask(JSON.parse(asked)).then(
      (quote) => this.#tell(asked, quote),
      () => this.#tell(asked, null), // whoever sends it will hear why
    );
  }

  #tell(asked, quote) {
    if (asked !== this.#asked) return;
    this.#quote = quote;
    const isOpen = quote !== null && quote.consent.needed && quote.high_micros === null;
    byId("limit").hidden = !isOpen;
    say(byId("bill-words"), quote === null ? "" : quoted(quote));
    say(byId("bill-note"), quote === null ? "" : allowance(quote));
    byId("bill-words").title = quote?.basis ?? "";
  }

  #clear() {
    this.#asked = "";
    this.#quote = null;
    byId("limit").hidden = true;
    say(byId("bill-words"), "");
    say(byId("bill-note"), "");
  }
}
