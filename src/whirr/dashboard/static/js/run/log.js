/** A log that is followed while it grows: in colour, searchable, of any length, and never anything but text. */

import { ApiError } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { fileUrl, Gone, LogFile } from "./files.js";
import { Blocks, placeOf } from "./logblocks.js";
import { FindBar } from "./logfind.js";
import { highlight } from "./logline.js";
import { LogWindow } from "./logwindow.js";

const NEAR = 600; // pixels from an edge at which more is loaded
const AGAIN_MS = 2000;
const MANY = 64; // so many lines behind the view are told as a number, more as "many"

/** Load the style of logs once, for pages that do not name it. */
function needStyle() {
  const href = new URL("../../css/log.css", import.meta.url).href;
  if ([...document.styleSheets].some((sheet) => sheet.href === href)) return;
  if (document.querySelector(`link[href="${href}"]`)) return;
  document.head.append(h("link", { rel: "stylesheet", href }));
}

export class LogView {
  /**
   * @param {HTMLElement} root gets the log as its only child
   * @param {string} runId
   * @param {{compact?: boolean, path?: string, live?: boolean}} [options] compact: without the bar above; live: more
   *   may come (default)
   */
  constructor(root, runId, { compact = false, path = "output.log", live = true } = {}) {
    needStyle();
    this.#live = live;
    this.#file = new LogFile(runId, path);
    this.#build(root, runId, path, compact);
    this.#open(null);
  }

  #live;
  #file;
  #following = true;
  #behind = 0;
  #busy = false;
  #destroyed = false;
  #session = new AbortController();
  /** @type {LogWindow|null} */
  #window = null;
  #wake = () => {};
  /** @type {FindBar|null} */
  #find = null;

  scroller = h("div", { class: "lg-scroll", tabindex: "0", role: "log", "aria-live": "off" });
  element = h("div", { class: "lg" });
  #blocks = new Blocks(this.scroller);
  #note = h("div", { class: "lg-note", role: "status" });
  #pill = h("button", { class: "lg-follow", type: "button", onclick: () => this.follow() }, "following");

  /** @param {HTMLElement} root @param {string} runId @param {string} path @param {boolean} compact */
  #build(root, runId, path, compact) {
    this.scroller.setAttribute("aria-label", `Output, ${path}`);
    this.scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    if (compact) this.element.classList.add("lg-compact");
    else this.element.append(this.#bar(runId, path));
    this.element.append(h("div", { class: "lg-body" }, this.scroller, this.#note, this.#pill));
    root.replaceChildren(this.element);
  }

  /** @param {string} runId @param {string} path */
  #bar(runId, path) {
    this.#find = new FindBar(runId, path, this);
    const download = h("a", { class: "lg-button", href: fileUrl(runId, path), download: "" }, "Download");
    const wrap = h("button", { class: "lg-button", type: "button", "aria-pressed": "false" }, "Wrap");
    wrap.addEventListener("click", () => this.#toggleWrap(wrap));
    return h("div", { class: "lg-bar" }, this.#find.element, wrap, download);
  }

  /** @param {HTMLElement} button */
  #toggleWrap(button) {
    const wraps = this.element.classList.toggle("lg-wraps");
    button.setAttribute("aria-pressed", String(wraps));
    if (this.#following) this.#toEnd();
  }

  /** Stop, and let go of the page. */
  destroy() {
    this.#destroyed = true;
    this.#session.abort();
    this.#find?.destroy();
    this.element.remove();
  }

  /** No more will come: what is there is shown to its end. */
  ended() {
    this.#live = false;
    this.#tell();
  }

  /** Go to the end, and stay there. */
  follow() {
    this.#following = true;
    this.#behind = 0;
    if (this.#window?.atEnd) this.#toEnd();
    else this.#open(null);
    this.#tell();
  }

  /** Where the first line in view begins. @returns {number} */
  get place() {
    const box = this.scroller.getBoundingClientRect();
    const line = document.elementFromPoint(box.left + 30, box.top + 14)?.closest?.(".lg-line");
    return line && this.scroller.contains(line) ? placeOf(line) : 0;
  }

  /**
   * Show the line that begins at `at`, marked as the one that was looked for.
   *
   * @param {number} at
   */
  show(at) {
    this.#following = false;
    const shown = this.#window;
    if (shown && at >= shown.start && at < shown.end + shown.rest.length) this.#mark(at);
    else this.#open(at);
    this.#tell();
  }

  /** Mark a text wherever it stands; empty: nothing. @param {string} text */
  highlight(text) {
    highlight(this.scroller, text);
  }

  // One session reads one file from one place on; another place is another session.

  /** @param {number|null} at null: the end */
  #open(at) {
    this.#session.abort();
    this.#session = new AbortController();
    void this.#run(at, this.#session.signal);
  }

  /** @param {number|null} at @param {AbortSignal} signal */
  async #run(at, signal) {
    let from = at;
    while (!signal.aborted) {
      try {
        await this.#begin(from, signal);
        await this.#goOn(signal);
        return;
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof ApiError && error.status === 404) return void this.#said("There is no such run.");
        if (!(error instanceof Gone)) this.#said("The server cannot be reached; trying again.");
        else if (error.replaced) this.#said("A new attempt began: its output follows.");
        else if (!this.#live) return void this.#said("There is no output.");
        else this.#said("No output yet.");
        from = null;
        await pause(AGAIN_MS, signal);
      }
    }
  }

  /** @param {number|null} at @param {AbortSignal} signal */
  async #begin(at, signal) {
    const opened = new LogWindow(this.#file);
    const chunk = at === null ? await opened.openEnd(signal) : await opened.openAt(at, signal);
    if (signal.aborted) return;
    this.#window = opened;
    this.#blocks.empty();
    this.#blocks.append(chunk);
    this.#blocks.setRest(opened.restLine());
    this.#said(this.#file.size ? "" : this.#live ? "No output yet." : "It printed nothing.");
    if (at === null) this.#toEnd();
    else this.#mark(at);
    this.#find?.redraw();
    this.#tell();
  }

  /** Take in what comes. @param {AbortSignal} signal */
  async #goOn(signal) {
    const shown = /** @type {LogWindow} */ (this.#window);
    while (!signal.aborted) {
      if (!this.#live && shown.atEnd) return;
      if (!shown.atEnd && !this.#following && !this.#nearEnd()) {
        await new Promise((resolve) => { this.#wake = () => resolve(undefined); signal.onabort = this.#wake; });
        continue;
      }
      const chunk = await shown.next(signal);
      if (signal.aborted) return;
      this.#take(shown, chunk);
    }
  }

  /** @param {LogWindow} shown @param {import("./logwindow.js").Chunk} chunk */
  #take(shown, chunk) {
    this.#blocks.append(chunk);
    this.#blocks.setRest(shown.restLine());
    if (shown.end + shown.rest.length > 0) this.#said("");
    const above = this.scroller.scrollHeight;
    const at = this.#blocks.trimTop();
    if (at !== null) {
      shown.dropBefore(at);
      this.scroller.scrollTop -= above - this.scroller.scrollHeight;
    }
    if (this.#following) this.#toEnd();
    else this.#behind += chunk.lines.length;
    this.#tell();
    if (chunk.lines.length) this.#find?.grown();
  }

  async #loadBefore() {
    const shown = this.#window;
    if (!shown || this.#busy || shown.start === 0) return;
    this.#busy = true;
    try {
      const chunk = await shown.before(this.#session.signal);
      if (chunk && shown === this.#window) this.#takeBefore(shown, chunk);
    } catch (error) {
      if (!this.#session.signal.aborted) this.#said("What stands before cannot be read.");
    } finally {
      this.#busy = false;
    }
  }

  /** @param {LogWindow} shown @param {import("./logwindow.js").Chunk} chunk */
  #takeBefore(shown, chunk) {
    const height = this.scroller.scrollHeight;
    const top = this.scroller.scrollTop;
    this.#blocks.prepend(chunk);
    this.scroller.scrollTop = top + this.scroller.scrollHeight - height;
    const at = this.#blocks.trimBottom();
    if (at !== null) shown.dropAfter(at);
    this.#find?.redraw();
  }

  // The view

  #nearEnd() {
    const { scrollTop, clientHeight, scrollHeight } = this.scroller;
    return scrollHeight - scrollTop - clientHeight < NEAR;
  }

  #scrolled() {
    const { scrollTop, clientHeight, scrollHeight } = this.scroller;
    const atBottom = scrollHeight - scrollTop - clientHeight < 24;
    const end = Boolean(this.#window?.atEnd);
    this.#following = atBottom && end;
    if (this.#following) this.#behind = 0;
    if (scrollTop < NEAR) void this.#loadBefore();
    if (this.#nearEnd() && !end) this.#wake();
    this.#tell();
  }

  #toEnd() {
    this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  /** @param {number} at */
  #mark(at) {
    for (const line of this.scroller.querySelectorAll(".lg-at")) line.classList.remove("lg-at");
    const line = this.#blocks.lineAt(at);
    if (!line) return;
    line.classList.add("lg-at");
    line.scrollIntoView({ block: "center", inline: "nearest" });
    line.scrollIntoView({ block: "center", inline: "nearest" }); // heights of what was out of sight were guessed
  }

  #tell() {
    const lines = this.#behind > MANY ? "many new lines" : `${this.#behind} new ${this.#behind === 1 ? "line" : "lines"}`;
    this.#pill.textContent = this.#following && this.#live ? "following" : this.#behind ? `${lines} ↓` : "to the end ↓";
    this.#pill.classList.toggle("on", this.#following);
    this.#pill.hidden = this.#following && !this.#live;
  }

  /** @param {string} text */
  #said(text) {
    if (this.#destroyed) return;
    this.#note.textContent = text;
    this.#note.hidden = !text;
  }
}

/** @param {number} ms @param {AbortSignal} signal */
function pause(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => { clearTimeout(timer); resolve(undefined); }, { once: true });
  });
}
