// The logs of a run: what it prints now, and where there are several, one of them.
import { clear, h } from "../lib/dom.js";
import { bytes } from "../lib/format.js";
import { LogView } from "./log.js";

/** @typedef {import("./types.js").About} About */

const USUAL = "output.log";
const LIVE = new Set(["running", "queued", "cancelling"]);

/** @param {string} runId @param {import("../lib/state.js").UrlState} state @returns {import("./types.js").Pane} */
export function logsPane(runId, state) {
  const choice = h("select", { class: "field", "aria-label": "Which log" });
  const bar = h("div", { class: "lgs-bar" }, choice);
  const body = h("div", { class: "lgs-body" });
  const element = h("div", { class: "lgs" }, bar, body);
  /** @type {LogView|null} */
  let view = null;
  let shown = "";
  const show = (/** @type {string} */ path, /** @type {boolean} */ live) => {
    const key = `${path} ${live}`;
    if (key === shown) return;
    if (view && shown === `${path} true` && !live) {
      shown = key;
      return view.ended();
    }
    view?.destroy();
    shown = key;
    view = new LogView(clear(body), runId, { path, live });
  };
  choice.addEventListener("change", () => state.set({ log: choice.value }, { push: true }));
  /** @type {About|null} */
  let known = null;
  const draw = () => {
    if (!known) return;
    const wanted = state.get("log");
    const logs = known.files.filter((file) => file.path === USUAL || /\.(log|out|err)$/.test(file.path));
    bar.hidden = logs.length < 2 && wanted === USUAL;
    clear(choice).append(...optionsOf(logs, wanted));
    show(wanted, LIVE.has(known.run.status) && !wanted.startsWith("attempts/"));
  };
  state.on((changed) => changed.has("log") && draw());
  return { element, update: (about) => { known = about; draw(); } };
}

/** @param {import("./types.js").FileFacts[]} logs @param {string} wanted */
function optionsOf(logs, wanted) {
  const paths = [...new Set([USUAL, ...logs.map((file) => file.path), wanted])];
  const sizes = new Map(logs.map((file) => [file.path, file.size]));
  return paths.map((path) => h("option", { value: path, selected: path === wanted }, wordsOf(path, sizes.get(path))));
}

/** @param {string} path @param {number|undefined} size */
function wordsOf(path, size) {
  const earlier = /^attempts\/(\d+)\/output\.log$/.exec(path);
  const name = earlier ? `attempt ${earlier[1]}` : path === USUAL ? "the output" : path;
  return size === undefined ? name : `${name}, ${bytes(size)}`;
}
