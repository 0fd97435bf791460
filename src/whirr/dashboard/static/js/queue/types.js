// What the server says of the queue (`/ui/queue`, `/ui/workers`); types only.

/**
 * @typedef {{id: number, run_id: string, name: string, command: string, status: string, tags: string[], priority: number,
 *   gpus: number | null, attempt: number, failures: number, retries: number, submitted_at: string, submitted_by: string,
 *   started_at: string | null, finished_at: string | null, again_of: number | null}} Job
 */

/** @typedef {{id: string, name: string, host: string, health: "alive" | "unseen" | "dead"}} Seen */

/**
 * @typedef {Job & {worker: Seen | null, gpu_ids: string[], elapsed_s: number, timeout_s: number | null, part: number | null,
 *   ends_at: number | null, line: string,
 *   progress: {step: number | null, done: number | null, total: number | null, latest: Record<string, number | string>}}} Running
 */

/**
 * @typedef {Job & {why: string, stuck: boolean, position: number | null, starts_at: number | null,
 *   needs: {id: number, status: string}[], last_cause: string}} Waiting
 */

/** @typedef {Job & {cause: {kind: string | null, text: string}, ran_s: number | null}} Ended */

/** @typedef {{living: number, gpus: {idle: number, all: number}, slots: {idle: number, all: number}}} Room */

/**
 * @typedef {{now: number, counts: Record<string, number>, matching: {waiting: number, ended: number} | null, workers: Room,
 *   start: string, running: Running[], waiting: Waiting[], recent: Ended[]}} Queue
 */

/**
 * @typedef {{id: number, run_id: string, name: string, command: string, status: string, attempt: number, elapsed_s: number,
 *   gpu_ids: string[], part: number | null}} Held
 */

/** @typedef {{id: string, index: number | null, name: string, busy: number | null, mem: number | null, job: number | null}} Gpu */

/**
 * @typedef {Seen & {silent_s: number, slots: number, lease_s: number | null, remote: boolean, pid: number | null,
 *   started_at: string, jobs: Held[], gpus: Gpu[]}} Worker
 */

/**
 * @typedef {Room & {now: number, root: string, start: string, workers: Worker[], queued: number,
 *   next: {id: number, run_id: string, name: string, command: string} | null}} Workers
 */

export {};
