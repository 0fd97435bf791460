/**
 * The line under the filter: how many runs, and the buttons that say how they are shown.
 * @import {UrlState} from "../lib/state.js"
 * @import {Keyring} from "./keyring.js"
 * @import {Answer} from "./types.js"
 */
import { clear, h, s } from "../lib/dom.js";
import { plural } from "../lib/format.js";
import { ColumnPicker } from "./columns.js";
import { heading } from "./figures.js";
import { Picker } from "./picker.js";
import { Pop } from "./pop.js";
import { lowerIsBetter, nextSort } from "./question.js";

export const STATUSES = ["running", "queued", "completed", "failed", "cancelled", "unknown"];
const COLOURINGS = [
  ["run", "Pinned and first", "the pinned runs, and the first of the table up to eight"],
  ["pins", "Pinned only", "all others are grey"],
  ["group", "Group", "one colour and dash for each group"],
];

/** Count and buttons; what the buttons do goes into the state. */
export class SubLine {
  /**
   * @param {HTMLElement} root
   * @param {UrlState} state
   * @param {Keyring} keyring
   * @param {() => string[]} shown the keys of the columns as they are
   */
  constructor(root, state, keyring, shown) {
    this.state = state;
    this.keyring = keyring;
    this.shown = shown;
    this.count = h("span", { class: "count", role: "status" }, "Loading runs");
    this.group = chip();
    this.colour = chip();
    this.columns = chip();
    this.hide = chip();
    clear(root).append(this.count, h("span", { class: "grow" }), this.group, this.colour, this.columns, this.hide);
    this.pops = {
      group: new Pop(this.group, "Group by", (box, close) => void this.#fillGroup(box, close)),
      colour: new Pop(this.colour, "Colour", (box, close) => this.#fillColour(box, close)),
      columns: new Pop(this.columns, "Columns", (box) => void this.#fillColumns(box)),
      hide: new Pop(this.hide, "Show and hide by status", (box) => this.#fillStatuses(box)),
    };
    const hidden = h("button", { type: "button", class: "sr", tabindex: "-1", "aria-hidden": "true" });
    root.append(hidden);
    this.sort = new Pop(hidden, "Sort by", (box, close) => void this.#fillSort(box, close), root);
    this.draw(null);
  }

  /** @param {Answer | null} answer */
  draw(answer) {
    const group = this.state.get("group");
    const hidden = this.state.get("hide").length;
    const colour =
      this.state.get("colour") === "pins" ? "pins" : this.state.get("colour") === "group" && group ? "group" : "run";
    say(this.group, "Group", group ? heading(group) : "");
    say(this.colour, "Colour", colour);
    say(this.columns, "Columns", "");
    clear(this.hide).append(eye(hidden > 0), hidden ? h("b", null, String(hidden)) : "");
    this.hide.title = hidden ? `Hidden: ${this.state.get("hide").join(", ")}` : "Show and hide by status";
    this.hide.setAttribute("aria-label", this.hide.title);
    if (!answer) return;
    const some = answer.chosen !== answer.every;
    const count = answer.chosen.toLocaleString("en-US");
    if (answer.reading) return this.#reading(answer.reading);
    const text = some ? ` of ${plural(answer.every, "run")}` : answer.every === 1 ? " run" : " runs";
    if (this.count.textContent !== count + text) clear(this.count).append(h("b", null, count), text);
  }

  /** @param {{done: number, of: number}} reading */
  #reading({ done, of }) {
    if (!of) clear(this.count).append("reading the runs");
    else clear(this.count).append("reading ", h("b", null, done.toLocaleString("en-US")), ` of ${plural(of, "run")}`);
  }

  /**
   * @param {HTMLElement} box
   * @param {() => void} close
   */
  async #fillGroup(box, close) {
    const take = (/** @type {string} */ group) => (close(), this.state.set({ group }));
    const options = [{ value: "", label: "No groups" }, ...(await this.keyring.groupable())];
    new Picker(box, { label: "Group by", options, value: this.state.get("group"), take }).input.focus();
    this.pops.group.place();
  }

  /**
   * @param {HTMLElement} box
   * @param {() => void} close
   */
  async #fillSort(box, close) {
    const take = (/** @type {string} */ key) => {
      close();
      this.state.set({ sort: key && nextSort(this.state.get("sort"), key, !lowerIsBetter(key)) });
    };
    const options = [{ value: "", label: "Newest first" }, ...(await this.keyring.all())];
    new Picker(box, { label: "Sort by", options, value: this.state.get("sort").replace(/^-/, ""), take }).input.focus();
    this.sort.place();
  }

  /** @param {HTMLElement} box */
  async #fillColumns(box) {
    const options = await this.keyring.all();
    const change = (/** @type {string[]} */ columns) => this.state.set({ columns });
    new ColumnPicker(box, { columns: this.shown(), options, change });
    this.pops.columns.place();
  }

  /**
   * @param {HTMLElement} box
   * @param {() => void} close
   */
  #fillColour(box, close) {
    const now = this.state.get("colour");
    for (const [value, label, detail] of COLOURINGS) {
      const disabled = value === "group" && !this.state.get("group");
      const take = () => (this.state.set({ colour: value }), close());
      const input = h("input", {
        type: "radio",
        name: "colouring",
        value,
        checked: value === now,
        disabled,
        onclick: take,
      });
      box.append(
        h(
          "label",
          { class: "choice" },
          input,
          h("span", null, label),
          h("small", null, disabled ? "group first" : detail),
        ),
      );
    }
  }

  /** @param {HTMLElement} box */
  #fillStatuses(box) {
    box.append(h("div", { class: "poph" }, h("b", null, "Show")));
    for (const status of STATUSES) {
      const change = (/** @type {Event} */ event) =>
        this.#toggle(status, /** @type {HTMLInputElement} */ (event.target).checked);
      const input = h("input", {
        type: "checkbox",
        checked: !this.state.get("hide").includes(status),
        onchange: change,
      });
      box.append(h("label", { class: "choice" }, input, h("span", null, status)));
    }
  }

  /**
   * @param {string} status
   * @param {boolean} shown
   */
  #toggle(status, shown) {
    const hide = this.state.get("hide").filter((/** @type {string} */ one) => one !== status);
    this.state.set({ hide: shown ? hide : [...hide, status] });
  }
}

function chip() {
  return h("button", { class: "chip", type: "button" });
}

/**
 * @param {HTMLElement} node
 * @param {string} word
 * @param {string} value
 */
function say(node, word, value) {
  clear(node).append(word, value ? h("b", null, value) : "");
}

/** @param {boolean} some are hidden */
function eye(some) {
  const shape = [
    s("path", { d: "M1.5 8S4 3.6 8 3.6 14.5 8 14.5 8 12 12.4 8 12.4 1.5 8 1.5 8Z" }),
    s("circle", { cx: "8", cy: "8", r: "1.9" }),
  ];
  if (some) shape.push(s("path", { d: "M3 13 13 3" }));
  return s("svg", { class: "eye", viewBox: "0 0 16 16", "aria-hidden": "true" }, ...shape);
}
