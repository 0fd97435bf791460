/**
 * What `/ui/run/{id}` answers.
 *
 * @typedef {{kind: string, message: string, type?: string, traceback?: string, exit_code?: number, signal?: string}} Cause
 * @typedef {{last: any, min: number|null, max: number|null, count: number, nonfinite: number}} Metric
 * @typedef {{run_id: string, name: string|null, status: string, cause: Cause|null, started_at: string|null,
 *   finished_at: string|null, last_seen_at: string|null, duration_seconds: number|null, git_info: Record<string, any>|null,
 *   job_id: number|string|null, tags: string[], config: Record<string, any>, summary: Record<string, any>,
 *   metrics: Record<string, Metric>, path: string, problems: string[], environment: Record<string, any>|null,
 *   job: Record<string, any>|null, dropped_records: number, system: Record<string, any>}} RunFacts
 * @typedef {{path: string, size: number, modified: string, kind: "text"|"image"|"json"|"csv"|"other"}} FileFacts
 * @typedef {{number: number, worker?: string, gpus?: string[], started_at?: string, finished_at?: string|null,
 *   seconds?: number|null, outcome?: string|null, cause?: Cause|null, usage?: Record<string, number>, files: string[],
 *   output: string|null}} AttemptFacts
 * @typedef {{kind: string, at: number, text: string}} EventFacts
 * @typedef {{step: number|null, done: number|null, total: number|null, latest: Record<string, any>, share: number|null}} Progress
 * @typedef {{run: RunFacts, now: number, last_seen_at: string|null,
 *   ending: {word: string, text: string, detail: {text: string, lines: number}|null}, notes: string, tags: string[],
 *   job: Record<string, any>|null, attempts: AttemptFacts[], events: EventFacts[], packages: [string, string][]|null,
 *   files: FileFacts[], file_count: number, git: Record<string, any>|null, code_changes: Record<string, any>|null,
 *   progress: Progress}} About
 *
 * A pane of the page: built when it is first looked at, told of every change after that.
 *
 * @typedef {{element: HTMLElement, update: (about: About) => void}} Pane
 */

export {};
