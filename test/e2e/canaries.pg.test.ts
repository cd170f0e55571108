// Secrets in every field of the configuration that holds one, and values in every column but the key, are told apart from all
// other text in the world. A whole run, with all that can go wrong, and then: where do they turn up?
import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type CliOptions, runCli, startCli } from "../support/cli.ts";
import { testDatabase } from "../support/postgres.ts";
import { testProject } from "../support/project.ts";
import { startReceiver } from "../support/receiver.ts";
import { status } from "../support/receiver-script.ts";

const canary = (name: string): string => `canary${name}${randomBytes(6).toString("hex")}`;

const SECRETS = {
  SOURCE_PASSWORD: canary("source"),
  TARGET_PASSWORD: canary("target"),
  URL_PASSWORD: canary("url"),
  URL_TOKEN: canary("query"),
  HEADER: canary("header"),
  SIGNING: `whsec_${randomBytes(24).toString("base64")}`,
  ALERT_PATH: canary("alert"),
  ALERT_SIGNING: `whsec_${randomBytes(24).toString("base64")}`,
};
const NAME = canary("name");
const NOTE = canary("note");

/** Every file under a folder, with its bytes as text. */
function filesIn(folder: string): readonly (readonly [path: string, text: string])[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((path) => statSync(join(folder, path)).isFile())
    .map((path) => [path, readFileSync(join(folder, path), "latin1")] as const);
}

test("secrets turn up nowhere, row values only where the documentation says", { timeout: 180_000 }, async () => {
  await using source = await testDatabase();
  await using target = await testDatabase();
  const reader = `r_${source.name}`;
  const writer = `w_${target.name}`;
  await source.sql(`CREATE TABLE users (id int PRIMARY KEY, name text, note text, plan text);
    CREATE ROLE ${reader} LOGIN SUPERUSER PASSWORD '${SECRETS.SOURCE_PASSWORD}'`);
  await target.sql(`CREATE TABLE users (id int PRIMARY KEY, name text, note varchar(80), plan text CHECK (plan <> 'bad'));
    CREATE ROLE ${writer} LOGIN SUPERUSER PASSWORD '${SECRETS.TARGET_PASSWORD}'`);
  const values = (from: number, to: number): string =>
    `SELECT i, '${NAME}', '${NOTE}' || CASE WHEN i % 7 = 0 THEN repeat('x', 100) ELSE '' END,
            CASE WHEN i % 5 = 0 THEN 'bad' ELSE 'good' END FROM generate_series(${from}, ${to}) i`;
  await source.sql(`INSERT INTO users ${values(1, 40)}`);

  // Says everything back that it was sent, as receivers like to do, with every kind of answer.
  const echo = (code: number, request: { readonly body: string; readonly headers: unknown; readonly path: string }) =>
    status(code, {}, `${request.path} ${JSON.stringify(request.headers)} ${request.body}`);
  let code = 200;
  await using receiver = await startReceiver({
    rows: () => [],
    script: (request) =>
      code === 302
        ? { kind: "redirect", location: `http://127.0.0.1:9${request.path}?${NAME}` }
        : echo(request.body.includes('"bad"') ? 422 : code, request),
  });
  const { hostname, port } = new URL(source.url);
  const host = new URL(receiver.url).host;
  await using at = await testProject(`
log: { level: debug }
sources: { db: { type: postgres, host: "${hostname}", port: ${port}, user: ${reader}, password: "\${SOURCE_PASSWORD}", database: ${source.name} } }
models: { users: { source: db, table: public.users } }
destinations:
  hook:
    type: webhook
    url: "http://user:\${URL_PASSWORD}@${host}/in?token=\${URL_TOKEN}"
    headers: { x-api-key: "\${HEADER}" }
    secret: "\${SIGNING}"
    allow_private: true
  other: { type: postgres, url: "postgres://${writer}:\${TARGET_PASSWORD}@${new URL(target.url).host}/${target.name}" }
alerts:
  ops: { type: webhook, url: "${receiver.url}/\${ALERT_PATH}", secret: "\${ALERT_SIGNING}", allow_private: true }
syncs:
  hook: { model: users, destination: hook, mode: mirror, max_wait: 1s, max_deletes: 100% }
  other: { model: users, destination: other, object: users, mode: mirror, max_deletes: 100% }
  mapped: { model: users, destination: hook, mode: mirror, max_deletes: 100%, map: { id: id, n: { column: name, as: number } } }
`);
  const options: CliOptions = { cwd: at.folder, env: SECRETS };
  const said: string[] = [];
  const tailrace = async (...args: string[]): Promise<void> => {
    const { stdout, stderr } = await runCli([...args, "-c", at.folder], options);
    said.push(stdout, stderr);
  };
  await tailrace("check");
  await tailrace("plan");
  {
    await using engine = startCli(["run", "-c", at.folder, "--log-level", "debug"], options);
    await engine.waitFor(/dead letter|rejected/);
    let id = 100;
    const answers: readonly (readonly [code: number, said: string])[] = [
      [500, "destination.unavailable"],
      [429, "destination.throttled"],
      [302, "destination.config"],
      [401, "destination.auth"],
    ];
    for (const [answered, as] of answers) {
      code = answered;
      id += 10;
      await source.sql(`INSERT INTO users ${values(id, id + 9)}; UPDATE users SET note = note || 'u' WHERE id % 3 = 0`);
      await engine.waitFor((line) => line.includes(as), 60_000);
      if (answered !== 302) continue;
      code = 200;
      await tailrace("resume", "hook");
      await tailrace("resume", "mapped");
    }
    code = 200;
    // The databases refuse: the sessions end, and the passwords are not accepted any more.
    await source.sql(`ALTER ROLE ${reader} PASSWORD 'another'`);
    await target.sql(`ALTER ROLE ${writer} PASSWORD 'another'`);
    await source.sql(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tailrace' AND datname = current_database()",
    );
    await engine.waitFor(/source\.auth/, 60_000);
    await source.sql(`ALTER ROLE ${reader} PASSWORD '${SECRETS.SOURCE_PASSWORD}'`);
    await target.sql(`ALTER ROLE ${writer} PASSWORD '${SECRETS.TARGET_PASSWORD}'`);
    await tailrace("status");
    await tailrace("status", "--json");
    for (const sync of ["hook", "other", "mapped"]) {
      await tailrace("explain", sync);
      await tailrace("failures", "list", sync);
      await tailrace("failures", "list", sync, "--json");
    }
    await tailrace("failures", "retry", "hook", "--all", "--yes");
    await tailrace("failures", "drop", "other", "--all", "--yes", "--why", "none");
    await tailrace("failures", "list", "other", "--dropped");
    await tailrace("slots");
    await tailrace("alerts", "test");
    engine.kill("SIGTERM");
    await engine.exit;
    said.push(...engine.stdout, ...engine.stderr);
  }
  const { stdout } = await runCli(["failures", "list", "hook", "--json", "-c", at.folder], options);
  const { failures } = JSON.parse(stdout) as { failures: readonly { readonly id: string }[] };
  expect(failures.length).toBeGreaterThan(3);
  await tailrace("failures", "show", "hook", failures[0]!.id);
  // The first of them is wrong: what a person is told of it.
  const wrong = await runCli(["check", "-c", at.folder], { ...options, env: { ...SECRETS, SIGNING: `${NAME}no` } });
  said.push(wrong.stdout, wrong.stderr);
  expect(wrong.code).not.toBe(0);

  const text = said.join("\n");
  const found = (words: readonly string[]): readonly string[] => words.filter((word) => text.includes(word));
  expect(found([...Object.values(SECRETS), `${NAME}no`])).toEqual([]);
  expect(found([NAME, NOTE])).toEqual([]);
  // It was no empty run.
  const troubles = ["destination.refused", "delivery.mapping", "destination.auth", "destination.config", "source.auth"];
  expect(found(troubles)).toEqual(troubles);

  const files = filesIn(at.folder).filter(([path]) => path !== "tailrace.yml");
  expect(files.map(([path]) => path)).toContain(join(".tailrace", "state.db"));
  // The search finds what is there.
  expect(files.some(([path, bytes]) => path.includes("history") && bytes.includes(NAME))).toBe(true);
  for (const [path, bytes] of files) {
    for (const secret of Object.values(SECRETS)) expect([path, bytes.includes(secret)]).toEqual([path, false]);
    // docs/state.md: the history for `tailrace trace` has row values; a state of syncs that send state has none.
    if (path.includes("history")) continue;
    for (const value of [NAME, NOTE]) expect([path, bytes.includes(value)]).toEqual([path, false]);
  }
  await source.sql(`DROP OWNED BY ${reader}; DROP ROLE ${reader}`);
  await target.sql(`DROP OWNED BY ${writer}; DROP ROLE ${writer}`);
});
