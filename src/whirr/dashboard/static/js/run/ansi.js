/**
 * Text as a terminal shows it: colours, carriage returns, backspaces. Pure: gives spans, touches no page.
 *
 * @typedef {{fg: number|string|null, bg: number|string|null, bold: boolean, dim: boolean, italic: boolean,
 *   underline: boolean, inverse: boolean}} Style  a colour is 0..15 of the palette, or `#rrggbb`
 * @typedef {{text: string, style: Style}} Span
 */

/** @type {Readonly<Style>} */
export const PLAIN = Object.freeze({
  fg: null, bg: null, bold: false, dim: false, italic: false, underline: false, inverse: false,
});

/** Characters of a line that are kept; what stands behind is cut. */
export const WIDEST = 4000;
const TAB = 8;

// A control sequence, an operating system command (such as a link), another escape, or a lone control character.
const CONTROL =
  /\x1b\[([0-9;:<=>?]*)[ -/]*([@-~])|\x1b[\]P^_][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]?|[\x00-\x1f\x7f-\x9f]/g;

/** @param {Style} style */
const keyOf = (style) => Object.values(style).join();

/** @type {Map<string, Readonly<Style>>} */
const styles = new Map([[keyOf(PLAIN), PLAIN]]);

/**
 * The one object for a style, so that equal styles are the same.
 *
 * @param {Style} style
 * @returns {Readonly<Style>}
 */
function interned(style) {
  const key = keyOf(style);
  const known = styles.get(key);
  if (known) return known;
  if (styles.size > 5000) for (const old of [...styles.keys()].slice(1)) styles.delete(old); // millions of colours
  const made = Object.freeze({ ...style });
  styles.set(key, made);
  return made;
}

/** The screen of one stream of lines: the style goes on from line to line. */
export class Screen {
  constructor() {
    /** @type {Readonly<Style>} */
    this.style = PLAIN;
  }

  /**
   * A line without its newline, as it is finally seen.
   *
   * @param {string} text
   * @returns {Span[]}
   */
  line(text) {
    const row = new Row();
    let done = 0;
    for (const found of text.matchAll(CONTROL)) {
      row.put(text.slice(done, found.index), this.style);
      done = found.index + found[0].length;
      this.#control(row, found);
    }
    row.put(text.slice(done), this.style);
    return row.spans();
  }

  /** @param {Row} row @param {RegExpMatchArray} found */
  #control(row, found) {
    const [whole, params, final] = found;
    if (whole === "\r") row.column = 0;
    else if (whole === "\b") row.column = Math.max(row.column - 1, 0);
    else if (whole === "\t") row.tab(this.style);
    else if (final === "m") this.style = styled(this.style, params);
    else if (final === "K") row.erase(Number.parseInt(params, 10) || 0);
    else if (final === "G") row.column = Math.max((Number.parseInt(params, 10) || 1) - 1, 0);
    else if (final === "C") row.column += Number.parseInt(params, 10) || 1;
    else if (final === "D") row.column = Math.max(row.column - (Number.parseInt(params, 10) || 1), 0);
  }
}

/** One row of cells with a cursor. */
class Row {
  constructor() {
    this.column = 0;
    /** @type {string[]} */
    this.cells = [];
    /** @type {Readonly<Style>[]} */
    this.styles = [];
    /** @type {Span[]} */
    this.simple = []; // while nothing was overwritten, whole pieces
  }

  /** @param {string} text @param {Readonly<Style>} style */
  put(text, style) {
    if (!text) return;
    if (this.cells.length === 0 && this.column === this.#simpleLength()) {
      this.simple.push({ text, style });
      this.column += text.length;
      return;
    }
    this.#spread();
    while (this.cells.length < Math.min(this.column, WIDEST)) this.#set(this.cells.length, " ", PLAIN);
    for (const letter of text) this.#set(this.column++, letter, style);
  }

  /** @param {Readonly<Style>} style */
  tab(style) {
    this.put(" ".repeat(TAB - (this.column % TAB)), style);
  }

  /** @param {number} how 0: from the cursor on, 1: up to it, 2: all */
  erase(how) {
    this.#spread();
    const from = how === 0 ? this.column : 0;
    const to = how === 1 ? Math.min(this.column + 1, this.cells.length) : this.cells.length;
    if (to === this.cells.length) {
      this.cells.length = this.styles.length = Math.min(from, this.cells.length);
    } else {
      for (let place = from; place < to; place++) this.#set(place, " ", PLAIN);
    }
  }

  /** @returns {Span[]} */
  spans() {
    if (this.cells.length === 0) return cut(this.simple);
    /** @type {Span[]} */
    const found = [];
    this.cells.forEach((letter, place) => {
      const last = found.at(-1);
      if (last && last.style === this.styles[place]) last.text += letter;
      else found.push({ text: letter, style: this.styles[place] });
    });
    return cut(found);
  }

  /** @param {number} place @param {string} letter @param {Readonly<Style>} style */
  #set(place, letter, style) {
    if (place > WIDEST) return;
    this.cells[place] = letter;
    this.styles[place] = style;
  }

  #simpleLength() {
    return this.simple.reduce((sum, span) => sum + span.text.length, 0);
  }

  /** From whole pieces to cells. */
  #spread() {
    const pieces = this.simple;
    if (!pieces.length) return;
    this.simple = [];
    let place = 0;
    for (const { text, style } of pieces) for (const letter of text) this.#set(place++, letter, style);
  }
}

/** @param {Span[]} spans @returns {Span[]} the same, no wider than WIDEST */
function cut(spans) {
  let left = WIDEST;
  /** @type {Span[]} */
  const found = [];
  for (const span of spans) {
    if (left <= 0) {
      found.push({ text: " …", style: interned({ ...PLAIN, dim: true }) });
      break;
    }
    found.push(span.text.length <= left ? span : { text: span.text.slice(0, left), style: span.style });
    left -= span.text.length;
    if (left < 0) found.push({ text: " …", style: interned({ ...PLAIN, dim: true }) });
    if (left < 0) break;
  }
  return found;
}

/** What single numbers of a "select graphic rendition" sequence change. @type {Record<number, Partial<Style>>} */
const SIMPLE = {
  0: PLAIN, 1: { bold: true }, 2: { dim: true }, 3: { italic: true }, 4: { underline: true }, 7: { inverse: true },
  21: { bold: false }, 22: { bold: false, dim: false }, 23: { italic: false }, 24: { underline: false },
  27: { inverse: false }, 39: { fg: null }, 49: { bg: null },
};

/**
 * A style after a "select graphic rendition" sequence.
 *
 * @param {Readonly<Style>} style
 * @param {string} params such as `1;38;5;208`
 * @returns {Readonly<Style>}
 */
function styled(style, params) {
  const numbers = params.split(/[;:]/).map((text) => Number.parseInt(text, 10) || 0);
  const next = { ...style };
  for (let place = 0; place < numbers.length; place++) {
    const number = numbers[place];
    if (number === 38 || number === 48) {
      const [colour, used] = extended(numbers.slice(place + 1));
      if (colour !== null) next[number === 38 ? "fg" : "bg"] = colour;
      place += used;
    } else if (number in SIMPLE) Object.assign(next, SIMPLE[number]);
    else if (number >= 30 && number <= 37) next.fg = number - 30;
    else if (number >= 40 && number <= 47) next.bg = number - 40;
    else if (number >= 90 && number <= 97) next.fg = number - 82;
    else if (number >= 100 && number <= 107) next.bg = number - 92;
  }
  return interned(next);
}

/**
 * The colour behind 38 or 48, and how many numbers it took.
 *
 * @param {number[]} numbers
 * @returns {[number|string|null, number]}
 */
function extended(numbers) {
  if (numbers[0] === 5) return [indexed(numbers[1] ?? 0), 2];
  if (numbers[0] === 2) return [hex(numbers.slice(1, 4)), 4];
  return [null, numbers.length];
}

/** @param {number} index of the 256 colours @returns {number|string} */
function indexed(index) {
  if (index < 16) return index;
  if (index > 255) return 7;
  if (index >= 232) return hex(Array(3).fill(8 + (index - 232) * 10));
  const steps = [0, 95, 135, 175, 215, 255];
  const at = index - 16;
  return hex([steps[Math.floor(at / 36)], steps[Math.floor(at / 6) % 6], steps[at % 6]]);
}

/** @param {number[]} parts red, green, blue */
function hex(parts) {
  const two = (/** @type {number} */ part) => Math.min(Math.max(part || 0, 0), 255).toString(16).padStart(2, "0");
  return `#${two(parts[0])}${two(parts[1])}${two(parts[2])}`;
}
