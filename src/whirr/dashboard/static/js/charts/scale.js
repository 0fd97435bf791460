/** From values to pixels and back. */

export class Scale {
  /**
   * @param {number} lo value at `start`
   * @param {number} hi value at `end`
   * @param {number} start pixels
   * @param {number} end pixels
   * @param {boolean} [log] values must be positive then
   */
  constructor(lo, hi, start, end, log = false) {
    this.lo = lo;
    this.hi = hi;
    this.log = log;
    this.start = start;
    this.end = end;
    this.base = log ? Math.log10(lo) : lo;
    this.factor = (end - start) / ((log ? Math.log10(hi) : hi) - this.base);
  }

  /** How much of the values one pixel is; of a logarithmic scale at its start. */
  get pixel() {
    return Math.abs(this.from(this.start + 1) - this.from(this.start));
  }

  /** @param {number} value */
  to(value) {
    return this.start + ((this.log ? Math.log10(value) : value) - this.base) * this.factor;
  }

  /** @param {number} pixel */
  from(pixel) {
    const value = this.base + (pixel - this.start) / this.factor;
    return this.log ? 10 ** value : value;
  }
}

/**
 * Whether a value has a place on an axis.
 *
 * @param {number} value
 * @param {Scale} scale
 */
export const drawable = (value, scale) => !Number.isNaN(value) && (!scale.log || value > 0);
