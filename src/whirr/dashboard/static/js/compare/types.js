/**
 * What `/ui/compare` answers.
 *
 * @typedef {{key: string, values: any[], missing: number[], differs: boolean}} Row
 * @typedef {{run_id: string, name: string|null, status: string, started_at: string|null, duration_seconds: number|null,
 *   tags: string[], job_id: number|string|null, config: Record<string, any>,
 *   code: {commit: string|null, branch: string|null, dirty: boolean|null},
 *   ending: {word: string, text: string}}} Head
 * @typedef {{runs: Head[], missing: string[], config: Row[], summary: Row[], packages: Row[], environment: Row[],
 *   unrecorded: number[]}} Comparison
 * @typedef {{how: "same"|"files"|"patches"|"unknown", text: string, cut: boolean, notes: string[]}} CodeDiff
 */

export {};
