// Commits at a steady rate, whatever the commits take: what is late is made up for.
import pg from "pg";

export interface SteadyLoad {
  readonly url: string;
  readonly perSecond: number;
  readonly seconds: number;
  /** One statement, committed on its own. */
  readonly statement: string;
  /** The statement's values for the n-th commit, n from 0. */
  values(n: number): readonly string[];
}

const CONNECTIONS = 4;

/** Resolves with the number of commits, and how late the latest one was sent, in ms. */
export async function commitSteadily(
  load: SteadyLoad,
): Promise<{ readonly commits: number; readonly latestMs: number }> {
  const { url, perSecond, seconds, statement } = load;
  const commits = Math.round(perSecond * seconds);
  const clients = await Promise.all(
    Array.from({ length: CONNECTIONS }, async () => {
      const client = new pg.Client({ connectionString: url });
      await client.connect();
      // Parsed and planned before the clock runs.
      await client.query("BEGIN");
      await client.query({ name: "load", text: statement, values: [...load.values(0)] });
      await client.query("ROLLBACK");
      return client;
    }),
  );
  try {
    const startMs = performance.now();
    let sent = 0;
    let latestMs = 0;
    // Each connection takes the next commit that is due.
    await Promise.all(
      clients.map(async (client) => {
        while (sent < commits) {
          const n = sent;
          sent += 1;
          const dueMs = startMs + (n * 1000) / perSecond;
          await until(dueMs);
          latestMs = Math.max(latestMs, performance.now() - dueMs);
          await client.query({ name: "load", text: statement, values: [...load.values(n)] });
        }
      }),
    );
    return { commits, latestMs };
  } finally {
    await Promise.all(clients.map((client) => client.end()));
  }
}

/** A timer may be a ms early or late; commits keep their average distance. */
function until(atMs: number): Promise<void> {
  const waitMs = atMs - performance.now();
  return waitMs <= 0 ? Promise.resolve() : new Promise((resolve) => setTimeout(resolve, waitMs));
}
