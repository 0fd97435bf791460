/**
 * What the parts of the charts hand to one another. This module holds types only.
 *
 * @typedef {object} JobEvent
 * @property {string} kind queued, started, requeued, ended, ...
 * @property {number} at seconds since 1970
 * @property {string} [text]
 *
 * @typedef {object} ChartRun
 * @property {string} id
 * @property {string} name
 * @property {number|null} colour 1..10, or null: grey context
 * @property {string|null} group
 * @property {number} dash 0 solid, 1 dashed, 2 dotted
 * @property {string} status
 * @property {boolean} focus
 * @property {Record<string, unknown>} config
 * @property {JobEvent[]} [events]
 *
 * @typedef {"metrics"|"system"} Source
 *
 * @typedef {object} Metric one line of `/ui/metrics`
 * @property {string} name
 * @property {number} runs how many of the runs have it
 * @property {number} points of all of them together
 * @property {Source} source
 *
 * @typedef {object} Query what a panel asks the server for
 * @property {string} metric
 * @property {Source} source
 * @property {string} x step, time, relative or metric:<name>
 * @property {number|null} from
 * @property {number|null} to
 * @property {number} points at most, of each run
 *
 * @typedef {object} Series one run's curve as the server sent it
 * @property {string} run
 * @property {Float64Array} x ascending
 * @property {Float32Array|Float64Array} y NaN: a gap
 * @property {number} total values that the drawn points stand for
 * @property {number} first x of the first value
 * @property {number} last x of the last value
 * @property {number|null} lastY
 * @property {[number, string][]} nonfinite x and NaN, Infinity or -Infinity
 * @property {number} nonfiniteTotal
 * @property {number[]} restarts where a step went back or a new attempt began
 * @property {number|null} zero when x is 0, in seconds since 1970, on an axis of elapsed time
 * @property {string} version changes with the data
 *
 * @typedef {object} View how all panels of a board are drawn
 * @property {string} x
 * @property {[number, number]|null} zoom on the x axis
 * @property {number} smooth 0 to 0.99
 * @property {boolean} raw the raw line as a ghost behind a smoothed one
 * @property {boolean} logy
 * @property {boolean} clip
 * @property {boolean} mean groups as mean and standard deviation
 *
 * @typedef {object} Line what is drawn: a run, or the mean of a group
 * @property {string} id
 * @property {string} label
 * @property {number|null} colour
 * @property {number} dash
 * @property {boolean} focus
 * @property {boolean} live its run goes on
 * @property {ArrayLike<number>} x
 * @property {ArrayLike<number>} y smoothed, if so wished
 * @property {ArrayLike<number>|null} raw the same before smoothing, when it is to be drawn too
 * @property {ArrayLike<number>|null} sd half the width of the band
 * @property {number} count runs in it
 * @property {Series|null} series
 * @property {ChartRun|null} run
 *
 * @typedef {{at: number, text: string}} Tick
 * @typedef {{left: number, top: number, right: number, bottom: number}} Box
 *
 * @typedef {object} Excursion a stretch of a line beyond the drawn range of y
 * @property {number} x where it is farthest
 * @property {boolean} above
 * @property {boolean} start the line begins with it
 * @property {boolean} whole nothing of the line is within the range
 *
 * @typedef {object} Mark
 * @property {number} x
 * @property {"nan"|"up"|"down"|"restart"|"clip"|"event"} kind
 * @property {boolean} above for clip
 * @property {number|null} colour
 * @property {string} text
 *
 * @typedef {object} Label at the end of a line
 * @property {Line} line
 * @property {string} name
 * @property {string} value
 * @property {number} x where the line ends, in pixels
 * @property {number} y
 * @property {number} textY
 */

export {};
