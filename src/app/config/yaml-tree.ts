import { type Document, isScalar, parseAllDocuments } from "yaml";
import type { SourceText } from "./source-text.ts";
import { TreeBuilder } from "./tree-builder.ts";
import type { Flaw, MapTree } from "./tree.ts";
import { type Environment, hideVariables } from "./variables.ts";
import { syntaxFlaw } from "./yaml-errors.ts";

export interface ParsedFile {
  /** null when the file is not YAML, or not a mapping. */
  readonly tree: MapTree | null;
  readonly flaws: readonly Flaw[];
  /** The file could not be read as YAML at all: nothing more can be said about its keys. */
  readonly unreadable: boolean;
}

export function parseYaml(source: SourceText, environment: Environment): ParsedFile {
  const unreadable = (flaw: Flaw): ParsedFile => ({ tree: null, flaws: [flaw], unreadable: true });
  const hidden = hideVariables(source.text);
  let documents;
  try {
    documents = parseAllDocuments(hidden.text, { version: "1.2", merge: true, uniqueKeys: false, prettyErrors: false });
  } catch {
    const message = "this file cannot be read as YAML: it is nested too deeply";
    return unreadable({ place: source.point(0), path: [], message, fix: "write it with fewer levels." });
  }
  const [document, second] = [...documents] as (Document.Parsed | undefined)[];
  if (document === undefined || (document.contents as unknown) === null || isNothing(document)) {
    if (document?.errors[0] === undefined) {
      const fix =
        "write at least `sources:`, `models:`, `destinations:` and `syncs:`; `tailrace init` writes a starter.";
      return unreadable({ place: source.point(0), path: [], message: "this file is empty", fix });
    }
  }
  const error = document.errors[0] ?? document.warnings[0];
  if (error !== undefined) return unreadable(syntaxFlaw(error, source, document, hidden.text));
  if (document.directives.yaml.explicit === true && document.directives.yaml.version !== "1.2") {
    const message = `\`%YAML ${document.directives.yaml.version}\` is not supported: configuration is YAML 1.2`;
    return unreadable({ place: source.point(0), path: [], message, fix: "remove the line." });
  }
  if (second !== undefined) {
    const start = separatorBefore(source.text, second.range[0]);
    const message = "a second YAML document begins here; a file holds one";
    const fix = "remove the `---`, or put the second document into a file of its own in a folder.";
    return unreadable({ place: source.place(start, start + 3), path: [], message, fix });
  }
  const builder = new TreeBuilder(source, hidden, environment, document);
  const tree = builder.build(document.contents, [], source.point(0));
  if (tree.kind === "map") return { tree, flaws: builder.flaws, unreadable: false };
  const found = tree.kind === "list" ? "a list" : "a single text";
  const message = `a configuration is a mapping of sections, but this file is ${found}`;
  return unreadable({
    place: { ...tree.place, length: 1 },
    path: [],
    message,
    fix: "begin with `sources:`; `tailrace init` writes a starter.",
  });
}

function isNothing(document: Document.Parsed): boolean {
  const contents: unknown = document.contents;
  return isScalar(contents) && contents.value === null && contents.source === "";
}

function separatorBefore(text: string, offset: number): number {
  const found = text.lastIndexOf("---", offset);
  return found === -1 ? offset : found;
}
