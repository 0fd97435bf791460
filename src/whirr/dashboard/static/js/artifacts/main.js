// The artifacts of all runs, those of the newest run first.
import { getJson, prefix } from "../lib/api.js";
import { byId, clear, h } from "../lib/dom.js";
import { age, bytes, plural } from "../lib/format.js";
import { live } from "../lib/live.js";
import { shortcut } from "../lib/keys.js";
import { UrlState } from "../lib/state.js";
import { fileUrl } from "../run/files.js";
import { shown } from "../run/filetree.js";
import { runLink, statusMark, wordsOf } from "../run/ui.js";

/** @typedef {{run: string, name: string|null, status: string, path: string, size: number, modified: string, kind: string}} Artifact */
/** @typedef {{files: Artifact[], looked: number, every: number, next: string|null}} Page */

const TYPED_MS = 200;
const COUNT = 100;

class ArtifactsPage {
  /** @param {HTMLElement} root */
  constructor(root) {
    this.state = new UrlState({ filter: "" });
    this.stop = new AbortController();
    this.timer = 0;
    /** @type {string|null} */
    this.next = null;
    this.count = 0;
    this.asking = false;
    this.last = "";
    this.field = h("input", { class: "field", type: "search", placeholder: "Filter by path, run or tag: *.pt", "aria-label": "Filter by path, run or tag", spellcheck: "false", value: this.state.get("filter") });
    this.told = h("span", { class: "soft", role: "status" });
    this.fresh = h("button", { class: "btn", type: "button", hidden: true, onclick: () => void this.begin() }, "Show new ones");
    this.body = h("tbody", null);
    const heads = [["", "Artifact"], ["", "Run"], ["num", "Size"], ["num", "Age"], ["", ""]].map(([kind, word]) => h("th", { scope: "col", class: kind }, word || h("span", { class: "sr" }, "Download")));
    this.table = h("table", { class: "arts" }, h("thead", null, h("tr", null, heads)), this.body);
    this.more = h("button", { class: "btn", type: "button", hidden: true, onclick: () => void this.go() }, "Look on");
    this.empty = h("div", { class: "empty", hidden: true });
    const head = h("div", { class: "cmp-head" }, h("h1", null, "Artifacts"), this.told, h("span", { class: "grow" }), this.fresh);
    const table = h("div", { class: "tw card", tabindex: "0", role: "region", "aria-label": "Artifacts" }, this.table);
    clear(root).append(head, h("div", { class: "arts-bar" }, this.field), table, this.empty, h("div", { class: "arts-more" }, this.more));
    this.frame = table;
    this.field.addEventListener("input", () => this.typed());
    this.state.on(() => { this.field.value = this.state.get("filter"); void this.begin(); });
    new IntersectionObserver(([seen]) => seen.isIntersecting && void this.go(), { rootMargin: "300px" }).observe(this.more);
  }

  typed() {
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => this.state.set({ filter: this.field.value }), TYPED_MS);
  }

  /** From the newest run on. */
  async begin() {
    this.stop.abort();
    this.asking = false;
    this.next = null;
    await this.ask(true);
  }

  /** From where the last look ended. */
  async go() {
    if (this.next !== null && !this.asking) await this.ask(false);
  }

  /** @param {boolean} anew */
  async ask(anew) {
    const { signal } = (this.stop = new AbortController());
    this.asking = true;
    try {
      /** @type {Page} */
      const page = await getJson("/ui/artifacts", { filter: this.state.get("filter"), count: COUNT, after: this.next }, signal);
      if (!signal.aborted) this.take(page, anew);
    } catch (error) {
      if (!signal.aborted) this.told.textContent = wordsOf(error);
    } finally {
      if (!signal.aborted) this.asking = false;
    }
    // Where a look found little, the button may still be in sight, and nothing would tell.
    if (!signal.aborted && this.next !== null && inSight(this.more)) void this.go();
  }

  /** @param {Page} page @param {boolean} anew */
  take({ files, looked, every, next }, anew) {
    if (anew) {
      clear(this.body);
      this.count = 0;
      this.last = "";
      this.fresh.hidden = true;
    }
    this.count += files.length;
    this.next = next;
    this.body.append(...files.map((file) => this.row(file)));
    this.more.hidden = next === null;
    this.frame.hidden = this.count === 0;
    this.told.textContent = next === null ? plural(this.count, "file") : `${plural(this.count, "file")} in ${looked.toLocaleString("en-US")} of ${every.toLocaleString("en-US")} runs`;
    this.tellNothing(next === null && this.count === 0, every);
  }

  /** @param {boolean} nothing @param {number} every */
  tellNothing(nothing, every) {
    this.empty.hidden = !nothing;
    if (!nothing) return;
    if (this.state.get("filter")) {
      clear(this.empty).append(h("h2", null, "No artifact fits"), h("p", null, `None of ${plural(every, "run")} has one that fits this filter.`));
      return;
    }
    const how = h("pre", { class: "term" }, 'run = whirr.init(name="baseline")\nrun.save_artifact("model.pt")');
    clear(this.empty).append(h("h2", null, "No artifacts yet"), h("p", null, "What a run saves is kept in its folder and listed here."), how);
  }

  /** @param {Artifact} file */
  row(file) {
    const name = shown(file.path.replace(/^artifacts\//, ""));
    const first = file.run !== this.last;
    this.last = file.run;
    const look = `${runLink(prefix, file.run)}?tab=files&file=${encodeURIComponent(file.path.toWellFormed())}`;
    const run = h("a", { href: runLink(prefix, file.run), class: "cut", title: file.run }, file.name || file.run);
    const mark = first ? statusMark(file.status) : h("span", { class: "sm" });
    const load = h("a", { class: "btn", href: fileUrl(file.run, file.path), download: "", "aria-label": `Download ${name}` }, "Download");
    return h("tr", { class: first ? "first" : "" },
      h("th", { scope: "row" }, h("a", { href: look, class: "mono cut", title: name }, name)),
      h("td", { class: "art-run" }, h("span", null, mark, run)),
      h("td", { class: "num" }, bytes(file.size)),
      h("td", { class: "num", title: file.modified }, age(file.modified)),
      h("td", { class: "art-load" }, load));
  }
}

/** @param {HTMLElement} node */
function inSight(node) {
  const { top, height } = node.getBoundingClientRect();
  return height > 0 && top < innerHeight + 300;
}

const page = new ArtifactsPage(byId("artifacts"));
void page.begin();
live.on("runs", () => { page.fresh.hidden = false; });
shortcut("/", () => page.field.focus(), "Filter the artifacts");
