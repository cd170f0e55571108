// What keeps a query from being followed live, or its tables from making a comparison due.
import { quoteIdentifier } from "../../kit/sql.ts";
import type { TableInfo } from "./catalog.ts";
import { notReadable } from "./describe.ts";
import type { ReadRelation } from "./describe-query.ts";
import type { LiveAnalysis, QueryAnalysis } from "./query/analyse.ts";

export interface Obstacle {
  /** For findings: `not_live`. */
  readonly code: string;
  /** For people, as part of a sentence. */
  readonly what: string;
  /** Statements ready to paste; null: another query is needed. */
  readonly fix: string | null;
}

export function obstacleText({ what, fix }: Obstacle): string {
  return fix === null ? what : `${what}. Run: ${fix}`;
}

/** Why the log does not tell a table's changes, or must not be made to; null: it can. */
export function whyUntold(table: TableInfo): Obstacle | null {
  const what = notReadable(table);
  if (what !== null) return notInLog(`it reads ${table.sql}, ${what}: the log does not hold its changes`);
  const unlogged = table.leaves.find(({ persistence }) => persistence !== "p");
  if (unlogged) return notInLog(`it reads ${unlogged.sql}, an unlogged table: the log does not hold its changes`);
  const without = table.leaves.filter(({ replicaIdentity }) => replicaIdentity.columns.length === 0);
  if (without.length === 0) return null;
  return {
    code: "replica_identity",
    what:
      `${without.map(({ sql }) => sql).join(", ")} has no usable replica identity, so publishing it would make its own updates ` +
      "and deletes fail; it is not published, and its changes are not heard of",
    fix: fullIdentity(without),
  };
}

function notInLog(what: string): Obstacle {
  return { code: "not_in_log", what, fix: null };
}

/** Why a query is not followed live; empty: it is. `told`: its tables whose changes the log tells, `reads`: all that it reads. */
export function whyNotLive(
  analysis: QueryAnalysis,
  told: readonly TableInfo[],
  reads: readonly ReadRelation[],
  role: string,
): readonly Obstacle[] {
  if (analysis.kind === "diff") {
    return analysis.reasons.map(({ construct, place, advice }) =>
      notLive(`${construct}${place === null ? "" : ` at ${place}`}: ${advice}`),
    );
  }
  return [...hiddenTables(analysis, told), ...unreadable(analysis, reads, role), ...missingOldRows(analysis)];
}

function notLive(what: string): Obstacle {
  return { code: "not_live", what, fix: null };
}

/** Tables that are not what its SQL shows. */
function hiddenTables({ tables }: LiveAnalysis, told: readonly TableInfo[]): readonly Obstacle[] {
  const found = new Set(tables.map(({ id }) => id));
  // A partition that it reads by itself is told as its root.
  const roots = new Set(tables.flatMap(({ info: { root } }) => (root === null ? [] : [root.oid])));
  return [
    ...tables.flatMap(({ sql, info: { root } }) =>
      root === null
        ? []
        : [
            notLive(
              `it reads ${sql}, and the log names the rows of that partition under ${root.sql}: read that, with a condition`,
            ),
          ],
    ),
    ...told
      .filter(({ oid }) => !found.has(oid) && !roots.has(oid))
      .map(({ sql }) => notLive(`it reads ${sql} by way of another relation`)),
  ];
}

/** A view shows what our role may not read itself; the keys are looked for in the tables. */
function unreadable({ tables }: LiveAnalysis, reads: readonly ReadRelation[], role: string): readonly Obstacle[] {
  const readable = new Set(reads.filter((read) => read.readable).map(({ oid }) => oid));
  const to = quoteIdentifier(role);
  return tables.flatMap(({ id: oid, sql, namespace, info }): Obstacle[] => {
    if (info.rowSecurity) {
      const what = `row security hides rows of ${sql} from the role, and the keys that a change affects are looked for there`;
      return [{ code: "row_security", what, fix: `ALTER ROLE ${to} BYPASSRLS` }];
    }
    if (readable.has(oid)) return [];
    const fix = `GRANT USAGE ON SCHEMA ${quoteIdentifier(namespace)} TO ${to}; GRANT SELECT ON TABLE ${info.sql} TO ${to}`;
    return [
      {
        code: "select",
        what: `the role may not read ${sql}, where the keys that a change affects are looked for`,
        fix,
      },
    ];
  });
}

function missingOldRows({ missingOldRows: missing }: LiveAnalysis): readonly Obstacle[] {
  return missing.map(({ table, columns, statements }) => ({
    code: "replica_identity_old",
    what:
      `the log does not hold the old values of ${columns.join(", ")} of ${table.sql}, which tell the keys that a change affects. ` +
      `With FULL, every update and delete writes the whole old row to the log`,
    fix: statements.map((way) => way.join("; ")).join(" -- or: "),
  }));
}

function fullIdentity(tables: readonly { readonly sql: string }[]): string {
  return tables.map(({ sql }) => `ALTER TABLE ${sql} REPLICA IDENTITY FULL`).join("; ");
}
