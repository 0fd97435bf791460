// The workers page: who works, on what, and what is idle.
import { prefix } from "../lib/api.js";
import { byId, clear, h } from "../lib/dom.js";
import { plural } from "../lib/format.js";
import { Feed } from "../queue/feed.js";
import { List, say } from "../queue/list.js";
import { command, notices } from "../queue/notices.js";
import { setClock } from "../queue/ticking.js";
import { called } from "../queue/words.js";
import { card } from "./card.js";

/** @import {Workers, Worker} from "../queue/types.js" */

const WORDS = { alive: "online", unseen: "not seen", dead: "gone" };
const ORDER = ["alive", "unseen", "dead"];

/** @type {List<Worker>} */
const list = new List(byId("workers"), card);

/** @param {Workers} found */
function show(found) {
  setClock(found.now);
  const order = (/** @type {Worker} */ one) => ORDER.indexOf(one.health);
  list.show([...found.workers].sort((a, b) => order(a) - order(b) || a.name.localeCompare(b.name, "en", { numeric: true }) || a.started_at.localeCompare(b.started_at)));
  sum(found);
  next(found);
  start(found);
  byId("main").dataset.ready = "true";
}

/** @param {Workers} found */
function sum(found) {
  const parts = ORDER.map((health) => {
    const count = found.workers.filter((worker) => worker.health === health).length;
    return count ? `${count} ${WORDS[/** @type {keyof typeof WORDS} */ (health)]}` : "";
  });
  if (found.gpus.all) parts.push(`${found.gpus.all - found.gpus.idle} of ${plural(found.gpus.all, "GPU")} busy`);
  if (found.slots.all) parts.push(`${found.slots.all - found.slots.idle} of ${plural(found.slots.all, "slot")} taken`);
  say(byId("sum"), parts.filter(Boolean).join(" · ") || "no worker");
}

/** @param {Workers} found */
function next(found) {
  const words = found.queued ? `${plural(found.queued, "job")} ${found.queued === 1 ? "waits" : "wait"}` : "nothing waits";
  say(byId("next"), found.next ? `next in the queue: ${called(found.next)} · ${words}` : words);
}

/** @param {Workers} found */
function start(found) {
  const place = byId("start");
  const key = `${found.living > 0} ${found.workers.length > 0} ${found.start}`;
  if (place.dataset.key === key) return;
  place.dataset.key = key;
  clear(place).append(found.living ? another(found) : nobody(found));
}

/** @param {Workers} found */
function another({ start }) {
  return h("div", { class: "another" }, h("span", null, "Another worker, on this machine:"), command(start), elsewhere());
}

/** @param {Workers} found */
function nobody({ start, workers, queued }) {
  const waits = queued ? ` ${plural(queued, "job")} ${queued === 1 ? "waits" : "wait"} for one.` : "";
  return h(
    "div",
    { class: "empty" },
    h("h2", null, workers.length ? "No worker is online" : "No worker is running"),
    h("p", null, `A worker takes jobs from the queue and runs them, one on each GPU.${waits} Start one on the machine where the folder lies:`),
    command(start),
    h("p", null, "It runs until it is stopped; with --drain until nothing is left to do."),
    elsewhere(),
  );
}

/** How a worker of another machine finds this server; what is reached by its own machine's name only is reached by none. */
function elsewhere() {
  if (byId("fleet").dataset.own === "yes" || /^(localhost|127\..*|\[::1\])$/.test(location.hostname)) return "";
  const url = location.origin + prefix;
  return h("div", { class: "elsewhere" }, h("span", null, "On another machine, after "), h("code", { class: "mono" }, `whirr login ${url}`), h("span", null, ":"), command(`whirr worker --server ${url}`));
}

/** @type {Feed<Workers>} */
const feed = new Feed("/ui/workers", ["queue", "workers"], () => ({}), show, (error) => notices(byId("trouble"), { error }));
feed.now();
