/**
 * Work that goes at most `width` at a time, in the order it was asked for.
 *
 * A browser opens six connections to a server, and one of them carries the live events: charts that took
 * them all would make every other request of the page wait.
 */
export class Lane {
  /** @type {(() => void)[]} */
  #waiting = [];
  #free;

  /** @param {number} width */
  constructor(width) {
    this.#free = width;
  }

  /**
   * @template T
   * @param {() => Promise<T>} work is not begun when the signal was aborted before its turn
   * @param {AbortSignal} [signal]
   * @returns {Promise<T>}
   */
  async run(work, signal) {
    if (this.#free > 0) this.#free -= 1;
    else await /** @type {Promise<void>} */ (new Promise((go) => this.#waiting.push(go)));
    try {
      signal?.throwIfAborted();
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free += 1;
    }
  }
}
