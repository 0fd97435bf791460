// Nodes are built, never parsed from text: whatever a run is called, it shows as it is.

/** @typedef {Node | string | number | null | undefined | false} Child */

/**
 * An HTML element.
 *
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, any> | null} [props] `class`, attributes as texts or booleans, `on<event>` functions, `dataset`, `style`
 *   (an object of properties)
 * @param {...(Child | Child[])} children texts and nodes; null, undefined and false are left out
 * @returns {HTMLElementTagNameMap[K]}
 */
export function h(tag, props, ...children) {
  const node = document.createElement(tag);
  apply(node, props);
  fill(node, children);
  return node;
}

/**
 * An SVG element.
 *
 * @template {keyof SVGElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, any> | null} [attrs] as the `props` of `h`
 * @param {...(Child | Child[])} children
 * @returns {SVGElementTagNameMap[K]}
 */
export function s(tag, attrs, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  apply(node, attrs);
  fill(node, children);
  return node;
}

/**
 * The element with an id.
 *
 * @param {string} id
 * @returns {HTMLElement}
 * @throws {Error} there is none
 */
export function byId(id) {
  const node = document.getElementById(id);
  if (!node) throw new Error(`there is no #${id}`);
  return node;
}

/**
 * Take away all that a node holds.
 *
 * @template {Node} T
 * @param {T} node
 * @returns {T} the node
 */
export function clear(node) {
  node.textContent = "";
  return node;
}

/**
 * @param {HTMLElement | SVGElement} node
 * @param {Record<string, any> | null | undefined} props
 */
function apply(node, props) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on") && typeof value === "function") node.addEventListener(name.slice(2).toLowerCase(), value);
    else if (name === "dataset") Object.assign(node.dataset, value);
    else if (name === "style") for (const [key, text] of Object.entries(value)) node.style.setProperty(key, String(text));
    else if (name === "value" && "value" in node) /** @type {HTMLInputElement} */ (node).value = String(value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
}

/**
 * @param {Node} node
 * @param {(Child | Child[])[]} children
 */
function fill(node, children) {
  for (const child of children.flat()) {
    if (child === null || child === undefined || child === false) continue;
    node.appendChild(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}
