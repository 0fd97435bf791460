/** The strip at the foot: each worker, its GPUs and what it runs; what comes next. */
import { getJson, prefix } from "../lib/api.js";
import { clear, h } from "../lib/dom.js";
import { plural } from "../lib/format.js";

const SHOWN = 5;
const SOON_MS = 1000;
const MOST_BOXES = 16;

/**
 * @typedef {{id: string, index: number | null, name: string | null, busy: number | null, mem: number | null, job: number | null}} Gpu
 * @typedef {{id: number, run_id: string, name: string | null, command: string}} Named
 * @typedef {{idle: number, all: number}} Room
 * @typedef {{
 *   id: string, name: string, host: string, health: string, silent_s: number | null, slots: number, jobs: Named[], gpus: Gpu[]
 * }} Worker
 * @typedef {{workers: Worker[], living: number, gpus: Room, slots: Room, queued: number, next: Named | null}} Fleet
 */

/** Draws the workers; asks again when told that they changed. */
export class WorkersStrip {
  #drawn = "";
  #timer = 0;

  /** @param {HTMLElement} root */
  constructor(root) {
    this.root = root;
  }

  /** Look again before long, however often it is said. */
  soon() {
    this.#timer ||= window.setTimeout(() => void this.refresh(), SOON_MS);
  }

  /** Look again. */
  async refresh() {
    this.#timer = 0;
    try {
      const fleet = /** @type {Fleet} */ (await getJson("/ui/workers"));
      const { workers, living, gpus, slots, queued, next } = fleet;
      const now = JSON.stringify([workers.map(told), living, gpus, slots, queued, next]);
      if (now === this.#drawn) return;
      this.#drawn = now;
      this.#draw(fleet);
    } catch (error) {
      console.debug(error); // the live dot says when the server is away; the strip keeps what it knew
    }
  }

  /** @param {Fleet} fleet */
  #draw(fleet) {
    const there = fleet.workers.filter((worker) => worker.health === "alive" || worker.jobs.length);
    const head = h(
      "a",
      { class: "wh", href: `${prefix}/workers` },
      h("b", null, "Workers"),
      h("span", null, summary(fleet)),
    );
    const lines = there.slice(0, SHOWN).map(workerLine);
    const more =
      there.length > SHOWN
        ? [h("a", { class: "more", href: `${prefix}/workers` }, `and ${there.length - SHOWN} more`)]
        : [];
    clear(this.root).append(head, h("ul", null, ...lines), ...more);
    this.root.hidden = false;
  }
}

/**
 * What is drawn of a worker: not how long it has been silent, which changes all the time.
 * @param {Worker} worker
 */
function told({ id, name, host, health, slots, jobs, gpus }) {
  return [id, name, host, health, slots, jobs.map((job) => [job.id, job.name]), gpus.map((gpu) => [gpu.job, gpu.busy])];
}

/** @param {Fleet} fleet */
function summary({ living, gpus, slots, queued, next }) {
  if (!living) return queued ? `none online; ${plural(queued, "job waits", "jobs wait")}` : "none online";
  const [room, word] = gpus.all ? [gpus, "GPU"] : [slots, "slot"];
  const parts = [`${living} online`, `${room.all - room.idle} of ${plural(room.all, word)} busy`];
  if (next) parts.push(`next in queue: ${jobName(next)}`);
  else if (queued) parts.push(`${queued} queued`);
  return parts.join(" · ");
}

/** @param {Worker} worker */
function workerLine(worker) {
  const away = worker.health !== "alive";
  const title = `${worker.name} on ${worker.host}: ${worker.health}`;
  const jobs = worker.jobs.map(jobName);
  const words = jobs.length > 1 ? plural(jobs.length, "job") : (jobs[0] ?? "idle");
  const doing = h(
    "span",
    { class: "cut", title: jobs.join(", ") || null },
    away ? `${worker.health}, ${words}` : words,
  );
  return h(
    "li",
    { class: away ? "w away" : "w", title },
    h("span", { class: "mono cut" }, worker.name),
    boxes(worker),
    doing,
  );
}

/**
 * GPUs as boxes, darker the busier; of a worker without GPUs its slots.
 * @param {Worker} worker
 */
function boxes(worker) {
  const slots = Array.from({ length: worker.slots }, (_, place) => ({
    busy: null,
    job: place < worker.jobs.length ? 1 : null,
  }));
  const shown = worker.gpus.length ? worker.gpus : slots;
  const used = shown.filter((one) => one.job !== null).length;
  const label = `${used} of ${plural(shown.length, worker.gpus.length ? "GPU" : "slot")} busy`;
  const box = h("span", { class: "gp", role: "img", "aria-label": label, title: label });
  box.style.setProperty("--boxes", String(Math.max(8, Math.min(shown.length, MOST_BOXES))));
  for (const one of shown.slice(0, MOST_BOXES)) {
    const node = h("i", { class: one.job === null ? "free" : "used" });
    if (one.job !== null) node.style.opacity = String(0.3 + 0.6 * (one.busy ?? 1));
    box.append(node);
  }
  return box;
}

/** @param {Named} job */
function jobName(job) {
  return job.name || `job ${job.id}`;
}
