import { stripVTControlCharacters } from "node:util";

export interface TableColumn {
  readonly title: string;
  /** `left` by default. */
  readonly align?: "left" | "right";
}

/** Columns as wide as their widest cell, two blanks between them; colours do not count. Ends with a line break. */
export function table(columns: readonly TableColumn[], rows: readonly (readonly string[])[]): string {
  const lines = [columns.map(({ title }) => title), ...rows.map((row) => row.map(oneLine))];
  const widths = columns.map((_, place) => Math.max(...lines.map((line) => width(line[place] ?? ""))));
  return lines
    .map((line) => {
      const cells = columns.map(({ align }, place) => {
        const cell = line[place] ?? "";
        const blanks = " ".repeat(widths[place]! - width(cell));
        return align === "right" ? blanks + cell : cell + blanks;
      });
      return `${cells.join("  ").trimEnd()}\n`;
    })
    .join("");
}

/** `name  value` pairs, the values under each other; what spans lines is indented. */
export function pairs(entries: readonly (readonly [name: string, value: string])[], indent = ""): string {
  const widest = Math.max(...entries.map(([name]) => width(name)));
  const under = " ".repeat(indent.length + widest + 2);
  return entries
    .map(([name, value]) => {
      const blanks = " ".repeat(widest - width(name));
      return `${indent}${name}${blanks}  ${value.replaceAll("\n", `\n${under}`)}\n`;
    })
    .join("");
}

const graphemes = new Intl.Segmenter();

function width(text: string): number {
  const plain = stripVTControlCharacters(text);
  return /^[ -~]*$/.test(plain) ? plain.length : [...graphemes.segment(plain)].length;
}

/** A text of the other side must not break the table. */
function oneLine(text: string): string {
  return text.replaceAll(/\s*[\r\n]+\s*/g, " ");
}
