import pg from "pg";

/** Runs statements on a connection of its own; the last one's rows, as texts. */
export type Sql = (text: string) => Promise<readonly Record<string, string | null>[]>;

const AS_TEXT = { getTypeParser: () => (text: string | Buffer) => text } as unknown as pg.CustomTypesConfig;

export function sqlOn(url: string): Sql {
  return async (text) => {
    const client = new pg.Client({ connectionString: url, types: AS_TEXT });
    client.on("error", () => {});
    await client.connect();
    try {
      const result = (await client.query(text)) as unknown as pg.QueryResult | pg.QueryResult[];
      const last = Array.isArray(result) ? result.at(-1) : result;
      return (last?.rows ?? []) as Record<string, string | null>[];
    } finally {
      await client.end().catch(() => {});
    }
  };
}
