// The text of an array, as `array_out` prints it, to JSON. https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO

/** What an element's text becomes; returns JSON. */
export type ElementJson = (text: string) => string;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN = 0x7b;
const CLOSE = 0x7d;

/**
 * A function from an array's text to a JSON array, nested as the array is. Lower bounds (`[0:1]={1,2}`) have no place in
 * JSON and are left out. A text that is no array's becomes a JSON string; it never throws.
 */
export function arrayJson(element: ElementJson, delimiter: string): (text: string) => string {
  const delimiterCode = delimiter.charCodeAt(0);
  return (text) => {
    const start = text.charCodeAt(0) === OPEN ? 0 : text.indexOf("=") + 1;
    return convert(text, start, delimiterCode, element) ?? JSON.stringify(text);
  };
}

/** null: the text is not an array from `at` to its end. */
function convert(text: string, at: number, delimiter: number, element: ElementJson): string | null {
  let json = "";
  let depth = 0;
  // Whether an element or a nested array may begin here, whether one has just ended, and whether one must follow.
  let wanted = true;
  let ended = false;
  let owed = false;
  const length = text.length;
  while (at < length) {
    const code = text.charCodeAt(at);
    if (code === OPEN) {
      if (!wanted) return null;
      depth += 1;
      json += "[";
      ended = false;
      owed = false;
      at += 1;
    } else if (code === CLOSE) {
      if (depth === 0 || owed) return null;
      depth -= 1;
      json += "]";
      at += 1;
      wanted = false;
      ended = true;
      if (depth === 0) return at === length ? json : null;
    } else if (depth === 0) {
      return null;
    } else if (code === delimiter) {
      if (!ended) return null;
      json += ",";
      wanted = true;
      ended = false;
      owed = true;
      at += 1;
    } else if (!wanted) {
      return null;
    } else if (code === QUOTE) {
      const end = closingQuote(text, at + 1);
      if (end < 0) return null;
      json += element(unescaped(text.slice(at + 1, end)));
      at = end + 1;
      wanted = false;
      ended = true;
      owed = false;
    } else {
      const end = endOfBare(text, at, delimiter);
      const bare = text.slice(at, end);
      json += bare === "NULL" ? "null" : element(unescaped(bare));
      at = end;
      wanted = false;
      ended = true;
      owed = false;
    }
  }
  return null;
}

function closingQuote(text: string, at: number): number {
  for (; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) return at;
    if (code === BACKSLASH) at += 1;
  }
  return -1;
}

function endOfBare(text: string, at: number, delimiter: number): number {
  for (; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === delimiter || code === CLOSE || code === OPEN || code === QUOTE) return at;
    if (code === BACKSLASH) at += 1;
  }
  return text.length;
}

function unescaped(text: string): string {
  return text.includes("\\") ? text.replaceAll(/\\([^])/g, "$1") : text;
}
