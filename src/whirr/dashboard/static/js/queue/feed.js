// Keeps what a page shows up to date: asks when the server says that something changed, and now and then in any case.
import { ApiError, getJson } from "../lib/api.js";
import { live } from "../lib/live.js";

/** At most one question in this time, however often something changes. */
const BETWEEN_MS = 700;
/** Signs of life of workers and progress do not ring. */
const LOOK_EVERY_MS = 10_000;

/**
 * @template T
 */
export class Feed {
  /**
   * @param {string} path what to ask for
   * @param {string[]} kinds the events of `live` that call for it
   * @param {() => Record<string, string | number>} params
   * @param {(found: T) => void} show
   * @param {(error: ApiError | null) => void} trouble told what keeps it from being up to date; null: nothing does
   */
  constructor(path, kinds, params, show, trouble) {
    this.path = path;
    this.params = params;
    this.show = show;
    this.trouble = trouble;
    this.asked = -Infinity;
    this.timer = 0;
    /** @type {AbortController | null} */
    this.asking = null;
    for (const kind of kinds) live.on(kind, () => this.soon());
    live.on("state", (state) => state === "on" && this.soon());
    setInterval(() => document.hidden || this.soon(), LOOK_EVERY_MS);
  }

  /** Ask, together with whatever else calls for it within a moment. */
  soon() {
    if (this.timer) return;
    const wait = Math.max(this.asked + BETWEEN_MS - performance.now(), 0);
    this.timer = setTimeout(() => this.now(), wait);
  }

  /** Ask at once; an answer that is under way is no longer waited for. */
  async now() {
    clearTimeout(this.timer);
    this.timer = 0;
    this.asked = performance.now();
    this.asking?.abort();
    const mine = new AbortController();
    this.asking = mine;
    try {
      const found = await getJson(this.path, this.params(), mine.signal);
      if (mine.signal.aborted) return;
      this.trouble(null);
      this.show(found);
    } catch (error) {
      if (mine.signal.aborted) return;
      if (!(error instanceof ApiError)) throw error;
      this.trouble(error);
    }
  }
}
