import { appendFile, mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { configJsonSchema } from "./config/json-schema.ts";
import { NAMES } from "./config/files.ts";
import { STARTER, STARTER_GITIGNORE, TYPESCRIPT_STARTER } from "./config/starter.ts";

export interface InitResult {
  /** Relative to the folder, in order. */
  readonly files: readonly { readonly path: string; readonly done: "written" | "added to" | "kept" }[];
  /** A configuration that was there already; then nothing was written. */
  readonly existing: string | null;
}

/** Writes the starter project, in YAML or TypeScript, into a folder, which is made if it is missing. A file that is there is left as it is. */
export async function init(folder: string, typescript = false): Promise<InitResult> {
  for (const name of NAMES) if (await exists(join(folder, name))) return { files: [], existing: name };
  const schema = { path: "tailrace.schema.json", text: `${JSON.stringify(await configJsonSchema(), null, 2)}\n` };
  const files: { path: string; done: "written" | "added to" | "kept" }[] = [];
  for (const { path, text } of typescript ? TYPESCRIPT_STARTER : [...STARTER, schema]) {
    const full = join(folder, path);
    await mkdir(dirname(full), { recursive: true });
    files.push({ path, done: (await writeNew(full, text)) ? "written" : "kept" });
  }
  files.push({ path: ".gitignore", done: await ignore(join(folder, ".gitignore")) });
  return { files, existing: null };
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null)) !== null;
}

/** False when there is one: it is never replaced, not even by a race. */
async function writeNew(path: string, text: string): Promise<boolean> {
  try {
    await writeFile(path, text, { flag: "wx" });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

async function ignore(path: string): Promise<"written" | "added to" | "kept"> {
  if (await writeNew(path, `${STARTER_GITIGNORE.join("\n")}\n`)) return "written";
  const text = await readFile(path, "utf8");
  const present = new Set(text.split(/\r?\n/).map((line) => line.trim()));
  const missing = STARTER_GITIGNORE.filter((line) => !present.has(line));
  if (missing.length === 0) return "kept";
  await appendFile(path, `${text === "" || text.endsWith("\n") ? "" : "\n"}${missing.join("\n")}\n`);
  return "added to";
}
