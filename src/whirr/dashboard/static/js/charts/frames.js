// Drawing, once per frame and a few milliseconds at a time.

const BUDGET_MS = 10;

/**
 * Draws what asked for it at the next frame, each once however often it asked. What does not fit into a frame goes into the
 * next one, so that a slider that redraws twenty panels still follows the hand.
 */
export class Frames {
  /** @type {Map<unknown, () => void>} */
  #asked = new Map();
  #frame = 0;

  /**
   * @param {unknown} who replaces what the same one asked for before
   * @param {() => void} draw
   */
  ask(who, draw) {
    this.#asked.set(who, draw);
    this.#frame ||= requestAnimationFrame(() => this.#draw());
  }

  stop() {
    cancelAnimationFrame(this.#frame);
    this.#asked.clear();
  }

  #draw() {
    this.#frame = 0;
    const end = performance.now() + BUDGET_MS;
    for (const [who, draw] of this.#asked) {
      this.#asked.delete(who);
      draw();
      if (performance.now() > end) break;
    }
    if (this.#asked.size) this.#frame ||= requestAnimationFrame(() => this.#draw());
  }
}
