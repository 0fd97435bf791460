/** The parts of a filter, for colouring. It judges nothing: that is the server's. */

const PART = /\s+|"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|!=|<=|>=|==|!~|[=<>~:(),]|[^\s"'=<>~:(),!]+|./gsu;
const OPERATORS = new Set(["!=", "<=", ">=", "==", "!~", "=", "<", ">", "~", ":", "in"]);
const JOINING = new Set(["and", "or", "not", "has", "missing"]);

/**
 * @typedef {{text: string, kind: "key" | "operator" | "value" | "word" | "space"}} Token
 */

/**
 * @param {string} text
 * @returns {Token[]}
 */
export function tokens(text) {
  const parts = text.match(PART) ?? [];
  let wanted = "key";
  let listed = false;
  return parts.map((part, place) => {
    /** @type {Token["kind"]} */
    let kind = "value";
    if (!part.trim()) kind = "space";
    else if (isOperator(part, wanted)) [kind, wanted] = ["operator", "value"];
    else if (part === "(" || part === ")" || part === ",") {
      listed = part === "(" ? wanted === "value" : part === "," && listed;
      kind = "operator";
      wanted = listed ? "value" : "key";
    } else if (wanted === "key" && JOINING.has(part.toLowerCase())) kind = "operator";
    else if (wanted === "key") [kind, wanted] = named(parts, place) ? ["key", "operator"] : ["word", "key"];
    else wanted = listed ? "value" : "key";
    return { text: part, kind };
  });
}

/**
 * @param {string} part
 * @param {string} wanted
 */
function isOperator(part, wanted) {
  return OPERATORS.has(part.toLowerCase()) && (part.toLowerCase() !== "in" || wanted === "operator");
}

/**
 * Whether the part at a place names a key: an operator follows, or `has` goes before.
 * @param {string[]} parts
 * @param {number} place
 */
function named(parts, place) {
  const filled = (/** @type {string} */ part) => part.trim();
  const next =
    parts
      .slice(place + 1)
      .find(filled)
      ?.toLowerCase() ?? "";
  const before = parts.slice(0, place).filter(filled).at(-1)?.toLowerCase() ?? "";
  return OPERATORS.has(next) || before === "has" || before === "missing";
}
