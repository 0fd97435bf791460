// The files of a run: the tree of them, and what is in the one that is chosen.
import { clear, h } from "../lib/dom.js";
import { bytes, plural, stamp } from "../lib/format.js";
import { FileTree, shown } from "./filetree.js";
import { fileUrl } from "./files.js";
import { preview } from "./preview.js";
import { searchField, wordsOf } from "./ui.js";

/** @typedef {import("./types.js").About} About */
/** @typedef {import("./types.js").FileFacts} FileFacts */

const LIVE = new Set(["running", "queued", "cancelling"]);

/** A pane of the page (`Pane` in types.js). */
export class FilesPane {
  /** @param {string} runId @param {import("../lib/state.js").UrlState} state */
  constructor(runId, state) {
    this.runId = runId;
    this.state = state;
    this.tree = new FileTree((path) => state.set({ file: path }, { push: true }));
    this.sum = h("p", { class: "soft fp-sum" });
    this.head = h("div", { class: "pv-head" });
    this.body = h("div", { class: "pv-body" });
    const side = h("nav", { class: "fp-side", "aria-label": "Files" }, searchField("Search the files", (text) => this.tree.search(text)), this.sum, this.tree.element);
    this.element = h("div", { class: "fp card" }, side, h("section", { class: "pv", "aria-label": "Content of the file" }, this.head, this.body));
    this.drawn = "";
    this.stop = new AbortController();
    this.destroy = () => {};
    /** @type {About|null} */
    this.about = null;
    state.on((changed) => changed.has("file") && this.show());
  }

  /** @param {About} about */
  update(about) {
    this.about = about;
    const size = about.files.reduce((sum, file) => sum + file.size, 0);
    const more = about.file_count > about.files.length ? `; the first ${about.files.length.toLocaleString("en-US")} are shown` : "";
    this.sum.textContent = `${plural(about.file_count, "file")}, ${bytes(size)}${more}`;
    this.tree.update(about.files);
    this.show();
  }

  show() {
    const path = this.state.get("file");
    this.tree.select(path);
    const file = this.about?.files.find((one) => one.path === path);
    if (!file) return void this.nothing(path);
    this.drawHead(file);
    const growing = /\.(log|jsonl|out|err)$/.test(path); // its view follows by itself
    const key = growing ? path : `${path} ${file.modified} ${file.size}`;
    if (key === this.drawn) return;
    this.drawn = key;
    void this.load(file);
  }

  /** @param {string} path */
  nothing(path) {
    if (this.drawn === path && this.body.childElementCount) return;
    this.drop();
    this.drawn = path;
    clear(this.head);
    const text = path ? `There is no file ${shown(path)}.` : "Choose a file to look into it.";
    clear(this.body).append(h("p", { class: "soft pv-words" }, text));
  }

  /** @param {FileFacts} file */
  drawHead(file) {
    const load = h("a", { class: "btn", href: fileUrl(this.runId, file.path), download: "" }, "Download");
    const about = h("span", { class: "soft" }, `${bytes(file.size)}, ${stamp(file.modified)}`);
    clear(this.head).append(h("h2", { class: "mono cut", title: shown(file.path) }, shown(file.path)), about, h("span", { class: "grow" }), load);
  }

  /** @param {FileFacts} file */
  async load(file) {
    this.drop();
    const { signal } = (this.stop = new AbortController());
    clear(this.body).append(h("p", { class: "soft pv-words" }, "Reading…"));
    try {
      const found = await preview(this.runId, file, LIVE.has(this.about?.run.status ?? ""), signal);
      if (signal.aborted) return void found.destroy?.();
      this.destroy = found.destroy ?? (() => {});
      clear(this.body).append(found.element);
    } catch (error) {
      if (!signal.aborted) clear(this.body).append(h("p", { class: "wrong pv-words" }, wordsOf(error)));
    }
  }

  drop() {
    this.stop.abort();
    this.destroy();
    this.destroy = () => {};
  }
}
