// DuckDB files for tests, written as others would write them.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";

export interface TestFolder extends AsyncDisposable {
  readonly path: string;
  file(name: string): string;
}

export async function testFolder(): Promise<TestFolder> {
  const path = await mkdtemp(join(tmpdir(), "tailrace-test-duckdb-"));
  return {
    path,
    file: (name) => join(path, name),
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  };
}

/** Runs statements on a database file (":memory:" to write data files) and closes it. Rows of the last one, as texts. */
export async function duckdb(path: string, ...statements: string[]): Promise<Record<string, string | null>[]> {
  const instance = await DuckDBInstance.create(path);
  try {
    const connection = await instance.connect();
    let rows: Record<string, unknown>[] = [];
    for (const statement of ["SET TimeZone = 'UTC'", ...statements])
      rows = (await connection.runAndReadAll(statement)).getRowObjectsJson();
    connection.closeSync();
    return rows.map((row) => Object.fromEntries(Object.entries(row).map(([name, value]) => [name, textOf(value)])));
  } finally {
    instance.closeSync();
  }
}

function textOf(value: unknown): string | null {
  return value === null || typeof value === "string" ? value : JSON.stringify(value);
}

/** Another process that has the file open for writing until the result is called. */
export async function holdOpen(path: string): Promise<() => Promise<void>> {
  const library = createRequire(import.meta.url).resolve("@duckdb/node-api");
  const script = `
    const { DuckDBInstance } = await import(${JSON.stringify(library)});
    const instance = await DuckDBInstance.create(${JSON.stringify(path)});
    const connection = await instance.connect();
    await connection.run("CREATE TABLE IF NOT EXISTS held (a INTEGER)");
    console.log("open");
    process.stdin.resume();`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: ["pipe", "pipe", "inherit"] });
  await new Promise<void>((resolve, reject) => {
    child.stdout.once("data", () => resolve());
    child.once("exit", (code) => reject(new Error(`the other process ended with ${code}`)));
  });
  return () => end(child);
}

async function end(child: ChildProcess): Promise<void> {
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await gone;
}
