/**
 * What the table's route answers, and what the parts of the Runs page hand to one another. Types only.
 *
 * @typedef {number | string | boolean | null} Cell
 * @typedef {{key: string, room?: string, lo: number | null, hi: number | null, kind: "number" | "text"}} Column
 * @typedef {{mean: number, sd: number | null, n: number} | null} Spread
 * @typedef {{value: Cell, label: string, count: number, start: number, cells: Spread[]}} Group
 * @typedef {{
 *   id: string, name: string | null, status: string, cause: string | null, started_at: string | null,
 *   duration_seconds: number | null, job_id: string | null, tags: string[], group: string | null,
 *   progress: number | null, logged: boolean, cells: Cell[]
 * }} Row
 * @typedef {{
 *   every: number, chosen: number, running: number, version: string, now: number,
 *   reading: {done: number, of: number} | null, remarks: Remark[], columns: Column[], groups: Group[], rows: Row[]
 * }} Answer
 * @typedef {{filter: string, hide: string[], sort: string, group: string, columns: string[]}} Question
 * @typedef {{text: string, hint: string | null, at: [number, number]}} Remark
 * @typedef {{colour: number | null, dash: 0 | 1 | 2, pinned: boolean}} Mark
 * @typedef {{
 *   id: string, name: string, colour: number | null, group: string | null, dash: 0 | 1 | 2, status: string,
 *   focus: boolean, config: Record<string, unknown>
 * }} ChartRun
 * @typedef {{
 *   fields: string[], tags: string[], summary: {key: string}[] | string[],
 *   metrics: {key: string, runs: number}[],
 *   config: {key: string, runs: number, values: Cell[], lo: number | null, hi: number | null}[]
 * }} Keys
 */
export {};
