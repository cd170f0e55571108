import { readdir, readFile, stat } from "node:fs/promises";
import { isAbsolute, join, relative, resolve } from "node:path";
import { parseEnv } from "node:util";
import { ConfigError, type Problem } from "./problem.ts";
import { SourceText } from "./source-text.ts";
import type { Environment } from "./variables.ts";

export interface FoundFiles {
  /** The folder that the files lie in; relative paths in them are relative to it. Absolute. */
  readonly baseDirectory: string;
  /** Absolute, sorted by name. */
  readonly paths: readonly string[];
}

export const NAMES = ["tailrace.yml", "tailrace.yaml", "tailrace.config.ts", "tailrace"] as const;
const MAX_BYTES = 4_000_000;

/** Finds the configuration: what `path` names, else the one of the usual names that the working directory has. */
export async function findFiles(path: string | undefined, workingDirectory: string): Promise<FoundFiles> {
  if (path !== undefined) {
    const full = resolve(workingDirectory, path);
    const kind = await kindOf(full);
    if (kind === "file") return oneFile(full);
    if (kind === "folder") return folder(full, displayed(full, workingDirectory));
    throw nothingThere(
      displayed(full, workingDirectory),
      "there is no such file or folder",
      "check the path; `tailrace init` writes a starter.",
    );
  }
  const found: FoundFiles[] = [];
  const names: string[] = [];
  for (const name of NAMES) {
    const full = join(workingDirectory, name);
    const kind = await kindOf(full);
    if (kind === "file" && name !== "tailrace") found.push(oneFile(full));
    else if (kind === "folder" && (await yamlNames(full)).length > 0) found.push(await folder(full, name));
    else continue;
    names.push(name);
  }
  const [first, second] = found;
  if (first === undefined) {
    throw nothingThere(
      "tailrace.yml",
      "there is no configuration here",
      "run `tailrace init` to write one, or name one with `--config PATH`.",
    );
  }
  if (second !== undefined) {
    const message = `there is more than one configuration here: ${names.join(", ")}`;
    throw nothingThere(names[0] ?? "", message, "keep one, or name one with `--config PATH`.");
  }
  return first;
}

function nothingThere(file: string, message: string, fix: string): ConfigError {
  return new ConfigError([wholeFile(file, message, fix)]);
}

export function wholeFile(file: string, message: string, fix: string): Problem {
  return { file, line: 0, column: 0, key: "", message, fix };
}

async function kindOf(path: string): Promise<"file" | "folder" | null> {
  try {
    const found = await stat(path);
    return found.isDirectory() ? "folder" : "file";
  } catch {
    return null;
  }
}

function oneFile(full: string): FoundFiles {
  return { baseDirectory: resolve(full, ".."), paths: [full] };
}

async function folder(full: string, shown: string): Promise<FoundFiles> {
  const names = await yamlNames(full);
  if (names.length === 0) {
    throw nothingThere(
      shown,
      "this folder has no `.yml` file",
      "put the configuration into it; `tailrace init` writes a starter.",
    );
  }
  return { baseDirectory: full, paths: names.map((name) => join(full, name)) };
}

async function yamlNames(full: string): Promise<readonly string[]> {
  const entries = await readdir(full, { withFileTypes: true });
  const isYaml = (name: string): boolean => /\.ya?ml$/.test(name) && !name.startsWith(".");
  return entries
    .filter((entry) => !entry.isDirectory() && isYaml(entry.name))
    .map((entry) => entry.name)
    .sort();
}

/** A path as people read it: relative to the working directory where it lies below it. */
export function displayed(full: string, workingDirectory: string): string {
  const short = relative(workingDirectory, full);
  return short === "" || short.startsWith("..") || isAbsolute(short) ? full : short.replaceAll("\\", "/");
}

/** The file's text, or what is wrong with the file. */
export async function readSource(full: string, shown: string): Promise<SourceText | Problem> {
  let bytes: Buffer;
  try {
    bytes = await readFile(full);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "unknown error";
    return wholeFile(shown, `this file cannot be read (${code})`, "check that it is a file and that you may read it.");
  }
  if (bytes.length > MAX_BYTES)
    return wholeFile(shown, "this file is larger than 4 MB", "is it a configuration? Split it into a folder of files.");
  try {
    // Drops a byte order mark.
    return new SourceText(shown, new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return badEncoding(bytes, shown);
  }
}

function badEncoding(bytes: Buffer, file: string): Problem {
  const fix = "save the file as UTF-8.";
  if ((bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff)) {
    return { file, line: 1, column: 1, key: "", message: "this file is UTF-16; a configuration is UTF-8", fix };
  }
  let line = 0;
  let start = 0;
  while (start <= bytes.length) {
    line += 1;
    const next = bytes.indexOf(10, start);
    const end = next === -1 ? bytes.length : next;
    const column = badColumn(bytes.subarray(start, end));
    if (column !== null) return { file, line, column, key: "", message: "this byte is not UTF-8", fix };
    start = end + 1;
  }
  return { file, line: 1, column: 1, key: "", message: "this file is not UTF-8", fix };
}

/** Where a line stops being UTF-8; null when it does not. */
function badColumn(line: Buffer): number | null {
  const decoded = new TextDecoder("utf-8").decode(line);
  for (let i = decoded.indexOf("\uFFFD"); i !== -1; i = decoded.indexOf("\uFFFD", i + 1)) {
    const before = Buffer.byteLength(decoded.slice(0, i));
    // A replacement character that the file itself holds is no error.
    if (!line.subarray(before, before + 3).equals(Buffer.from("\uFFFD"))) return i + 1;
  }
  return null;
}

/** The process's environment over the `.env` file beside the configuration. */
export async function readEnvironment(baseDirectory: string, env: NodeJS.ProcessEnv): Promise<Environment> {
  let text: string;
  try {
    text = await readFile(join(baseDirectory, ".env"), "utf8");
  } catch {
    return { ...env };
  }
  return { ...parseEnv(text.replace(/^\uFEFF/, "")), ...env };
}
