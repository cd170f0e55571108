// Opening DuckDB so that its texts mean the same everywhere, within the memory that the settings allow.
import { randomBytes } from "node:crypto";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DuckDBConnection, DuckDBValue } from "@duckdb/node-api";
import * as z from "zod";
import type { Duckdb } from "./library.ts";

/** The settings that bound what DuckDB takes of the machine, for a connector's own object. */
export const resourceFields = {
  memory_limit: z
    .string()
    .regex(/^\d+(\.\d+)? ?[KMGT]i?B$/i, "a size is a number with KB, MB, GB or TB, such as 512MB")
    .default("512MB")
    .describe(
      "Most memory that DuckDB takes for one reading or batch; what is larger goes through files in `temp_directory`.",
    ),
  threads: z.int().min(1).max(256).default(2).describe("Threads that DuckDB works with."),
  temp_directory: z
    .string()
    .min(1)
    .optional()
    .describe("Folder for what does not fit into memory. Default: a folder of its own in the system's temporary one."),
};

export interface Resources {
  readonly memory_limit: string;
  readonly threads: number;
  readonly temp_directory?: string | undefined;
}

export interface Database {
  readonly connection: DuckDBConnection;
  /** A folder for files of this opening; removed when it is closed. It may not exist yet. */
  readonly directory: string;
  /** Rows of texts, by column name. */
  rows(sql: string, values?: readonly DuckDBValue[]): Promise<Record<string, string | null>[]>;
  close(): Promise<void>;
}

/** `path` null: in memory. Rejects with the library's error. */
export async function openDatabase(
  duckdb: Duckdb,
  path: string | null,
  access: "READ_ONLY" | "READ_WRITE",
  resources: Resources,
): Promise<Database> {
  const root = resources.temp_directory ?? tmpdir();
  const directory = join(root, `tailrace-duckdb-${process.pid}-${randomBytes(6).toString("hex")}`);
  const instance = await duckdb.DuckDBInstance.create(path ?? ":memory:", {
    ...(path !== null && { access_mode: access }),
    memory_limit: resources.memory_limit,
    threads: String(resources.threads),
    temp_directory: directory,
  });
  let connection: DuckDBConnection;
  try {
    connection = await instance.connect();
    // Texts of times depend on it.
    await connection.run("SET TimeZone = 'UTC'");
  } catch (error) {
    instance.closeSync();
    throw error;
  }
  return {
    connection,
    directory,
    rows: async (sql, values) => {
      const reader = await connection.runAndReadAll(sql, values === undefined ? undefined : [...values]);
      const rows = reader.getRowObjectsJson() as Record<string, unknown>[];
      return rows.map((row) =>
        Object.fromEntries(Object.entries(row).map(([name, value]) => [name, value === null ? null : textOf(value)])),
      );
    },
    close: async () => {
      connection.closeSync();
      instance.closeSync();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** Runs `work`, and interrupts what it waits for when the signal aborts. */
export async function interruptible<T>(
  connection: DuckDBConnection,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  const interrupt = (): void => connection.interrupt();
  signal.addEventListener("abort", interrupt, { once: true });
  try {
    return await work();
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener("abort", interrupt);
  }
}
