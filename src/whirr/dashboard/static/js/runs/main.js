/**
 * The Runs page: its state in the address, its parts, and what each change of one does to the others.
 * @import {Answer, ChartRun} from "./types.js"
 */
import { Board } from "../charts/board.js";
import { ApiError } from "../lib/api.js";
import { byId, clear } from "../lib/dom.js";
import { live } from "../lib/live.js";
import { UrlState } from "../lib/state.js";
import { toast } from "../lib/toast.js";
import { Choice } from "./choice.js";
import { Drawer } from "./drawer.js";
import { FilterLine } from "./filter.js";
import { bindKeys } from "./keyboard.js";
import { Keyring } from "./keyring.js";
import { drawPinned, togglePin } from "./pinned.js";
import { DEFAULTS, lowerIsBetter, nextSort, questionOf, sortOf } from "./question.js";
import { shownColumns } from "./shown.js";
import { split } from "./split.js";
import { RowStore, WINDOW } from "./store.js";
import { SubLine } from "./subline.js";
import { RunTable } from "./table.js";
import { WorkersStrip } from "./workers.js";

const REFRESH_MS = 1000;
const CHOOSE_MS = 3000;
/** News may come sooner than the server looks at the runs again, which rests after a look that took long. */
const LATER_MS = 6000;
const FEW_COLUMNS = 4;
const NARROW = window.matchMedia("(max-width: 900px)");
const ASKS = ["filter", "hide", "sort", "group", "columns"];

/** Holds the parts together. */
class RunsPage {
  #waiting = 0;
  #choosing = 0;
  #later = 0;
  #changed = /** @type {Set<string> | null} */ (new Set());
  #anew = true;
  #reading = false;
  #met = false;
  #proposed = /** @type {string[]} */ ([]);

  constructor() {
    this.state = new UrlState(DEFAULTS);
    this.keyring = new Keyring();
    this.store = new RowStore({ changed: (anew) => this.#answered(anew), failed: (error) => this.#failed(error) });
    this.filter = new FilterLine(byId("filter-line"), (filter) => this.state.set({ filter }));
    this.filter.show(this.state.get("filter"));
    this.table = new RunTable(byId("table"), this.store, {
      focus: (id) => this.state.set({ focus: this.state.get("focus") === id ? "" : id }, { push: true }),
      pin: (id) => togglePin(this.state, id),
      resized: () => this.#drawTable(false),
      sort: (key) =>
        this.state.set({ sort: nextSort(this.state.get("sort"), key, !lowerIsBetter(key) && key !== "name") }),
    });
    this.sub = new SubLine(byId("sub"), this.state, this.keyring, () => this.table.shown.map((one) => one.column.key));
    this.drawer = new Drawer(byId("drawer"), this.state);
    this.board = new Board(byId("board"), { state: this.state });
    this.choice = new Choice(this.state, this.keyring, (runs, every) => this.#chosen(runs, every));
    this.table.markOf = (row) => this.choice.markOf(row);
    this.workers = new WorkersStrip(byId("workers"));
  }

  /** Ask for everything, and listen from now on. */
  start() {
    this.state.on((changed) => this.#stateChanged(changed));
    this.#bindParts();
    bindKeys(this);
    void this.store.ask(this.#question());
    void this.choice.load().then(() => this.choice.learn());
    void this.workers.refresh();
    this.table.focus = this.state.get("focus");
    this.drawer.show(this.table.focus);
    drawPinned(byId("pinned"), this.state);
  }

  #bindParts() {
    const bench = byId("bench");
    const tall = () => window.innerHeight - 300;
    split({
      bar: byId("split-list"),
      target: bench,
      name: "list",
      axis: "x",
      sign: 1,
      least: 300,
      most: () => window.innerWidth - 420,
      initial: 468,
    });
    split({
      bar: byId("split-drawer"),
      target: bench,
      name: "drawer",
      axis: "y",
      sign: -1,
      least: 130,
      most: tall,
      initial: 252,
    });
    byId("wipe-filter").addEventListener("click", () => this.state.set({ filter: "", hide: [] }));
    this.table.body.addEventListener("pointerenter", () => (this.store.held = true));
    this.table.body.addEventListener("pointerleave", () => this.#released());
    live.on("runs", (news) => this.#news(news.changed));
    live.on("workers", () => this.workers.soon());
    live.on("queue", () => this.workers.soon());
    live.on("state", (state) => state === "on" && this.#connected());
  }

  /** @param {Set<string>} changed keys of the state */
  #stateChanged(changed) {
    if (ASKS.some((key) => changed.has(key))) this.#ask(!changed.has("columns") || changed.size > 1);
    if (changed.has("filter")) this.filter.show(this.state.get("filter"));
    if (changed.has("focus")) {
      this.table.focus = this.state.get("focus");
      this.drawer.show(this.table.focus);
      if (this.table.focus && NARROW.matches) byId("drawer").scrollIntoView({ block: "nearest" });
    }
    if (changed.has("tab")) this.drawer.showTab();
    if (["sel", "focus", "colour"].some((key) => changed.has(key))) this.choice.change();
    if (changed.has("mean")) void this.choice.load();
    if (["sel", "filter", "hide"].some((key) => changed.has(key))) drawPinned(byId("pinned"), this.state);
    this.sub.draw(this.store.answer);
    this.table.draw();
  }

  /** @param {boolean} anew from the top of the table */
  #ask(anew) {
    this.#anew = anew;
    const first = anew ? 0 : Math.floor((this.table.visible()[0] ?? 0) / WINDOW);
    void this.store.ask(this.#question(), first).then((good) => (good ? this.choice.load() : undefined));
  }

  /** The state as a question; where nobody chose columns and the one sorted by is not proposed, it is asked for too. */
  #question() {
    const question = questionOf(this.state);
    const { key } = sortOf(question.sort);
    if (question.columns.length || !this.#lacks(key)) return question;
    return { ...question, columns: [key, ...this.#proposed] };
  }

  /** @param {string} key */
  #lacks(key) {
    return key && this.#proposed.length > 0 && !this.#proposed.includes(key) && !["name", "started"].includes(key);
  }

  /** @param {boolean} first the first answer to a question */
  #answered(first) {
    const answer = /** @type {Answer} */ (this.store.answer);
    this.choice.groups = answer.groups;
    if (first) this.filter.accept(answer.remarks);
    const none = answer.every === 0 && !answer.reading;
    byId("bench").classList.toggle("blank", none);
    byId("blank").hidden = !none;
    byId("no-fit").hidden = answer.chosen > 0 || none || Boolean(answer.reading);
    byId("table").classList.remove("stale");
    byId("table").setAttribute("aria-busy", String(Boolean(answer.reading)));
    this.sub.draw(answer);
    if (first) this.choice.update();
    this.#drawTable(first && this.#anew);
    this.#readOn(Boolean(answer.reading));
    if (first && this.store.proposed) this.#learnProposed(answer);
  }

  /** @param {Answer} answer that has the columns which the server proposes */
  #learnProposed(answer) {
    this.#proposed = answer.columns.map((column) => column.key);
    if (this.#lacks(sortOf(this.state.get("sort")).key)) this.#ask(false);
  }

  /** @param {boolean} anew from its top */
  #drawTable(anew) {
    const answer = this.store.answer;
    if (!answer) return;
    const { state, table } = this;
    table.set(shownColumns(answer, state.get("columns"), state.get("sort"), table.room), anew);
  }

  /** @param {unknown} error */
  #failed(error) {
    if (!(error instanceof ApiError)) throw error;
    if (!this.store.answer) clear(this.sub.count);
    if (error.status !== 400) return toast(error.message, { error: true });
    byId("table").classList.add("stale");
    this.filter.refuse(error);
  }

  /**
   * @param {ChartRun[]} runs
   * @param {number} every
   */
  #chosen(runs, every) {
    this.board.setRuns(runs, every);
    this.table.draw();
    const focus = runs.find((run) => run.focus);
    const pinned = this.state.get("sel").includes(focus?.id);
    this.drawer.setMark(focus && { colour: focus.colour, dash: focus.dash, pinned });
  }

  /**
   * While the server still reads the runs, look again soon; once it has read all, the charts may be of others.
   * @param {boolean} reading
   */
  #readOn(reading) {
    if (reading) window.setTimeout(() => void this.store.refresh(this.table.visible()), REFRESH_MS);
    else if (this.#reading) void this.choice.load().then(() => this.choice.learn());
    this.#reading = reading;
  }

  /** Connected at first, something may have changed since the page asked; later on, anything. */
  #connected() {
    if (this.#met) this.#news(null);
    else void this.store.refresh(this.table.visible());
    this.#met = true;
  }

  /** @param {string[] | null} changed ids; null: nobody knows which */
  #news(changed) {
    if (changed && this.#changed) for (const id of changed) this.#changed.add(id);
    else this.#changed = null;
    this.#waiting ||= window.setTimeout(() => this.#refresh(), REFRESH_MS);
  }

  #refresh() {
    const changed = this.#changed;
    this.#changed = new Set();
    this.#waiting = 0;
    // The first runs of a folder soon log more than what was proposed for them.
    if (this.store.proposed && this.#proposed.length < FEW_COLUMNS) this.#ask(false);
    else void this.store.refresh(this.table.visible());
    this.#choosing ||= window.setTimeout(() => this.#choose(), CHOOSE_MS);
    this.#later ||= window.setTimeout(() => this.#lookAgain(), LATER_MS);
    this.board.refresh(changed && [...changed]);
    if (!changed || changed.has(this.state.get("focus"))) void this.drawer.refresh();
  }

  #lookAgain() {
    this.#later = 0;
    void this.store.refresh(this.table.visible());
  }

  #choose() {
    this.#choosing = 0;
    void this.choice.load();
  }

  /** The pointer has left the rows: they may take their places now. */
  #released() {
    this.store.held = false;
    if (!this.store.stale) return;
    this.store.stale = false;
    void this.store.refresh(this.table.visible());
  }
}

new RunsPage().start();
