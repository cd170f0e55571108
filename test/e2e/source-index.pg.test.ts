import { expect, test } from "vitest";
import { runCli, startCli } from "../support/cli.ts";
import { overlaps, rowsOf } from "../support/ledger-order.ts";
import { compare } from "../support/oracle.ts";
import { type TestDatabase, testDatabase } from "../support/postgres.ts";
import { prng } from "../support/prng.ts";
import { testProject, type TestProject } from "../support/project.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";

// A query that is compared inside its own database, over the real command line, into an HTTP receiver.

const USERS = `CREATE TABLE users (id bigint PRIMARY KEY, name text, plan text, seen int);
  INSERT INTO users SELECT n, 'user ' || n, CASE n % 5 WHEN 0 THEN 'internal' ELSE 'paid' END, 0 FROM generate_series(1, 500) n`;

interface Settings {
  readonly state?: "auto" | "source" | "local";
  readonly where?: string;
  readonly mode?: string;
  readonly maxDeletes?: string;
  readonly sql?: string;
}

interface Place extends AsyncDisposable {
  readonly database: TestDatabase;
  readonly receiver: Receiver;
  readonly project: TestProject;
  use(settings: Settings): Promise<void>;
  /** Rows that the receiver took in this run. */
  run(code?: number): Promise<number>;
}

function configuration({ url }: TestDatabase, receiver: Receiver, settings: Settings): string {
  const {
    state = "auto",
    where,
    mode = "mirror",
    maxDeletes = "100%",
    sql = "SELECT id, name, plan, seen FROM users",
  } = settings;
  return `
sources: { db: { type: postgres, url: "${url}" } }
models:
  users: { source: db, key: id, capture: diff, diff_state: ${state}, sql: ${JSON.stringify(sql)} }
destinations:
  receiver: { type: webhook, url: "${receiver.url}", allow_private: true }
syncs:
  users:
    { model: users, destination: receiver, mode: ${mode}, max_deletes: ${maxDeletes}, map: { id: id, name: name }
    ${where === undefined ? "" : `, where: ${JSON.stringify(where)}`} }
`;
}

async function place(settings: Settings = {}): Promise<Place> {
  const stack = new AsyncDisposableStack();
  const database = stack.use(await testDatabase());
  await database.sql(USERS);
  const receiver = stack.use(await startReceiver());
  const project = stack.use(await testProject(configuration(database, receiver, settings)));
  return {
    database,
    receiver,
    project,
    use: (next) => project.configure(configuration(database, receiver, next)),
    run: async (code = 0) => {
      const before = receiver.counts.acknowledgedRows;
      const ended = await runCli(["run", "--once", "-c", project.folder], { cwd: project.folder });
      expect(ended, ended.stderr).toMatchObject({ code });
      return receiver.counts.acknowledgedRows - before;
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

const equal = async ({ database, receiver }: Place, where = "true") =>
  expect(
    await compare(receiver.ledger.entries, database, {
      table: `(SELECT id, name FROM users WHERE ${where}) AS u`,
      key: ["id"],
      mapping: { id: "id", name: "name" },
    }),
  ).toMatchObject({ equal: true });

test(
  "only what differs is sent; what was sent moves between the source and the state without a resend",
  { timeout: 120_000 },
  async () => {
    await using here = await place();
    const { database } = here;
    expect(await here.run()).toBe(500);
    expect(await database.rows("SELECT sync, complete::text FROM tailrace_rows.sync")).toEqual([
      { sync: "users", complete: "true" },
    ]);
    expect(await here.run()).toBe(0);
    await database.sql(
      "UPDATE users SET name = name || '!' WHERE id <= 3; UPDATE users SET seen = 1; DELETE FROM users WHERE id = 9",
    );
    expect(await here.run()).toBe(4);
    await here.use({ state: "local" });
    expect(await here.run()).toBe(0);
    expect(await database.rows("SELECT sync FROM tailrace_rows.sync")).toEqual([]);
    await database.sql("UPDATE users SET name = name || '!' WHERE id <= 2; DELETE FROM users WHERE id = 10");
    expect(await here.run()).toBe(3);
    await here.use({ state: "source" });
    expect(await here.run()).toBe(0);
    await database.sql("UPDATE users SET name = name || '!' WHERE id = 1");
    expect(await here.run()).toBe(1);
    await equal(here);
  },
);

test(
  "rows that the where keeps out leave the database once; another where is applied to all",
  { timeout: 120_000 },
  async () => {
    await using here = await place({ where: "plan != 'internal'" });
    const { database } = here;
    expect(await here.run()).toBe(400);
    expect(await here.run()).toBe(0);
    const kept = () => database.rows("SELECT count(*)::text AS n FROM tailrace_rows.kept_out");
    expect(await kept()).toEqual([{ n: "100" }]);
    await database.sql(
      "UPDATE users SET plan = 'paid' WHERE id = 5; UPDATE users SET plan = 'internal' WHERE id = 6; DELETE FROM users WHERE id = 10",
    );
    expect(await here.run()).toBe(2);
    await equal(here, "plan <> 'internal'");
    expect(await here.run()).toBe(0);
    expect(await kept()).toEqual([{ n: "99" }]);
    await here.use({ where: "plan = 'internal'" });
    expect(await here.run()).toBe(499);
    await equal(here, "plan = 'internal'");
    expect(await here.run()).toBe(0);
  },
);

test(
  "a row that is refused is offered again with the same id, and is one dead letter until it changes",
  { timeout: 120_000 },
  async () => {
    await using here = await place();
    const { database, receiver, project } = here;
    receiver.script(({ rows }) => ({ kind: "answer", status: rows[0]?.key === "7" ? 422 : 200 }));
    expect(await here.run()).toBe(499);
    const letters = async (): Promise<unknown> => {
      const command = ["failures", "list", "users", "--json", "-c", project.folder];
      return JSON.parse((await runCli(command, { cwd: project.folder })).stdout);
    };
    const ids = (): ReadonlySet<string> =>
      new Set([...rowsOf(receiver.ledger.entries)].filter(({ key }) => key === "7").map(({ id }) => id));
    expect(await letters()).toMatchObject({ total: 1 });
    expect(await here.run()).toBe(0);
    expect(await letters()).toMatchObject({ total: 1 });
    expect(ids().size).toBe(1);
    // Another content is another delivery.
    await database.sql("UPDATE users SET name = 'other' WHERE id = 7");
    expect(await here.run()).toBe(0);
    expect(ids().size).toBe(2);
    expect(await letters()).toMatchObject({ total: 2 });
    receiver.script(() => ({ kind: "answer" }));
    expect(await here.run()).toBe(1);
    await equal(here);
    expect(await database.rows("SELECT count(*)::text AS n FROM tailrace_rows.indexed WHERE NOT confirmed")).toEqual([
      { n: "0" },
    ]);
  },
);

test("more removals than `max_deletes` allows are held, counted where they are", { timeout: 120_000 }, async () => {
  await using here = await place({ maxDeletes: "10%" });
  const { database, project } = here;
  expect(await here.run()).toBe(500);
  await database.sql("DELETE FROM users WHERE id > 200");
  expect(await here.run(1)).toBe(0);
  const resumed = await runCli(["resume", "users", "--approve-deletes", "-c", project.folder], { cwd: project.folder });
  expect(resumed).toMatchObject({ code: 0 });
  expect(await here.run()).toBe(300);
  await equal(here);
});

test("killed again and again, nothing is lost and no content has two ids", { timeout: 180_000 }, async () => {
  await using here = await place();
  const { database, receiver, project } = here;
  const random = prng(11);
  for (let kill = 0; kill < 4; kill += 1) {
    const before = receiver.counts.requests;
    await using engine = startCli(["run", "-c", project.folder], { cwd: project.folder });
    await receiver.until(({ counts }) => counts.requests > before, 40_000);
    for (let change = 0; change < 30; change += 1) {
      const id = 1 + random.int(520);
      await database.sql(
        random.int(3) === 0
          ? `DELETE FROM users WHERE id = ${id}`
          : `INSERT INTO users VALUES (${id}, 'new ${kill} ${change}', 'paid', 0) ON CONFLICT (id) DO UPDATE SET name = excluded.name`,
      );
    }
    engine.kill("SIGKILL");
    await engine.exit;
    await receiver.restart();
    await database.sql(`UPDATE users SET name = 'after kill ${kill}' WHERE id = ${100 + kill}`);
  }
  await here.run();
  await equal(here);
  expect(overlaps(receiver.ledger.entries)).toEqual([]);
  const contents = new Map<string, string>();
  for (const { id, op, record } of rowsOf(receiver.ledger.entries)) {
    const content = op === "delete" ? `delete ${record?.["id"]}` : `${op} ${JSON.stringify(record)}`;
    expect(contents.get(id) ?? content).toBe(content);
    contents.set(id, content);
  }
});
