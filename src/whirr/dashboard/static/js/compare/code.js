// How the code of two of the runs differs.
import { getJson } from "../lib/api.js";
import { clear, h } from "../lib/dom.js";
import { diffView } from "../run/diff.js";
import { card, copyable, wordsOf } from "../run/ui.js";
import { nameOf } from "./heads.js";

/** @typedef {import("./types.js").Head} Head */

export class CodeCard {
  /** @param {import("../lib/state.js").UrlState} state its key `code` names the two */
  constructor(state) {
    this.state = state;
    this.asked = "";
    this.stop = new AbortController();
    /** @type {Head[]} */
    this.runs = [];
    this.from = this.choice("From", 0);
    this.to = this.choice("To", 1);
    this.commits = h("div", { class: "cmp-commits" });
    this.body = h("div", { class: "cmp-code" });
    const between = h("div", { class: "cmp-between" }, this.from, h("span", { "aria-hidden": "true" }, "→"), this.to);
    this.element = card("Code", { side: between }, this.commits, this.body);
  }

  /** @param {string} label @param {number} which */
  choice(label, which) {
    const field = h("select", { class: "field", "aria-label": label });
    field.addEventListener("change", () => {
      const pair = this.pair();
      pair[which] = field.value;
      this.state.set({ code: pair });
      this.draw();
    });
    return field;
  }

  /** The two whose code is compared. @returns {string[]} */
  pair() {
    const ids = this.runs.map((run) => run.run_id);
    const [from, to] = this.state.get("code");
    if (ids.includes(from) && ids.includes(to)) return [from, to];
    return [ids[0], ids[1] ?? ids[0]];
  }

  /** @param {Head[]} runs */
  update(runs) {
    this.runs = runs;
    this.element.hidden = runs.length < 2;
    if (runs.length > 1) this.draw();
  }

  draw() {
    const [from, to] = this.pair();
    for (const [field, id] of /** @type {[HTMLSelectElement, string][]} */ ([[this.from, from], [this.to, to]])) {
      clear(field).append(...this.runs.map((run) => h("option", { value: run.run_id, selected: run.run_id === id }, nameOf(run))));
    }
    clear(this.commits).append(...[from, to].map((id) => commitOf(this.runs.find((run) => run.run_id === id))));
    const key = `${from} ${to}`;
    if (key === this.asked) return;
    this.asked = key;
    void this.ask(from, to);
  }

  /** @param {string} from @param {string} to */
  async ask(from, to) {
    this.stop.abort();
    const { signal } = (this.stop = new AbortController());
    if (from === to) return void this.say("Choose two different runs.");
    this.say("Comparing…");
    try {
      /** @type {import("./types.js").CodeDiff} */
      const found = await getJson("/ui/compare/code", { runs: `${from},${to}` }, signal);
      if (!signal.aborted) this.show(found);
    } catch (error) {
      if (!signal.aborted) this.say(wordsOf(error));
    }
  }

  /** @param {import("./types.js").CodeDiff} found */
  show({ how, text, cut, notes }) {
    const words = {
      same: "The code is the same.",
      unknown: "It is not known how the code differs.",
      files: text ? "" : "The code is the same.",
      patches: text ? "" : "The uncommitted work is the same.",
    };
    const said = [words[how], ...notes.map((note) => `${note[0].toUpperCase()}${note.slice(1)}.`), cut ? "The difference is longer than what is shown." : ""];
    clear(this.body).append(...said.filter(Boolean).map((line) => h("p", { class: "soft" }, line)));
    if (text) this.body.append(diffView(text));
  }

  /** @param {string} text */
  say(text) {
    clear(this.body).append(h("p", { class: "soft" }, text));
  }
}

/** @param {Head} [run] */
function commitOf(run) {
  if (!run) return h("span", null);
  const { commit, branch, dirty } = run.code;
  const state = dirty ? "with uncommitted changes" : dirty === false ? "clean" : "";
  const text = commit ? [copyable(String(commit), "the commit", String(commit).slice(0, 10)), [branch, state].filter(Boolean).join(", ")] : "no commit recorded";
  return h("span", { class: "cmp-commit" }, h("b", { class: "cut" }, nameOf(run)), " ", text);
}
