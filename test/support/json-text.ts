/** Reading JSON without parsing its values: numbers keep all their digits, nested JSON keeps its spacing. */

/** The fields of the JSON object `text`, each as the JSON it was written as. The last of two equal names wins. */
export function jsonFields(text: string): Map<string, string> {
  const fields = new Map<string, string>();
  let at = skipSpace(text, 0);
  if (text[at] !== "{") throw new SyntaxError("not a JSON object");
  at = skipSpace(text, at + 1);
  while (text[at] !== "}") {
    const nameEnd = valueEnd(text, at);
    const name = JSON.parse(text.slice(at, nameEnd)) as string;
    at = skipSpace(text, nameEnd);
    if (text[at] !== ":") throw new SyntaxError(`no colon at ${at}`);
    at = skipSpace(text, at + 1);
    const end = valueEnd(text, at);
    fields.set(name, text.slice(at, end));
    at = skipSpace(text, end);
    if (text[at] === ",") at = skipSpace(text, at + 1);
    else if (text[at] !== "}") throw new SyntaxError(`no comma at ${at}`);
  }
  return fields;
}

/** The elements of the JSON array `text`, each as the JSON it was written as. */
export function jsonElements(text: string): string[] {
  const elements: string[] = [];
  let at = skipSpace(text, 0);
  if (text[at] !== "[") throw new SyntaxError("not a JSON array");
  at = skipSpace(text, at + 1);
  while (text[at] !== "]") {
    const end = valueEnd(text, at);
    elements.push(text.slice(at, end));
    at = skipSpace(text, end);
    if (text[at] === ",") at = skipSpace(text, at + 1);
    else if (text[at] !== "]") throw new SyntaxError(`no comma at ${at}`);
  }
  return elements;
}

/** A JSON value as the text that the source printed: strings are unescaped, everything else stays as written. */
export function jsonToText(json: string): string | null {
  if (json === "null") return null;
  return json.startsWith('"') ? (JSON.parse(json) as string) : json;
}

function valueEnd(text: string, start: number): number {
  const first = text[start];
  if (first === '"') return stringEnd(text, start);
  if (first !== "{" && first !== "[") {
    let at = start;
    while (at < text.length && !",]}: \t\r\n".includes(text[at] as string)) at += 1;
    if (at === start) throw new SyntaxError(`no value at ${start}`);
    return at;
  }
  let depth = 0;
  for (let at = start; at < text.length; at += 1) {
    const character = text[at];
    if (character === '"') at = stringEnd(text, at) - 1;
    else if (character === "{" || character === "[") depth += 1;
    else if (character === "}" || character === "]") {
      depth -= 1;
      if (depth === 0) return at + 1;
    }
  }
  throw new SyntaxError("JSON ends too early");
}

function stringEnd(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at += 1) {
    if (text[at] === "\\") at += 1;
    else if (text[at] === '"') return at + 1;
  }
  throw new SyntaxError("JSON ends within a string");
}

function skipSpace(text: string, start: number): number {
  let at = start;
  while (text[at] === " " || text[at] === "\n" || text[at] === "\t" || text[at] === "\r") at += 1;
  return at;
}
