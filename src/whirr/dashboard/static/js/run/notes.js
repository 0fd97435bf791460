// The notes on a run and its tags: shown as text, edited in place, kept by themselves.
import { ApiError, getJson, postJson } from "../lib/api.js";
import { clear, h } from "../lib/dom.js";
import { toast } from "../lib/toast.js";
import { mayEdit, wordsOf } from "./ui.js";

const TYPED_MS = 700;
const LINK = /\bhttps?:\/\/[^\s<>"'`]+[^\s<>"'`.,;:!?)\]}]/g;

/** Where the annotations of a run are sent. @param {string} runId */
function placeOf(runId) {
  return `/ui/run/${encodeURIComponent(runId)}/annotations`;
}

/**
 * A text with its web addresses as links; nothing else of it means anything.
 *
 * @param {string} text
 * @returns {(Node|string)[]}
 */
export function linked(text) {
  /** @type {(Node|string)[]} */
  const found = [];
  let done = 0;
  for (const match of text.matchAll(LINK)) {
    found.push(text.slice(done, match.index));
    found.push(h("a", { href: match[0], target: "_blank", rel: "noopener noreferrer nofollow" }, match[0]));
    done = match.index + match[0].length;
  }
  return [...found, text.slice(done)];
}

/** The notes on a run. */
export class Notes {
  /** @param {string} runId */
  constructor(runId) {
    this.runId = runId;
    this.kept = "";
    this.timer = 0;
    this.saving = false;
    this.conflict = false; // somebody has to say what becomes of the notes of two
    this.shown = h("div", { class: "nt-text" });
    this.field = h("textarea", { class: "field nt-field", rows: 6, "aria-label": "Notes", maxlength: 50000, hidden: true });
    this.state = h("span", { class: "nt-state", role: "status" });
    this.choice = h("span", { class: "nt-choice", hidden: true });
    this.edit = h("button", { class: "btn", type: "button", onclick: () => this.begin() }, "Edit");
    this.element = h("div", { class: "nt" }, this.shown, this.field, h("div", { class: "nt-foot" }, this.state, this.choice));
    this.edit.hidden = !mayEdit;
    this.field.addEventListener("input", () => this.typed());
    this.field.addEventListener("blur", () => void this.leave());
    this.field.addEventListener("keydown", (event) => event.key === "Escape" && this.field.blur());
    addEventListener("beforeunload", (event) => this.dirty && event.preventDefault());
  }

  get dirty() {
    return !this.field.hidden && this.field.value !== this.kept;
  }

  /** What is kept at the server now. @param {string} notes */
  update(notes) {
    if (this.dirty || this.saving) return; // a save says whether somebody else wrote meanwhile
    if (notes === this.kept && this.shown.childNodes.length) return;
    this.kept = notes;
    if (!this.field.hidden) this.field.value = notes;
    this.draw();
  }

  draw() {
    const none = mayEdit ? "No notes yet." : "No notes.";
    clear(this.shown).append(...(this.kept ? linked(this.kept) : [h("span", { class: "soft" }, none)]));
  }

  begin() {
    this.field.value = this.kept;
    this.field.hidden = false;
    this.shown.hidden = this.edit.hidden = true;
    this.field.focus();
    this.say("");
  }

  typed() {
    clearTimeout(this.timer);
    if (this.conflict) return;
    this.say("Not saved yet");
    this.timer = window.setTimeout(() => void this.save(), TYPED_MS);
  }

  async leave() {
    clearTimeout(this.timer);
    if (!(await this.save())) return;
    if (document.activeElement === this.field || this.dirty) return;
    this.field.hidden = true;
    this.shown.hidden = this.edit.hidden = false;
    this.draw();
  }

  /** @returns {Promise<boolean>} whether all that was written is kept */
  async save() {
    if (!this.dirty) return true;
    if (this.saving || this.conflict) return false;
    const written = this.field.value;
    this.saving = true;
    this.say("Saving…");
    try {
      await postJson(placeOf(this.runId), { notes: written, over: this.kept });
      this.kept = written;
      this.say("Saved");
    } catch (error) {
      await this.failed(error);
      return false;
    } finally {
      this.saving = false;
    }
    return this.dirty ? this.save() : true;
  }

  /** @param {unknown} error */
  async failed(error) {
    if (error instanceof ApiError && error.code === "edit-conflict") {
      const { notes } = await getJson(`/ui/run/${encodeURIComponent(this.runId)}`);
      this.conflict = true;
      this.say("Somebody else changed them meanwhile.", true);
      this.offer(["Take theirs", () => this.settle(notes, notes)], ["Keep both", () => this.settle(notes, `${notes}\n\n${this.field.value}`)]);
    } else {
      const hint = error instanceof ApiError && error.hint ? `: ${error.hint}` : "";
      this.say(`Not saved: ${wordsOf(error)}${hint}`, true);
      this.offer(["Try again", () => void this.save()]);
    }
  }

  /** @param {string} theirs @param {string} wanted */
  settle(theirs, wanted) {
    this.conflict = false;
    this.kept = theirs;
    this.field.value = wanted;
    this.say(this.dirty ? "" : "Saved");
    void this.save();
  }

  /** @param {...[string, () => void]} choices */
  offer(...choices) {
    clear(this.choice).append(...choices.map(([word, fn]) => h("button", { class: "btn", type: "button", onclick: fn }, word)));
    this.choice.hidden = false;
  }

  /** @param {string} text @param {boolean} [wrong] */
  say(text, wrong = false) {
    this.state.textContent = text;
    this.state.classList.toggle("wrong", wrong);
    this.choice.hidden = true;
  }
}

/** The tags of a run. */
export class Tags {
  /** @param {string} runId */
  constructor(runId) {
    this.runId = runId;
    /** @type {string[]} */
    this.tags = [];
    this.list = h("ul", { class: "tg-list", "aria-label": "Tags" });
    this.known = h("datalist", { id: "known-tags" });
    this.field = h("input", { class: "field tg-field", placeholder: "Add a tag", "aria-label": "Add a tag", list: "known-tags", maxlength: 200 });
    this.element = h("div", { class: "tg-box" }, this.list, mayEdit && this.field, this.known);
    this.field.addEventListener("keydown", (event) => this.key(event));
    this.field.addEventListener("change", () => this.add());
    this.field.addEventListener("focus", () => void this.suggest(), { once: true });
  }

  /** @param {string[]} tags */
  update(tags) {
    if (tags.join("\n") === this.tags.join("\n") && this.list.childElementCount) return;
    this.tags = tags;
    clear(this.list).append(...tags.map((tag) => this.chip(tag)));
    if (!tags.length && !mayEdit) this.list.append(h("li", { class: "soft" }, "No tags."));
  }

  /** @param {string} tag */
  chip(tag) {
    const off = h("button", { type: "button", class: "tg-off", "aria-label": `Take off the tag ${tag}`, onclick: () => void this.change({ remove: [tag] }) }, "×");
    return h("li", { class: "chip" }, h("span", { class: "cut" }, tag), mayEdit && off);
  }

  async suggest() {
    const { tags } = await getJson("/ui/keys").catch(() => ({ tags: [] }));
    clear(this.known).append(...tags.slice(0, 500).map((/** @type {string} */ tag) => h("option", { value: tag })));
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.key === "Enter" || event.key === ",") {
      event.preventDefault();
      this.add();
    } else if (event.key === "Backspace" && !this.field.value && this.tags.length) {
      void this.change({ remove: [this.tags[this.tags.length - 1]] });
    }
  }

  add() {
    const tag = this.field.value.trim();
    this.field.value = "";
    if (tag && !this.tags.includes(tag)) void this.change({ add: [tag] });
  }

  /** @param {{add?: string[], remove?: string[]}} edit */
  async change(edit) {
    try {
      this.update((await postJson(placeOf(this.runId), edit)).tags);
    } catch (error) {
      toast(`The tags are as they were: ${wordsOf(error)}`, { error: true });
    }
  }
}
