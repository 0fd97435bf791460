/**
 * The filter line: an input under whose clear text the same text is drawn in colour, with completions.
 * @import {Completion, CompletionItem} from "./completions.js"
 * @import {Remark} from "./types.js"
 */
import { clear, h, s } from "../lib/dom.js";
import { Completions } from "./completions.js";
import { tokens } from "./tokens.js";

const TYPED = 220;
const JUDGED = 700;
const EXAMPLE = "Filter, such as val/acc > 0.7 and tag:sweep";

/**
 * @typedef {{message: string, hint: string | null, at: [number, number] | null}} Trouble
 */

/** Applies what is typed after a short rest; tells what is wrong with it only after a longer one, or on Enter. */
export class FilterLine {
  #applying = 0;
  #telling = 0;
  #hasty = false;

  /**
   * @param {HTMLElement} root
   * @param {(text: string) => void} apply
   */
  constructor(root, apply) {
    this.apply = apply;
    this.ink = h("div", { class: "inkline" });
    this.input = this.#input();
    this.wipe = h(
      "button",
      {
        class: "wipe",
        type: "button",
        title: "Clear the filter",
        "aria-label": "Clear the filter",
        hidden: true,
        onclick: () => this.#wiped(),
      },
      "×",
    );
    this.key = h("span", { class: "kbd", "aria-hidden": "true" }, "/");
    this.trouble = h("p", { class: "trouble", id: "filter-trouble", role: "alert", hidden: true });
    this.completions = new Completions(this.input, (item, completion) => this.#complete(item, completion));
    this.note = h("p", { class: "trouble note", role: "status", hidden: true });
    const field = h(
      "div",
      { class: "field mono" },
      h("div", { class: "ink", "aria-hidden": "true" }, this.ink),
      this.input,
    );
    this.box = h(
      "div",
      { class: "filter", role: "search" },
      funnel(),
      field,
      this.key,
      this.wipe,
      this.completions.list,
    );
    clear(root).append(this.box, this.trouble, this.note);
    this.#draw();
  }

  #input() {
    return /** @type {HTMLInputElement} */ (
      h("input", {
        type: "text",
        id: "filter",
        role: "combobox",
        "aria-label": "Filter runs",
        "aria-describedby": "filter-trouble",
        placeholder: EXAMPLE,
        spellcheck: "false",
        autocomplete: "off",
        autocapitalize: "off",
        oninput: () => this.#typed(),
        onkeydown: (/** @type {KeyboardEvent} */ event) => this.#pressed(event),
        onscroll: () => this.#follow(),
        onblur: () => this.completions.close(),
      })
    );
  }

  /**
   * Show a filter that came from elsewhere: the address, a chart.
   * @param {string} text
   */
  show(text) {
    if (text.trim() === this.input.value.trim()) return;
    this.input.value = text;
    this.#draw();
  }

  /** Put the cursor there. */
  focus() {
    this.input.focus();
    this.input.select();
  }

  /**
   * The filter was understood.
   * @param {Remark[]} remarks what in it may not be meant so
   */
  accept(remarks) {
    window.clearTimeout(this.#telling);
    this.#say(null);
    const [first] = remarks;
    this.note.hidden = !first;
    clear(this.note);
    if (!first) return;
    this.note.append(h("b", null, first.text), first.hint ? `: ${first.hint}` : "");
    this.#draw(first.at);
  }

  /**
   * The filter was not understood.
   * @param {Trouble} trouble
   */
  refuse(trouble) {
    window.clearTimeout(this.#telling);
    if (this.#hasty || document.activeElement !== this.input) this.#say(trouble);
    else this.#telling = window.setTimeout(() => this.#say(trouble), JUDGED);
  }

  /** @param {Trouble | null} trouble */
  #say(trouble) {
    this.input.setAttribute("aria-invalid", String(Boolean(trouble)));
    this.box.classList.toggle("bad", Boolean(trouble));
    this.trouble.hidden = !trouble;
    this.note.hidden = true;
    clear(this.trouble);
    this.#draw(trouble?.at ?? null);
    if (!trouble) return;
    this.trouble.append(h("b", null, trouble.message), trouble.hint ? `: ${trouble.hint}` : "");
  }

  #typed() {
    this.#hasty = false;
    this.#say(null);
    window.clearTimeout(this.#applying);
    window.clearTimeout(this.#telling);
    this.#applying = window.setTimeout(() => this.apply(this.input.value.trim()), TYPED);
    this.completions.ask();
  }

  #applyNow() {
    window.clearTimeout(this.#applying);
    this.#hasty = true;
    this.completions.close();
    this.apply(this.input.value.trim());
  }

  #wiped() {
    this.input.value = "";
    this.#say(null);
    this.#applyNow();
    this.input.focus();
  }

  /** @param {KeyboardEvent} event */
  #pressed(event) {
    if (this.completions.pressed(event)) event.preventDefault();
    else if (event.key === "Enter") this.#applyNow();
    else if (event.key === "Escape") this.input.blur();
  }

  /**
   * @param {CompletionItem} item
   * @param {Completion} completion
   */
  #complete(item, completion) {
    const { value } = this.input;
    const after = value.slice(completion.to);
    const space = /^\s/.test(after) || /[:(]$/.test(item.text) ? "" : " ";
    this.input.value = value.slice(0, completion.from) + item.text + space + after;
    const place = completion.from + item.text.length + 1;
    this.input.setSelectionRange(place, place);
    this.#draw();
    this.#typed();
  }

  /** @param {[number, number] | null} [bad] */
  #draw(bad = null) {
    const { value } = this.input;
    clear(this.ink).append(...tokens(value).map((token) => h("span", { class: `t-${token.kind}` }, token.text)));
    if (bad) {
      const mark = h("i", { class: "squiggle" });
      mark.style.left = `${Math.min(bad[0], value.length)}ch`;
      mark.style.width = `${Math.max(1, bad[1] - bad[0])}ch`;
      this.ink.append(mark);
    }
    this.wipe.hidden = !value;
    this.key.hidden = Boolean(value);
    this.#follow();
  }

  #follow() {
    this.ink.style.transform = `translateX(${-this.input.scrollLeft}px)`;
  }
}

function funnel() {
  return s(
    "svg",
    { class: "funnel", viewBox: "0 0 16 16", "aria-hidden": "true" },
    s("path", { d: "M2.5 4h11M4.8 8h6.4M7 12h2" }),
  );
}
