import { TailraceError } from "../../contracts/errors.ts";
import { quoteIdentifier } from "../../kit/sql.ts";
import { checksum } from "../checksum.ts";
import type { Session, Sessions } from "./sessions.ts";
import { corrupt } from "./state-error.ts";

/** The tables' names as SQL, with their schema. */
export type Names = Readonly<Record<TableName, string>>;
type TableName = keyof typeof TABLES;

/** What the present version has. More columns and tables do not matter; fewer are a damaged state. */
const TABLES = {
  meta: ["name", "value", "checksum"],
  sync: "name position incarnation backfill paused stopped generation delivered rejected epoch serial held checksum".split(
    " ",
  ),
  failure: ["sync", "id", "position", "letter", "checksum"],
  request: ["id", "sync", "request", "checksum"],
  lease: ["sync", "epoch", "owner", "server", "expires_at"],
  report: ["sync", "report", "reported_at", "checksum"],
  sent_of: ["sync", "identity"],
  sent: ["sync", "key", "generation", "detail", "hash"],
  dropped: ["sync", "at_ms", "id", "record", "checksum"],
  dropped_count: ["sync", "count", "checksum"],
  indexed_model: ["sync", "identity", "parts", "last", "places", "rows"],
  indexed: ["sync", "key", "place", "version", "confirmed", "hash", "record", "identity"],
  indexed_free: ["sync", "place"],
  indexed_part: ["sync", "places", "value", "key"],
} as const;

/**
 * Numbered steps, forward only; a step that was released is never edited. Step n makes schema version n.
 *
 * Text is compared by its bytes ("C"): positions and ids have an order of their own, which no language's rules may change.
 * Every row that matters carries a checksum over its own content.
 */
const STEPS: readonly ((names: Names) => string)[] = [
  (names) => `
  CREATE TABLE ${names.meta} (name text COLLATE "C" PRIMARY KEY, value text NOT NULL, checksum text NOT NULL);

  -- epoch and serial: the lease that wrote the row last, and which of its commits that was.
  -- incarnation: long and rarely changed; what lies in the TOAST is not written again when the row is.
  CREATE TABLE ${names.sync} (
    name text COLLATE "C" PRIMARY KEY,
    position text COLLATE "C",
    incarnation text,
    backfill text,
    paused boolean NOT NULL,
    stopped text,
    generation bigint NOT NULL,
    delivered bigint NOT NULL,
    rejected bigint NOT NULL,
    epoch bigint NOT NULL,
    serial bigint NOT NULL,
    checksum text NOT NULL
  ) WITH (fillfactor = 50);

  -- letter: JSON of the whole dead letter, because a text here cannot hold a NUL, and what a tool answered can.
  CREATE TABLE ${names.failure} (
    sync text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    position text COLLATE "C" NOT NULL,
    letter text NOT NULL,
    checksum text NOT NULL,
    PRIMARY KEY (sync, id)
  );
  CREATE INDEX failure_order ON ${names.failure} (sync, position, id);

  CREATE TABLE ${names.request} (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sync text COLLATE "C" NOT NULL,
    request text NOT NULL,
    checksum text NOT NULL
  );
  CREATE INDEX request_of_sync ON ${names.request} (sync, id);

  -- server: when the server started by whose clock expires_at was written.
  CREATE TABLE ${names.lease} (
    sync text COLLATE "C" PRIMARY KEY,
    epoch bigint NOT NULL,
    owner text COLLATE "C",
    server timestamptz,
    expires_at timestamptz
  ) WITH (fillfactor = 50);

  CREATE TABLE ${names.report} (
    sync text COLLATE "C" PRIMARY KEY, report text NOT NULL, reported_at timestamptz NOT NULL, checksum text NOT NULL
  ) WITH (fillfactor = 50);
  `,
  // held: JSON of SyncState.heldDeletes.
  // sent: one row for each record of a destination. detail: JSON of what identifies it, where the key alone does not.
  // hash: for the hash of what was last sent.
  (names) => `
  ALTER TABLE ${names.sync} ADD COLUMN held text;
  CREATE TABLE ${names.sent_of} (sync text COLLATE "C" PRIMARY KEY, identity text NOT NULL);
  CREATE TABLE ${names.sent} (
    sync text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    generation bigint NOT NULL,
    detail text,
    hash bytea,
    PRIMARY KEY (sync, key)
  );
  `,
  // record: JSON of a DroppedFailure. The count goes on where records are forgotten.
  (names) => `
  CREATE TABLE ${names.dropped} (
    sync text COLLATE "C" NOT NULL,
    at_ms bigint NOT NULL,
    id text COLLATE "C" NOT NULL,
    record text NOT NULL,
    checksum text NOT NULL,
    PRIMARY KEY (sync, at_ms, id)
  );
  CREATE TABLE ${names.dropped_count} (sync text COLLATE "C" PRIMARY KEY, count bigint NOT NULL, checksum text NOT NULL);
  `,
  // One row for each row of a model that is not read from the log itself. last: the greatest version that was given; places: how many there
  // are, with those in indexed_free. Announced, then confirmed: room for the second beside the first.
  (names) => `
  CREATE TABLE ${names.indexed_model} (
    sync text COLLATE "C" PRIMARY KEY,
    identity text NOT NULL,
    parts text NOT NULL,
    last bigint NOT NULL,
    places bigint NOT NULL,
    rows bigint NOT NULL
  ) WITH (fillfactor = 50);
  CREATE TABLE ${names.indexed} (
    sync text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    place bigint NOT NULL,
    version bigint NOT NULL,
    confirmed boolean NOT NULL,
    hash bytea,
    record text,
    identity text,
    PRIMARY KEY (sync, key)
  ) WITH (fillfactor = 50);
  CREATE TABLE ${names.indexed_free} (sync text COLLATE "C" NOT NULL, place bigint NOT NULL, PRIMARY KEY (sync, place));
  CREATE TABLE ${names.indexed_part} (
    sync text COLLATE "C" NOT NULL,
    places text COLLATE "C" NOT NULL,
    value text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    PRIMARY KEY (sync, places, value, key)
  );
  `,
  // writer: SyncState.writerMemory.
  (names) => `ALTER TABLE ${names.sync} ADD COLUMN writer text;`,
];

export const SCHEMA_VERSION = STEPS.length;

export function namesIn(schema: string): Names {
  const quoted = quoteIdentifier(schema);
  return Object.fromEntries(
    Object.keys(TABLES).map((table) => [table, `${quoted}.${quoteIdentifier(table)}`]),
  ) as Names;
}

export interface SchemaOptions {
  readonly sessions: Sessions;
  readonly schema: string;
  readonly where: string;
  readonly readOnly: boolean;
}

/**
 * Sees to it that the schema has our tables, in the present version. false: there are none, and `readOnly` makes none.
 * Throws `state.version`, `state.corrupt`, `state.refused`, `state.unavailable`.
 */
export async function prepareSchema(options: SchemaOptions): Promise<boolean> {
  const { sessions, readOnly, where } = options;
  const version = await sessions.readTogether((session) => versionOf(session, options));
  if (version === SCHEMA_VERSION) return true;
  if (readOnly) {
    if (version === 0) return false;
    throw new TailraceError(
      "state.version",
      `${where} has an older state schema (${version}; this Tailrace has ${SCHEMA_VERSION}) and was opened read-only; \`tailrace run\` brings it up to date`,
    );
  }
  await sessions.writeOrFail(async (session) => {
    await session.rows("SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended($1, 0))::text", [
      `tailrace state ${options.schema}`,
    ]);
    // Read again under the lock: another process may have done it.
    await migrate(session, options, await versionOf(session, options));
  });
  return true;
}

/** 0: none of our tables is there. */
async function versionOf(session: Session, { schema, where }: SchemaOptions): Promise<number> {
  const [server] = await session.rows("SELECT pg_catalog.current_setting('server_encoding') AS encoding");
  if (server?.["encoding"] !== "UTF8")
    throw new TailraceError(
      "state.refused",
      `${where}: the database's encoding is ${server?.["encoding"]}; the state needs UTF8`,
    );
  const found = await session.rows(
    `SELECT c.relname::text AS table, a.attname::text AS column
     FROM pg_catalog.pg_class c
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     WHERE n.nspname = $1 AND c.relname::text = ANY ($2) AND c.relkind IN ('r', 'p')`,
    [schema, Object.keys(TABLES)],
  );
  if (found.length === 0) return 0;
  const has = new Set(found.map((row) => `${row["table"]}.${row["column"]}`));
  const lacks = (table: TableName): boolean => TABLES[table].some((column) => !has.has(`${table}.${column}`));
  if (lacks("meta"))
    throw corrupt(where, "there are tables named like those of a state, but not the one that says its version");
  const [meta] = await session.rows(`SELECT value, checksum FROM ${namesIn(schema).meta} WHERE name = 'schema'`);
  const value = meta?.["value"] ?? "";
  if (meta?.["checksum"] !== checksum("meta", ["schema", value]))
    throw corrupt(where, "the schema's version is damaged");
  const version = Number(value);
  if (version > SCHEMA_VERSION)
    throw new TailraceError(
      "state.version",
      `${where} has state schema ${version}; this Tailrace knows schemas up to ${SCHEMA_VERSION}`,
    );
  if (version === SCHEMA_VERSION)
    for (const table of Object.keys(TABLES) as TableName[])
      if (lacks(table)) throw corrupt(where, `the table ${table} is not as it should be`);
  return version;
}

async function migrate(session: Session, { schema }: SchemaOptions, from: number): Promise<void> {
  if (from >= SCHEMA_VERSION) return;
  const names = namesIn(schema);
  // Not IF NOT EXISTS: that asks for the right to make schemas also where there is nothing to make.
  const [known] = await session.rows("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1", [schema]);
  if (known === undefined) await session.run(`CREATE SCHEMA ${quoteIdentifier(schema)}`);
  for (const step of STEPS.slice(from)) await session.run(step(names));
  const value = String(SCHEMA_VERSION);
  await session.rows(
    `INSERT INTO ${names.meta} (name, value, checksum) VALUES ('schema', $1, $2)
     ON CONFLICT (name) DO UPDATE SET value = excluded.value, checksum = excluded.checksum`,
    [value, checksum("meta", ["schema", value])],
  );
}
