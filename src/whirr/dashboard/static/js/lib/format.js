// Values in words: short, aligned, the same everywhere.

/**
 * A number with few digits; what is no number as it is.
 *
 * @param {unknown} value a number, a text such as "NaN", a boolean, null
 * @param {number} [digits] decimals of a number below ten
 * @returns {string}
 */
export function number(value, digits = 4) {
  if (value === null || value === undefined) return "";
  if (typeof value !== "number") return String(value);
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "∞" : "−∞";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e7) return sign(value.toLocaleString("en-US"));
  if (size >= 1e7 || size < 1e-3) return sign(exponent(value, digits));
  // As many decimals for 1.07 as for 0.0118, so that they line up in a column.
  const decimals = size < 10 ? digits : Math.max(digits - Math.floor(Math.log10(size)), 0);
  const exactly = Math.min(decimals, 20);
  return sign(value.toLocaleString("en-US", { minimumFractionDigits: exactly, maximumFractionDigits: exactly }));
}

/**
 * @param {number} value
 * @param {number} digits
 */
function exponent(value, digits) {
  const [mantissa, power] = value.toExponential(Math.max(digits - 1, 0)).split("e");
  return `${mantissa.includes(".") ? mantissa.replace(/\.?0+$/, "") : mantissa}e${power.replace("+", "")}`;
}

/** @param {string} text */
function sign(text) {
  return text.startsWith("-") ? `−${text.slice(1)}` : text;
}

/**
 * A duration: `48 s`, `12 min`, `1 h 12 min`, `3 d 4 h`.
 *
 * @param {number | null | undefined} seconds
 * @returns {string}
 */
export function duration(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "";
  if (seconds < 0.9995) return `${Math.max(Math.round(seconds * 1000), 0)} ms`;
  if (seconds < 59.95) return `${seconds < 9.995 ? +seconds.toFixed(1) : Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return parts(hours, "h", minutes % 60, "min");
  const whole = Math.round(seconds / 3600);
  return parts(Math.floor(whole / 24), "d", whole % 24, "h");
}

/**
 * @param {number} large
 * @param {string} unit
 * @param {number} small
 * @param {string} smaller
 */
function parts(large, unit, small, smaller) {
  return small ? `${large} ${unit} ${small} ${smaller}` : `${large} ${unit}`;
}

/**
 * How long ago: `now`, `12 s`, `9 m`, `3 h`, `5 d`, `7 w`, `2 y`.
 *
 * @param {string | number | null | undefined} moment a UTC stamp, or seconds since 1970
 * @param {number} [now] seconds since 1970, of the server's clock
 * @returns {string}
 */
export function age(moment, now = Date.now() / 1000) {
  const at = epoch(moment);
  if (at === null) return "";
  const seconds = now - at;
  if (seconds < 1) return "now";
  /** @type {[number, string, number][]} */
  const units = [[1, "s", 60], [60, "m", 3600], [3600, "h", 86400], [86400, "d", 1209600], [604800, "w", 31557600]];
  for (const [length, unit, limit] of units) if (seconds < limit) return `${Math.floor(seconds / length)} ${unit}`;
  return `${Math.floor(seconds / 31557600)} y`;
}

/**
 * Seconds since 1970 of a UTC stamp; a number is that already.
 *
 * @param {string | number | null | undefined} moment
 * @returns {number | null} null: it is no moment
 */
export function epoch(moment) {
  if (typeof moment === "number") return Number.isFinite(moment) ? moment : null;
  if (!moment) return null;
  const zoned = /(Z|[+-]\d\d:?\d\d)$/.test(moment) ? moment : `${moment}Z`;
  const at = Date.parse(zoned) / 1000;
  return Number.isNaN(at) ? null : at;
}

/**
 * A size: `812 B`, `41.5 kB`, `1.94 GB`.
 *
 * @param {number | null | undefined} count
 * @returns {string}
 */
export function bytes(count) {
  if (count === null || count === undefined || !Number.isFinite(count)) return "";
  let size = count;
  for (const unit of ["B", "kB", "MB", "GB", "TB"]) {
    if (size < 999.5 || unit === "TB") return `${unit === "B" ? size : +size.toPrecision(3)} ${unit}`;
    size /= 1000;
  }
  return "";
}

/**
 * An amount of memory, which comes in powers of two: a card of 81,920 MiB has `80 GiB`.
 *
 * @param {number | null | undefined} count bytes
 */
export function memory(count) {
  if (count === null || count === undefined || !Number.isFinite(count)) return "";
  const mebibytes = count / 2 ** 20;
  return mebibytes < 1023.5 ? `${+mebibytes.toPrecision(3)} MiB` : `${+(mebibytes / 1024).toPrecision(3)} GiB`;
}

/**
 * A moment in the time zone of who looks: `10:41:07` of today, else `23 Jan 10:41`, with the year where it is another.
 *
 * @param {string | number | null | undefined} moment a UTC stamp, or seconds since 1970
 * @param {Date} [today]
 * @returns {string} what was given, where that is no moment
 */
export function stamp(moment, today = new Date()) {
  const at = epoch(moment);
  if (at === null) return moment ? String(moment) : "";
  const date = new Date(at * 1000);
  const clock = date.toLocaleTimeString("en-GB");
  if (date.toDateString() === today.toDateString()) return clock;
  /** @type {Intl.DateTimeFormatOptions} */
  const shown = { day: "numeric", month: "short" };
  if (date.getFullYear() !== today.getFullYear()) shown.year = "numeric";
  return `${date.toLocaleDateString("en-GB", shown)} ${clock.slice(0, 5)}`;
}

/**
 * `1 run`, `22 runs`.
 *
 * @param {number} count
 * @param {string} word in the singular
 * @param {string} [many] the plural, where it is not the word with an s
 * @returns {string}
 */
export function plural(count, word, many = `${word}s`) {
  return `${count.toLocaleString("en-US")} ${count === 1 ? word : many}`;
}
