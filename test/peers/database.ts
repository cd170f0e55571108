import { setTimeout as delay } from "node:timers/promises";
import { Client } from "pg";

export async function withClient<T>(url: string, use: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}

const MOST_MS = 120_000;
const EVERY_MS = 50;

/** For what only asking again can tell. */
export async function poll(holds: () => Promise<boolean>): Promise<void> {
  const giveUpAtMs = performance.now() + MOST_MS;
  while (!(await holds())) {
    if (performance.now() > giveUpAtMs) throw new Error(`not seen within ${MOST_MS} ms: ${String(holds)}`);
    await delay(EVERY_MS);
  }
}
