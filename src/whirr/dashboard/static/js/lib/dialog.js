// Questions to people, in the browser's own dialogs: focus stays within, Escape closes, focus goes back.
import { h } from "./dom.js";

/**
 * @typedef {{name: string, label: string, value?: string, type?: string, hint?: string, required?: boolean,
 *   options?: (string | {value: string, label: string})[], rows?: number, mono?: boolean, pattern?: string,
 *   min?: number, max?: number, step?: number | "any"}} Field
 */

/**
 * Ask whether to do something.
 *
 * @param {{title: string, text?: string, action: string, danger?: boolean}} asked action: the word on the button;
 *   danger: what is done cannot be undone, and Enter alone does not do it
 * @returns {Promise<boolean>}
 */
export async function confirm({ title, text = "", action, danger = false }) {
  return (await form({ title, text, action, danger, fields: [] })) !== null;
}

/**
 * Ask for values.
 *
 * @param {{title: string, text?: string, action: string, danger?: boolean, wide?: boolean, fields: Field[],
 *   check?: (values: Record<string, string>) => string | null | Promise<string | null>}} asked `check` says what is wrong,
 *   or does what is wanted and gives null
 * @returns {Promise<Record<string, string> | null>} the values by name; null: it was given up
 */
export function form({ title, text = "", action, danger = false, wide = false, fields, check }) {
  const inputs = fields.map(inputOf);
  const wrong = h("p", { class: "alert", role: "alert", hidden: true });
  const does = h("button", { class: danger ? "btn p d" : "btn p", type: "submit" }, action);
  const keep = h("button", { class: "btn", type: "button", onclick: () => box.close() }, danger ? "Keep" : "Cancel");
  const body = h(
    "form",
    { method: "dialog" },
    h("h2", { id: "dialog-title" }, title),
    text && h("p", null, text),
    fields.map((field, index) => labelled(field, inputs[index])),
    wrong,
    h("div", { class: "act" }, keep, does),
  );
  const box = h("dialog", { class: wide ? "wide" : "", "aria-labelledby": "dialog-title" }, body);
  const changed = () => fields.some(({ value = "" }, index) => inputs[index].value !== String(value));
  const stay = (/** @type {Event} */ event) => changed() && event.preventDefault();
  return new Promise((resolve) => {
    /** @type {Record<string, string> | null} */
    let given = null;
    body.addEventListener("submit", async (event) => {
      event.preventDefault();
      const values = Object.fromEntries(inputs.map((input) => [input.name, input.value]));
      does.disabled = true;
      const problem = (await check?.(values)) ?? null;
      does.disabled = false;
      wrong.hidden = !problem;
      wrong.textContent = problem ?? "";
      if (problem) return;
      given = values;
      box.close();
    });
    addEventListener("beforeunload", stay);
    open(box, () => {
      removeEventListener("beforeunload", stay);
      resolve(given);
    });
    (inputs[0] ?? (danger ? keep : does)).focus();
  });
}

/**
 * Open a dialog, which is taken away when it is closed; a click beside it closes it.
 *
 * @param {HTMLDialogElement} box
 * @param {() => void} [closed]
 */
export function open(box, closed) {
  const before = document.activeElement;
  box.addEventListener("mousedown", (event) => {
    if (event.target === box && !inside(box, event)) box.close();
  });
  box.addEventListener("close", () => {
    const lost = document.activeElement === document.body || box.contains(document.activeElement);
    box.remove();
    // The browser has given the focus back, mostly; and a key pressed since then may have taken it elsewhere.
    if (lost && (before instanceof HTMLElement || before instanceof SVGElement)) before.focus();
    closed?.();
  });
  document.body.append(box);
  box.showModal();
}

/**
 * @param {HTMLElement} box
 * @param {MouseEvent} event
 */
function inside(box, event) {
  const { left, right, top, bottom } = box.getBoundingClientRect();
  return event.clientX >= left && event.clientX <= right && event.clientY >= top && event.clientY <= bottom;
}

/**
 * @param {Field} field
 * @returns {HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement}
 */
function inputOf(field) {
  const { name, value = "", required = false } = field;
  const common = { class: field.mono ? "field mono" : "field", name, required, "aria-describedby": field.hint && `${name}-hint` };
  if (field.options) {
    const choices = field.options.map((one) => (typeof one === "string" ? { value: one, label: one } : one));
    const list = choices.map((one) => h("option", { value: one.value, selected: one.value === value }, one.label));
    return h("select", common, list);
  }
  if (field.rows) return h("textarea", { ...common, rows: field.rows, value });
  const { type = "text", pattern, min, max, step } = field;
  return h("input", { ...common, type, pattern, min, max, step, autocomplete: "off", value });
}

/**
 * @param {Field} field
 * @param {HTMLElement} input
 */
function labelled(field, input) {
  const hint = field.hint && h("div", { class: "hint", id: `${field.name}-hint` }, field.hint);
  return h("div", null, h("label", null, field.label, input), hint);
}
