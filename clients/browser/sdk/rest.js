/**
 * The REST door: one request, one answer or one SafelightError.
 *
 * Owns headers, the reading of problems, and trying again where that cannot do harm.
 * Knows paths only as it is given them; the routes are in docs/wire.md.
 */

import { SafelightError, fromProblem } from "./errors.js";
import { backoff } from "./world.js";

/** Milliseconds before each try after the first: about 20 s in all, longer than a restart takes. */
export const RETRY_MS = [500, 1000, 2000, 4000, 8000, 10_000];
/** Past this a request counts as lost; no route here waits on purpose. */
export const ANSWER_MS = 30_000;
/** The same for a file that is sent: 64 MB at a megabit a second. */
export const UPLOAD_MS = 600_000;
/** A gateway's word that it did not reach the server, and the server's that it cannot now. */
const PASSING = new Set([502, 503, 504]);

export class Rest {
  #world;
  #base;
  #token;

  /**
   * @param {URL} base
   * @param {{world: import("./world.js").World, token?: () => string | null}} options
   */
  constructor(base, { world, token = () => null }) {
    this.#world = world;
    this.#base = base;
    this.#token = token;
  }

  /**
   * The `data` of the answer. Rejects with a SafelightError; code `network` if there was no answer.
   * @param {string} method
   * @param {string} path relative to the base
   * @param {{body?: any, file?: Blob | BufferSource, headers?: Record<string, string>}} [options]
   *   a `file` is sent as it is, in place of a body
   */
  async ask(method, path, { body, file, headers = {} } = {}) {
    const patience = file === undefined ? ANSWER_MS : UPLOAD_MS;
    const response = await this.#fetch(path, patience, {
      method,
      headers: { ...this.#headers(body), ...headers },
      body: body === undefined ? file : JSON.stringify(body),
    });
    const answer = await response.json().catch(() => null);
    if (!response.ok) throw fromProblem(response.status, answer);
    return answer?.data;
  }

  /** As `ask`, but tries again while nobody answers. Only for requests that may arrive twice. */
  async insist(method, path, options) {
    for (let tries = 0; ; tries += 1) {
      try {
        return await this.ask(method, path, options);
      } catch (error) {
        if (tries === RETRY_MS.length || !isPassing(error)) throw error;
        await this.#pause(backoff(RETRY_MS, tries, this.#world.random()));
      }
    }
  }

  async #fetch(path, patience, options) {
    const abort = new AbortController();
    const { signal } = abort;
    const timer = this.#world.setTimeout(() => abort.abort(), patience);
    try {
      return await this.#world.fetch(new URL(path, this.#base), { ...options, signal });
    } catch (error) {
      throw new SafelightError("network", "The server cannot be reached.", { extra: { error } });
    } finally {
      this.#world.clearTimeout(timer);
    }
  }

  #headers(body) {
    const token = this.#token();
    const headers = { Accept: "application/json" };
    if (token) headers.Authorization = `Bearer ${token}`;
    if (body !== undefined) headers["Content-Type"] = "application/json";
    return headers;
  }

  #pause(ms) {
    return new Promise((resolve) => this.#world.setTimeout(resolve, ms));
  }
}

/** That a backend or a provider is down is an answer, for whoever asked; it may last for hours. */
const isPassing = ({ code, status }) =>
  code === "network" || (PASSING.has(status) && !/^(backend|provider)_unreachable$/.test(code));
