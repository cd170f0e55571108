import { LineCounter } from "yaml";
import type { Place } from "./tree.ts";

/** One configuration file as text. */
export class SourceText {
  readonly file: string;
  readonly text: string;
  readonly lines = new LineCounter();

  constructor(file: string, text: string) {
    this.file = file;
    this.text = text;
    this.lines.addNewLine(0);
    for (let i = text.indexOf("\n"); i !== -1; i = text.indexOf("\n", i + 1)) this.lines.addNewLine(i + 1);
  }

  /** The stretch from `start` to `end`; only its first line is marked. */
  place(start: number, end: number): Place {
    const from = Math.min(start, this.text.length);
    const { line, col } = this.lines.linePos(from);
    const lineEnd = this.lineEnd(from);
    const length = Math.max(1, Math.min(end, lineEnd) - from);
    return { file: this.file, line, column: col, length, start: from, end: Math.max(from, end) };
  }

  /** A place that has no extent, such as a mapping's: one character is marked. */
  point(offset: number): Place {
    return this.place(offset, offset + 1);
  }

  line(number: number): { readonly start: number; readonly text: string } {
    const start = this.lines.lineStarts[number - 1] ?? this.text.length;
    return { start, text: this.text.slice(start, this.lineEnd(start)) };
  }

  lineEnd(offset: number): number {
    const next = this.text.indexOf("\n", offset);
    const end = next === -1 ? this.text.length : next;
    return end > offset && this.text[end - 1] === "\r" ? end - 1 : end;
  }
}
