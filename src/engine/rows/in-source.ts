import type { RowIndex, SourceRowIndex } from "../../contracts/row-index.ts";

/** The index as one that lies in the source, which compares by itself; null: it lies here. */
export function inSource(index: RowIndex): SourceRowIndex | null {
  return "compare" in index ? (index as SourceRowIndex) : null;
}
