import { compileTemplate, TemplateMistake } from "../../engine/mapping/template.ts";
import { parseWhere } from "../../engine/mapping/where-parse.ts";
import { WhereMistake } from "../../engine/mapping/where-tokens.ts";
import { isHarmless } from "./discretion.ts";
import { type Flaw, nameOf, type Path, type Place, type ScalarTree, type Tree } from "./tree.ts";

/** What is wrong in a `where`, as far as it can be told without the model's columns. */
export function checkWhere(tree: Tree, path: Path, flaws: Flaw[]): void {
  if (tree.kind !== "scalar" || typeof tree.value !== "string" || tree.code !== undefined) return;
  try {
    parseWhere(tree.value);
  } catch (error) {
    if (!(error instanceof WhereMistake)) throw error;
    const fix = "write a condition over the model's columns, such as `plan <> 'internal' AND active`.";
    flaws.push({ place: spot(tree, error.offset), path, message: `${nameOf(path)}${reason(tree, error)}`, fix });
  }
}

/** What is wrong in a Liquid template, as far as it can be told without the model's columns. */
export function checkTemplate(tree: Tree, path: Path, flaws: Flaw[]): void {
  if (tree.kind !== "scalar" || typeof tree.value !== "string") return;
  try {
    compileTemplate(tree.value, []);
  } catch (error) {
    if (!(error instanceof TemplateMistake)) throw error;
    // A column that is not among none is no mistake yet.
    if (error.column !== null) return;
    const fix = "write Liquid over the model's columns, such as `{{ full_name | split: ' ' | first }}`.";
    flaws.push({ place: tree.place, path, message: `${nameOf(path)}${reason(tree, error)}`, fix });
  }
}

/** The parsers' words quote the text, which may have come from a variable. */
function reason(tree: ScalarTree, error: Error): string {
  if (!isHarmless(tree.written, "open")) return " cannot be read";
  return tree.variables.length > 0 ? " cannot be read with the values of its variables" : `: ${error.message}`;
}

/** The place of a character of the text, where the file writes it on one line and without escapes. */
function spot(tree: ScalarTree, offset: number): Place {
  const { place, written, value } = tree;
  if (written !== value || tree.variables.length > 0 || written.includes("\n")) return place;
  const quote = place.end - place.start === written.length + 2 ? 1 : 0;
  if (place.end - place.start !== written.length + 2 * quote) return place;
  const shift = Math.min(offset, written.length) + quote;
  return { ...place, column: place.column + shift, start: place.start + shift, length: 1 };
}
