// One connection for server-sent events, which comes back after it was lost and goes on where it ended.

/** @typedef {{kind: string, data: any}} News */

const KINDS = ["hello", "runs", "queue", "workers", "counts", "beat"];
const AGAIN_MS = 1000;
const MOST_MS = 20_000;
/** The server is heard at least every 10 seconds. */
const SILENT_MS = 30_000;

/** See the module. */
export class Stream {
  /**
   * @param {string} url of the events
   * @param {(news: News) => void} tell told of each event, and of `state`: `on`, `wait` (for a connection), `login` (the
   *   server knows this browser no more)
   */
  constructor(url, tell) {
    this.url = url;
    this.tell = tell;
    this.last = "";
    this.failures = 0;
    /** @type {EventSource | null} */
    this.source = null;
    this.timer = 0;
    this.openedMs = 0;
  }

  /** Connect; when it is connected already, nothing happens. */
  open() {
    if (this.source) return;
    clearTimeout(this.timer);
    const source = new EventSource(this.url + (this.last ? `?last=${encodeURIComponent(this.last)}` : ""));
    this.source = source;
    this.openedMs = performance.now();
    for (const kind of KINDS) source.addEventListener(kind, (event) => this.hear(kind, event));
    source.addEventListener("open", () => this.listen());
    source.addEventListener("error", () => this.lose());
    this.watch();
  }

  /** End the connection. */
  close() {
    clearTimeout(this.timer);
    this.source?.close();
    this.source = null;
  }

  /** Connect anew at once, such as when the network is back, which every tab says. */
  reopen() {
    if (this.source && performance.now() < this.openedMs + AGAIN_MS) return;
    this.close();
    this.open();
  }

  listen() {
    this.failures = 0;
    this.tell({ kind: "state", data: "on" });
  }

  /**
   * @param {string} kind
   * @param {MessageEvent} event
   */
  hear(kind, event) {
    this.watch();
    if (event.lastEventId) this.last = event.lastEventId;
    if (kind !== "beat") this.tell({ kind, data: JSON.parse(event.data) });
  }

  watch() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.lose(), SILENT_MS);
  }

  /** The browser's own way back would not try again after an answer such as 503. */
  lose() {
    this.close();
    this.failures += 1;
    this.tell({ kind: "state", data: "wait" });
    const wait = Math.min(AGAIN_MS * 2 ** Math.min(this.failures - 1, 6), MOST_MS);
    this.timer = setTimeout(() => this.again(), wait * (0.75 + Math.random() / 2));
  }

  async again() {
    const answer = await fetch(this.url.replace(/events$/, "session"), { credentials: "same-origin" }).catch(() => null);
    const session = answer?.ok ? await answer.json() : null;
    if (session && !session.role) this.tell({ kind: "state", data: "login" });
    else this.open();
  }
}
