// One worker: whether it is there, its GPUs, its jobs.
import { prefix } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { duration, epoch, plural, stamp } from "../lib/format.js";
import { say } from "../queue/list.js";
import { clock, tell } from "../queue/ticking.js";
import { called } from "../queue/words.js";
import { tile } from "./gpu.js";

/** @import {Held, Worker} from "../queue/types.js" */
/** @import {Row} from "../queue/list.js" */

const DOTS = { alive: "dot", unseen: "dot queued", dead: "dot failed" };
const HEALTH = { alive: "online", unseen: "not seen", dead: "gone" };

/** @returns {Row<Worker>} */
export function card() {
  const dot = h("span", { role: "img" });
  const name = h("h2", { class: "mono cut" });
  const host = h("span", { class: "soft cut" });
  const seen = h("span", { class: "seen" });
  const since = h("span", { class: "soft cut" });
  const gpus = h("ul", { class: "gpus", "aria-label": "GPUs" });
  const kinds = h("span", { class: "soft cut" });
  const jobs = h("ul", { class: "held", "aria-label": "Jobs" });
  const slots = h("span", { class: "slots" });
  const node = h(
    "li",
    { class: "worker" },
    h("div", { class: "who" }, h("div", { class: "l1" }, dot, name, host), h("div", { class: "l2" }, seen), h("div", { class: "l2" }, since)),
    h("div", { class: "map" }, gpus, kinds),
    h("div", { class: "work" }, jobs, slots),
  );
  let drawn = "";

  /** @param {Worker} now */
  function update(now) {
    node.classList.toggle("away", now.health !== "alive");
    dot.className = DOTS[now.health];
    dot.setAttribute("aria-label", HEALTH[now.health]);
    say(name, now.name);
    say(host, now.host && now.host !== now.name ? `on ${now.host}` : "");
    health(seen, now);
    say(since, [`since ${stamp(now.started_at)}`, now.remote ? "over HTTP" : ""].filter(Boolean).join(" · "));
    since.title = `${now.id}${now.pid ? `, process ${now.pid}` : ""}; ${now.lease_s === null ? "its leases hold while it lives" : `a lease runs out ${duration(now.lease_s)} after its last sign of life`}`;
    say(kinds, names(now));
    gpus.hidden = !now.gpus.length;
    const key = JSON.stringify([now.gpus, now.health]);
    if (drawn !== key) gpus.replaceChildren(...now.gpus.map((gpu, place) => tile(gpu, place, now, light)));
    drawn = key;
    rows(jobs, now.jobs, light);
    slots.classList.toggle("idle", !now.jobs.length);
    say(slots, taken(now));
  }

  /**
   * Show which GPUs are a job's, and which job has a GPU.
   *
   * @param {number | null} id null: none
   */
  function light(id) {
    for (const one of node.querySelectorAll("[data-job]")) one.classList.toggle("lit", /** @type {HTMLElement} */ (one).dataset.job === String(id));
  }

  return { node, update };
}

/**
 * @param {HTMLElement} node
 * @param {Worker} worker
 */
function health(node, worker) {
  const at = clock() - worker.silent_s;
  node.className = `seen ${worker.health}`;
  if (worker.health === "alive") tell(node, at, { way: "since", before: "online, seen ", after: " ago" });
  else if (worker.health === "unseen") tell(node, at, { way: "since", before: "not seen for " });
  else tell(node, at, { way: "since", before: "gone, last seen ", after: " ago" });
}

/** @param {Worker} worker */
function names({ gpus }) {
  if (!gpus.length) return "no GPU: it runs jobs on the processor";
  const known = [...new Set(gpus.map((gpu) => gpu.name.replace(/^NVIDIA /, "")).filter(Boolean))];
  const used = gpus.filter((gpu) => gpu.job !== null).length;
  return [`${used} of ${plural(gpus.length, "GPU")} given to jobs`, ...known].join(" · ");
}

/** @param {Worker} worker */
function taken({ health: state, jobs, slots }) {
  if (state === "dead") return jobs.length ? "its jobs are queued again as soon as any worker looks" : "whirr doctor --fix forgets it, as does any worker";
  return `${jobs.length} of ${plural(slots, "slot")} taken`;
}

/**
 * @param {HTMLElement} list
 * @param {Held[]} jobs
 * @param {(id: number | null) => void} light
 */
function rows(list, jobs, light) {
  const key = jobs.map((job) => job.id).join();
  if (list.dataset.key !== key) list.replaceChildren(...jobs.map((job) => held(job, light)));
  list.dataset.key = key;
  jobs.forEach((job, place) => refresh(/** @type {HTMLElement} */ (list.children[place]), job));
}

/**
 * @param {Held} job
 * @param {(id: number | null) => void} light
 */
function held(job, light) {
  return h(
    "li",
    { dataset: { job: String(job.id) }, onmouseenter: () => light(job.id), onmouseleave: () => light(null), onfocusin: () => light(job.id), onfocusout: () => light(null) },
    h("a", { class: "cut", href: `${prefix}/runs/${encodeURIComponent(job.run_id)}` }),
    h("span", { class: "soft no" }, `#${job.id}`),
    h("span", { class: "soft about cut" }),
    h("span", { class: "far" }, h("span", { class: "prog" }, h("i")), h("span", { class: "share" })),
    h("span", { class: "time" }),
  );
}

/**
 * @param {HTMLElement} row
 * @param {Held} job
 */
function refresh(row, job) {
  const [name, , about, far, time] = /** @type {HTMLElement[]} */ ([...row.children]);
  const [bar, part] = /** @type {HTMLElement[]} */ ([...far.children]);
  say(name, called(job));
  name.title = job.command;
  say(about, [job.status === "cancelling" ? "stopping" : "", `attempt ${job.attempt}`, job.gpu_ids.length ? plural(job.gpu_ids.length, "GPU") : ""].filter(Boolean).join(" · "));
  bar.hidden = job.part === null;
  /** @type {HTMLElement} */ (bar.firstElementChild).style.width = `${(job.part ?? 0) * 100}%`;
  say(part, job.part === null ? "" : `${Math.floor(job.part * 100)} %`);
  tell(time, epoch(clock() - job.elapsed_s));
  time.title = `attempt ${job.attempt} holds its lease since then`;
}
