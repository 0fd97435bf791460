// Which curves a panel holds: mostly one metric of each run; of GPUs one metric for each.

/** @typedef {import("./types.js").ChartRun} ChartRun */
/** @typedef {import("./types.js").Source} Source */

/**
 * @typedef {object} Spec a panel
 * @property {string} key names it in the address of the page
 * @property {string} title
 * @property {Source} source
 * @property {{name: string, label: string}[]} metrics
 * @property {number} runs how many runs have it
 * @property {number} points
 */

/**
 * @typedef {object} Subject
 * @property {string} metric
 * @property {string} id of the run at the server
 * @property {ChartRun} run with an id, a name and a colour of its own where there are several metrics
 */

const COLOURS = 10;

/**
 * @param {Spec} spec
 * @param {ChartRun[]} runs
 * @returns {Subject[]}
 */
export function subjects({ metrics }, runs) {
  if (metrics.length === 1) return runs.map((run) => ({ metric: metrics[0].name, id: run.id, run }));
  const alone = runs.length === 1;
  return metrics.flatMap(({ name, label }, index) =>
    runs.map((run) => ({
      metric: name,
      id: run.id,
      run: {
        ...run,
        id: `${run.id} ${name}`,
        name: alone ? label : `${run.name} ${label}`,
        colour: alone ? (index % COLOURS) + 1 : run.colour,
        dash: alone ? Math.floor(index / COLOURS) : run.dash,
        focus: !alone && run.focus,
      },
    })),
  );
}
