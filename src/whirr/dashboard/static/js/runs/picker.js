/** Choosing one of many by typing some of its letters, or by the arrows. */
import { clear, h } from "../lib/dom.js";

const MOST = 200;
let made = 0;

/**
 * @typedef {{value: string, label: string, detail?: string}} Option
 */

/** An input with a listbox under it. */
export class Picker {
  #found = /** @type {Option[]} */ ([]);
  #active = 0;

  /**
   * @param {HTMLElement} root
   * @param {{label: string, options: Option[], value: string, take: (value: string) => void}} about
   */
  constructor(root, { label, options, value, take }) {
    made += 1;
    this.name = `picker-${made}`;
    this.options = options;
    this.value = value;
    this.take = take;
    this.list = h("ul", { class: "options", role: "listbox", id: this.name, "aria-label": label });
    this.input = /** @type {HTMLInputElement} */ (
      h("input", {
        class: "seek",
        type: "text",
        role: "combobox",
        placeholder: label,
        "aria-label": label,
        "aria-expanded": "true",
        "aria-controls": this.name,
        "aria-autocomplete": "list",
        autocomplete: "off",
        spellcheck: "false",
        oninput: () => this.#seek(),
        onkeydown: (/** @type {KeyboardEvent} */ event) => this.#pressed(event),
      })
    );
    this.list.addEventListener("mousedown", (event) => event.preventDefault());
    this.list.addEventListener("click", (event) => this.#picked(event));
    root.append(this.input, this.list);
    this.#seek();
  }

  #seek() {
    this.#found = seek(this.options, this.input.value).slice(0, MOST);
    this.#active = Math.max(
      0,
      this.#found.findIndex((one) => one.value === this.value),
    );
    const nodes = this.#found.map((one, place) => optionNode(one, `${this.name}-${place}`, one.value === this.value));
    clear(this.list).append(
      ...(nodes.length
        ? nodes
        : [
            h(
              "li",
              { class: "none", role: "option", "aria-disabled": "true", "aria-selected": "false" },
              "Nothing of this name",
            ),
          ]),
    );
    this.#mark();
  }

  #mark() {
    for (const [place, node] of [...this.list.children].entries())
      node.classList.toggle("active", place === this.#active);
    if (!this.#found.length) return this.input.removeAttribute("aria-activedescendant");
    this.input.setAttribute("aria-activedescendant", `${this.name}-${this.#active}`);
    this.list.children[this.#active].scrollIntoView({ block: "nearest" });
  }

  /** @param {KeyboardEvent} event */
  #pressed(event) {
    const count = this.#found.length;
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key !== "Enter" && !by) return;
    event.preventDefault(); // who has the focus afterwards does not hear of it
    if (!count) return;
    if (!by) return this.take(this.#found[this.#active].value);
    this.#active = (this.#active + by + count) % count;
    this.#mark();
  }

  /** @param {MouseEvent} event */
  #picked(event) {
    const node = /** @type {Element} */ (event.target).closest("[role=option]");
    const one = node && this.#found[[...this.list.children].indexOf(node)];
    if (one) this.take(one.value);
  }
}

/**
 * Those whose label has all the words, the ones that begin with the text first.
 * @template {{label: string}} T
 * @param {T[]} options
 * @param {string} text
 * @returns {T[]}
 */
export function seek(options, text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return options;
  const found = options.filter((one) => words.every((word) => one.label.toLowerCase().includes(word)));
  const rank = (/** @type {T} */ one) => (one.label.toLowerCase().startsWith(words[0]) ? 0 : 1);
  return found.sort((one, other) => rank(one) - rank(other));
}

/**
 * @param {Option} one
 * @param {string} id
 * @param {boolean} chosen
 */
function optionNode(one, id, chosen) {
  const detail = one.detail ? h("small", null, one.detail) : "";
  return h("li", { role: "option", id, "aria-selected": String(chosen) }, h("span", null, one.label), detail);
}
