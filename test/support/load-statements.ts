import { escapeLiteral } from "pg";
import type { Prng } from "./prng.ts";

/** SQL of the load's table; `name` as SQL takes it. `note` is stored out of line when it is long. */
export function loadTable(name: string): string {
  return `CREATE TABLE ${name} (
    id bigint PRIMARY KEY, version bigint NOT NULL, name text, amount numeric(20, 4), active boolean,
    seen_at timestamptz, doc jsonb, note text);
  ALTER TABLE ${name} ALTER COLUMN note SET STORAGE EXTERNAL`;
}

const WORDS = [
  "Ada",
  "Grüße",
  "日本語",
  "it's",
  'quo"te',
  "back\\slash",
  "tab\there",
  "line\nbreak",
  "🚰",
  "",
  " ",
  "null",
];

export function insert(table: string, id: number, version: bigint, random: Prng): string {
  return `INSERT INTO ${table} VALUES (${id}, ${version}, ${name(random)}, ${amount(random)}, ${active(random)}, ${seenAt(random)}, ${doc(random)}, ${note(random)})`;
}

/** Mostly leaves `note` alone, so that a long one is not in the log. */
export function update(table: string, id: number, version: bigint, random: Prng): string {
  const sets = [`version = ${version}`];
  if (random.chance(0.5)) sets.push(`name = ${name(random)}`);
  if (random.chance(0.5)) sets.push(`amount = ${amount(random)}`);
  if (random.chance(0.2)) sets.push(`active = ${active(random)}`);
  if (random.chance(0.2)) sets.push(`doc = ${doc(random)}`);
  if (random.chance(0.1)) sets.push(`note = ${note(random)}`);
  return `UPDATE ${table} SET ${sets.join(", ")} WHERE id = ${id}`;
}

export function changeKey(table: string, id: number, to: number, version: bigint): string {
  return `UPDATE ${table} SET id = ${to}, version = ${version} WHERE id = ${id}`;
}

export function remove(table: string, id: number): string {
  return `DELETE FROM ${table} WHERE id = ${id}`;
}

/** All rows of a COPY share one place in the log. The server must be on this machine, the user a superuser. */
export function copy(table: string, rows: readonly { readonly id: number; readonly version: bigint }[]): string {
  const lines = rows.map(({ id, version }) => `${id},${version},copied`).join("\\n");
  return `COPY ${table} (id, version, name) FROM PROGRAM ${escapeLiteral(`printf '${lines}\\n'`)} WITH (FORMAT csv)`;
}

function name(random: Prng): string {
  return random.chance(0.1) ? "NULL" : escapeLiteral(`${random.pick(WORDS)} ${random.int(1000)}`);
}

function amount(random: Prng): string {
  if (random.chance(0.05)) return "NULL";
  return random.chance(0.02) ? "'NaN'" : `${random.int(1e9)}${random.int(1e7)}.${random.int(10_000)}`;
}

function active(random: Prng): string {
  return random.pick(["true", "false", "NULL"]);
}

function seenAt(random: Prng): string {
  if (random.chance(0.02)) return "'infinity'";
  return `'2026-01-01T00:00:00Z'::timestamptz + '${random.int(1e9)} microseconds'::interval`;
}

function doc(random: Prng): string {
  return escapeLiteral(`{"n": 1234567890123456789.${random.int(100)}, "s": ${JSON.stringify(random.pick(WORDS))}}`);
}

function note(random: Prng): string {
  if (random.chance(0.5)) return "NULL";
  return random.chance(0.5) ? `repeat('${random.int(1e9)} ', 700)` : `'short ${random.int(100)}'`;
}
