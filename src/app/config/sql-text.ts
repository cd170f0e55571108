export type OneStatement =
  | { readonly ok: true; readonly sql: string }
  | {
      readonly ok: false;
      /** What is wrong, to follow the name of what holds the text. */
      readonly message: string;
      /** What it begins with, where that is wrong; part of the text. */
      readonly begins: string | null;
      readonly fix: string;
      /** Where in the text. */
      readonly start: number;
      readonly end: number;
    };

/** `models/users.sql` is a file, `SELECT * FROM users` is not. */
export function isSqlFile(text: string): boolean {
  return text.endsWith(".sql") && !/\s/.test(text);
}

/**
 * The query that a text holds, without the semicolon and the comments around it. Whether it is sound SQL, the source says:
 * here is only told apart what no database would take for one query.
 */
export function oneStatement(text: string): OneStatement {
  // The dialect is not known, and each can make of the other's quotes and comments what they are not.
  const [first, second] = READINGS.map((reading) => statementOf(text, blanked(text, reading)));
  return first!.ok || !second!.ok ? first! : second!;
}

function statementOf(text: string, bare: string): OneStatement {
  const parts: { readonly start: number; readonly end: number }[] = [];
  let from = 0;
  for (const part of bare.split(";")) {
    const start = from + part.length - part.trimStart().length;
    if (part.trim() !== "") parts.push({ start, end: start + part.trim().length });
    from += part.length + 1;
  }
  const [only, another] = parts;
  if (only === undefined) {
    const why = text.trim() === "" ? "is empty" : "holds no query";
    return { ok: false, message: why, begins: null, fix: "write a SELECT.", start: 0, end: 0 };
  }
  if (another !== undefined) {
    const end = another.start + (/^\S*/.exec(bare.slice(another.start))?.[0].length ?? 0);
    return {
      ok: false,
      message: `holds ${parts.length} statements`,
      begins: null,
      fix: "leave one SELECT; a `WITH` holds what it needs before it.",
      start: another.start,
      end,
    };
  }
  const first = /^[\s(]*([A-Za-z_]*)/.exec(bare.slice(only.start))?.[1] ?? "";
  if (!QUERY.test(first)) {
    const end = only.start + (/^\S*/.exec(bare.slice(only.start))?.[0].length ?? 0);
    const begins = first === "" || first.length > 20 ? null : first;
    return { ok: false, message: "is no query", begins, fix: FIX, start: only.start, end };
  }
  return { ok: true, sql: text.slice(only.start, only.end) };
}

const QUERY = /^(?:select|with|values|table|from|pivot|unpivot)$/i;
const FIX = "write a SELECT, or the path of a `.sql` file, without white space in it.";

/** Quotes and comments as the standard and PostgreSQL have them, and as MySQL does. */
const READINGS: readonly RegExp[] = [
  /(?<![\w$])[eE]'(?:[^'\\]|\\[\s\S]|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|(?<![\w$])\$(\w*)\$[\s\S]*?\$\1\$|--[^\n]*|\/\*/g,
  /'(?:[^'\\]|\\[\s\S]|'')*'|"(?:[^"\\]|\\[\s\S]|"")*"|`(?:[^`]|``)*`|--(?=\s)[^\n]*|#[^\n]*|\/\*/g,
];

/** The text, at the same places, with `x` for what is quoted and spaces for comments. */
function blanked(text: string, reading: RegExp): string {
  let result = "";
  let done = 0;
  const pattern = new RegExp(reading);
  for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
    const isComment = /^(?:--|#|\/\*)/.test(match[0]);
    const end = match[0] === "/*" ? commentEnd(text, match.index) : pattern.lastIndex;
    result += text.slice(done, match.index) + (isComment ? " " : "x").repeat(end - match.index);
    pattern.lastIndex = done = end;
  }
  return result + text.slice(done);
}

/** Comments nest. */
function commentEnd(text: string, start: number): number {
  let depth = 0;
  const marks = /\/\*|\*\//g;
  marks.lastIndex = start;
  for (let mark = marks.exec(text); mark !== null; mark = marks.exec(text)) {
    depth += mark[0] === "/*" ? 1 : -1;
    if (depth === 0) return marks.lastIndex;
  }
  return text.length;
}
