// Lists whose rows stay where they are while they change: a row is made once, then told what is new.

/**
 * @template T
 * @typedef {{node: HTMLElement, update: (item: T) => void}} Row
 */

/**
 * @template {{id: number | string}} T
 */
export class List {
  /**
   * @param {HTMLElement} root
   * @param {(item: T) => Row<T>} make
   */
  constructor(root, make) {
    this.root = root;
    this.make = make;
    /** @type {Map<number | string, Row<T>>} */
    this.rows = new Map();
    /** @type {T[]} */
    this.items = [];
  }

  /**
   * Show these items, in this order.
   *
   * @param {T[]} items
   * @param {{hold?: boolean}} [options] hold: somebody is about to press something: rows change, but stay in their places
   */
  show(items, { hold = false } = {}) {
    const known = new Map(items.map((item) => [item.id, item]));
    if (hold && this.items.length) items = this.items.map((item) => known.get(item.id) ?? item);
    const kept = hold ? new Set(items.map((item) => item.id)) : new Set(known.keys());
    for (const [id, row] of this.rows) {
      if (kept.has(id)) continue;
      row.node.remove();
      this.rows.delete(id);
    }
    let next = this.root.firstElementChild;
    for (const item of items) {
      const row = this.rows.get(item.id) ?? this.make(item);
      this.rows.set(item.id, row);
      row.update(item);
      if (row.node === next) next = next.nextElementSibling;
      else this.root.insertBefore(row.node, next);
    }
    this.items = items;
  }
}

/**
 * Give a node a text, unless it has it.
 *
 * @param {HTMLElement} node
 * @param {string} text
 */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
