// What the server tells of itself: pages hear that something changed, and ask for it.
import { prefix } from "./api.js";
import { byId } from "./dom.js";
import { plural } from "./format.js";
import { Stream } from "./stream.js";

/** @import {News} from "./stream.js" */

const WORDS = { on: "Live", wait: "Connecting", login: "Signed out: reload", update: "Updated: reload" };

/** The one listener of a page; a page that nobody sees is told when it is looked at again. */
class Live {
  constructor() {
    /** @type {Map<string, Set<(data: any) => void>>} */
    this.listeners = new Map();
    /** @type {Map<string, any>} */
    this.held = new Map();
    this.state = "wait";
    this.lost = false;
    this.running = 0;
  }

  /**
   * Hear of changes: `runs` ({version, changed: ids, or null where there are too many}), `queue`, `workers`, `counts`
   * ({runs, running, queued, workers}), `state` (`wait` when the connection is lost, `on` when it is back, `login` when
   * the server knows this browser no more).
   *
   * @param {string} kind
   * @param {(data: any) => void} fn
   * @returns {() => void} hears no more
   */
  on(kind, fn) {
    const found = this.listeners.get(kind) ?? new Set();
    this.listeners.set(kind, found.add(fn));
    return () => found.delete(fn);
  }

  /** Connect. */
  start() {
    const url = new URL(`${prefix}/ui/events`, location.href).href;
    const wire = typeof SharedWorker === "undefined" ? this.alone(url) : this.shared(url);
    document.addEventListener("visibilitychange", () => this.release());
    addEventListener("online", wire.reopen);
    addEventListener("pagehide", wire.leave);
    addEventListener("pageshow", (event) => event.persisted && wire.join());
    wire.join();
  }

  /** @param {string} url */
  alone(url) {
    const stream = new Stream(url, (news) => this.hear(news));
    return { join: () => stream.open(), leave: () => stream.close(), reopen: () => stream.reopen() };
  }

  /** @param {string} url */
  shared(url) {
    const worker = new SharedWorker(new URL("./live-worker.js", import.meta.url), { type: "module", name: url });
    worker.port.onmessage = ({ data }) => this.hear(data);
    const say = (/** @type {object} */ words) => worker.port.postMessage(words);
    return { join: () => say({ join: url }), leave: () => say({ leave: true }), reopen: () => say({ reopen: true }) };
  }

  /** @param {News} news */
  hear({ kind, data }) {
    if (kind === "state") this.become(data);
    else if (kind === "hello" && data.version !== document.body.dataset.version) this.become("update");
    else if (kind === "counts") this.count(data);
    if (kind === "state") this.change(data);
    else if (document.hidden) this.held.set(kind, merged(kind, this.held.get(kind), data));
    else this.tell(kind, data);
  }

  /**
   * Tell of a connection that was lost, and that it is back; not that there is one at first.
   *
   * @param {string} state
   */
  change(state) {
    if (this.lost || state !== "on") this.tell("state", state);
    this.lost = state !== "on";
  }

  release() {
    if (document.hidden) return;
    const held = [...this.held];
    this.held.clear();
    for (const [kind, data] of held) this.tell(kind, data);
  }

  /**
   * @param {string} kind
   * @param {any} data
   */
  tell(kind, data) {
    for (const fn of [...(this.listeners.get(kind) ?? [])]) fn(data);
  }

  /** @param {keyof typeof WORDS} state */
  become(state) {
    this.state = state;
    this.show();
  }

  /** @param {Record<string, number>} counts */
  count(counts) {
    this.running = counts.running;
    for (const node of document.querySelectorAll("[data-count]")) {
      const count = counts[{ runs: "runs", queue: "queued", workers: "workers" }[/** @type {HTMLElement} */ (node).dataset.count ?? ""] ?? ""];
      node.textContent = count ? count.toLocaleString("en-US") : "";
    }
    this.show();
  }

  show() {
    const node = byId("live");
    const words = WORDS[/** @type {keyof typeof WORDS} */ (this.state)];
    const text = this.state === "on" && this.running ? `${words} · ${plural(this.running, "running", "running")}` : words;
    node.dataset.state = this.state;
    const place = node.querySelector(".words");
    if (place && place.textContent !== text) place.textContent = text;
    node.title = text;
  }
}

/**
 * Two events of a kind as one.
 *
 * @param {string} kind
 * @param {any} before
 * @param {any} data
 */
function merged(kind, before, data) {
  if (kind !== "runs" || !before) return data;
  const changed = before.changed && data.changed ? [...new Set([...before.changed, ...data.changed])] : null;
  return { ...data, changed };
}

export const live = new Live();
