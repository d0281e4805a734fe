/** The token, where the server asks for one: kept for this tab, asked for when it is refused. */

import { byId, say } from "./dom.js";

const KEPT = "safelight.token";

export const token = () => sessionStorage.getItem(KEPT);

export class Door {
  #asking = null;

  constructor() {
    // Escape would leave a page behind that can do nothing and does not say why.
    byId("door").addEventListener("cancel", (event) => event.preventDefault());
  }

  /** Asks once, however many ask for it; resolves when there is a token to try. */
  ask() {
    this.#asking ??= new Promise((resolve) => this.#open(resolve)).finally(() => {
      this.#asking = null;
    });
    return this.#asking;
  }

  #open(resolve) {
    const dialog = byId("door");
    say(byId("wrong-token"), token() === null ? "" : "The server does not know this token.");
    byId("token").value = "";
    byId("door-form").onsubmit = () => {
      sessionStorage.setItem(KEPT, byId("token").value.trim());
      resolve();
    };
    dialog.showModal();
  }
}
