import { hash } from "node:crypto";

/** 16 hex digits over a row's own content, its table and key included, so that a flipped bit or a misplaced row shows. */
export function checksum(table: string, content: readonly (string | number | null)[]): string {
  return hash("sha256", JSON.stringify([table, ...content])).slice(0, 16);
}

/** The name under which a long text is kept once. */
export function contentName(text: string): string {
  return hash("sha256", text).slice(0, 32);
}
