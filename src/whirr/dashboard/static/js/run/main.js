// The page of one run.
import { BOARD_STATE } from "../charts/view.js";
import { ApiError, getJson, prefix } from "../lib/api.js";
import { byId, clear, h } from "../lib/dom.js";
import { shortcut } from "../lib/keys.js";
import { live } from "../lib/live.js";
import { UrlState } from "../lib/state.js";
import { attemptsPane } from "./attempts.js";
import { chartsPane, systemPane } from "./charts.js";
import { FilesPane } from "./filespane.js";
import { awaitHeader, drawHeader } from "./header.js";
import { logsPane } from "./logs.js";
import { Overview } from "./overview.js";
import { Tabs } from "./tabs.js";
import { wordsOf } from "./ui.js";

/** @typedef {import("./types.js").About} About */

const AGAIN_MS = 1500;
const GOES_ON = new Set(["running", "cancelling"]);

const root = byId("run");
const runId = root.dataset.run ?? "";
const state = new UrlState({ ...BOARD_STATE, tab: "overview", file: "", log: "output.log" });

class RunPage {
  constructor() {
    this.head = h("div", { class: "rh" });
    awaitHeader(this.head, runId);
    /** @type {Set<{refresh: () => void}>} */
    this.boards = new Set();
    this.tabs = new Tabs([
      { key: "overview", label: "Overview", build: () => new Overview(runId, state) },
      { key: "charts", label: "Charts", build: () => this.board(chartsPane(state)) },
      { key: "logs", label: "Logs", build: () => logsPane(runId, state) },
      { key: "system", label: "System", build: () => this.board(systemPane(state, runId)) },
      { key: "files", label: "Files", build: () => new FilesPane(runId, state) },
      { key: "attempts", label: "Attempts", build: () => attemptsPane(state) },
    ], state);
    this.trouble = h("p", { class: "alert rp-trouble", role: "alert", hidden: true });
    clear(root).append(this.head, this.tabs.list, this.trouble, ...this.tabs.panels);
    this.timer = 0;
    this.asking = false;
    this.wanted = false;
    this.last = 0;
  }

  /** @template {{refresh: () => void}} T @param {T} pane @returns {T} */
  board(pane) {
    this.boards.add(pane);
    return pane;
  }

  /** Ask how things stand now, at most so often. */
  soon() {
    if (this.timer) return;
    const wait = Math.max(this.last + AGAIN_MS - performance.now(), 0);
    this.timer = window.setTimeout(() => { this.timer = 0; void this.refresh(); }, wait);
  }

  async refresh() {
    if (this.asking) return void (this.wanted = true);
    this.asking = true;
    this.last = performance.now();
    try {
      this.draw(await getJson(`/ui/run/${encodeURIComponent(runId)}`));
      this.trouble.hidden = true;
    } catch (error) {
      this.failed(error);
    } finally {
      this.asking = false;
    }
    if (this.wanted) this.soon();
    this.wanted = false;
  }

  /** @param {About} about */
  draw(about) {
    document.title = `${about.run.name || about.run.run_id} · ${about.ending.word} · whirr`;
    drawHeader(this.head, about, () => void this.refresh());
    this.tabs.setCount("files", about.file_count || null);
    this.tabs.setCount("attempts", about.attempts.length > 1 ? about.attempts.length : null);
    this.tabs.update(about);
    for (const board of this.boards) board.refresh();
    root.dataset.status = about.run.status;
  }

  /** @param {unknown} error */
  failed(error) {
    if (error instanceof ApiError && error.status === 404) {
      const back = h("p", null, h("a", { href: `${prefix}/` }, "All runs"));
      clear(root).append(h("div", { class: "empty" }, h("h1", null, "There is no such run"), h("p", null, `Nothing is called ${runId}. It may have been deleted.`), back));
      return;
    }
    this.trouble.textContent = wordsOf(error);
    this.trouble.hidden = false;
  }
}

const page = new RunPage();
void page.refresh();
live.on("runs", ({ changed }) => (changed === null || changed.includes(runId)) && page.soon());
live.on("queue", () => (/^job-\d+$/.test(runId)) && page.soon());
live.on("state", (now) => now === "on" && page.soon());
setInterval(() => GOES_ON.has(root.dataset.status ?? "") && !document.hidden && page.soon(), 10_000); // its duration and progress
shortcut("l", () => state.set({ tab: "logs" }, { push: true }), "Show the logs");
shortcut("o", () => state.set({ tab: "overview" }, { push: true }), "Show the overview");
shortcut("c", () => state.set({ tab: "charts" }, { push: true }), "Show the charts");
shortcut("f", () => state.set({ tab: "files" }, { push: true }), "Show the files");
