import type pg from "pg";
import type { TailraceError } from "../../contracts/errors.ts";
import type { Finding } from "../../contracts/finding.ts";
import { type Address, isLoopback } from "../../kit/postgres/address.ts";

const POOLER_PORTS = new Set([6432, 6543]);
const POOLER_FIX =
  "Give the database's own host and port (mostly 5432): a pooler cannot carry replication. " +
  "Neon: the host without `-pooler`; Supabase: the direct connection, not port 6543; PgBouncer: the server behind it.";

/** Whether host, port or URL are those of a connection pooler, as far as one can tell by looking. */
export function looksLikePooler(address: Pick<Address, "host" | "port" | "saysPooler">): boolean {
  return (
    address.saysPooler || POOLER_PORTS.has(address.port) || /pooler|pgbouncer|(^|[.-])pgcat([.-]|$)/i.test(address.host)
  );
}

/** The connection could not be made, or did not last. */
export function reachability(error: TailraceError, address: Address): Finding {
  const pooler = looksLikePooler(address);
  const fix = pooler && error.code === "source.unreachable" ? POOLER_FIX : (TLS_FIX[error.code] ?? error.hint);
  return {
    level: "error",
    code: error.code.replace("source.", "postgres."),
    message: `${error.message}${pooler ? "; the address looks like a connection pooler's" : ""}`,
    fix,
  };
}

const TLS_FIX: Readonly<Record<string, string>> = {
  "source.tls":
    "Give the authority that signed the server's certificate with `tls: { ca: FILE }` (RDS, Cloud SQL and Azure have one to download), " +
    "and the host name that the certificate is for.",
};

/** What the connection's encryption does not protect from. */
export function tlsFindings({ host, tls }: Address): readonly Finding[] {
  if (isLoopback(host)) return [];
  const fix = "tls: { mode: verify-full, ca: FILE } (and no `sslmode` in the url)";
  switch (tls.mode) {
    case "disable":
      return [
        {
          level: "warning",
          code: "postgres.tls_off",
          message: "The connection to a remote host is not encrypted: rows travel in plain text.",
          fix,
        },
      ];
    case "require":
      return [
        {
          level: "warning",
          code: "postgres.tls_unverified",
          message:
            "`require` encrypts, and does not verify whom it talks to: somebody in between can read and change everything.",
          fix,
        },
      ];
    default:
      return [];
  }
}

/**
 * A pooler that is between us and the server: it announces a process of its own, or of another session, as ours.
 */
export async function poolerFinding(client: pg.Client, address: Address): Promise<Finding | null> {
  const { rows } = await client.query<{ pid: string }>("SELECT pg_backend_pid()::text AS pid");
  const announced = (client as unknown as { processID: number | null }).processID;
  if (rows[0]!.pid === String(announced)) return null;
  return {
    level: "error",
    code: "postgres.pooler",
    message: `A connection pooler answers${looksLikePooler(address) ? ", as host and port suggest" : ""}, not the database itself.`,
    fix: POOLER_FIX,
  };
}

/** Why a replication connection failed where an ordinary one did not; null: another finding says it. */
export function replicationFinding(error: TailraceError, address: Address, known: readonly Finding[]): Finding | null {
  const told = known.some(({ code }) => code === "postgres.role_replication" || code === "postgres.wal_senders");
  if (told && (error.code === "source.config" || error.code === "source.unreachable")) return null;
  if (looksLikePooler(address)) {
    return {
      level: "error",
      code: "postgres.pooler",
      message: `Replication is refused by what looks like a pooler: ${error.message}`,
      fix: POOLER_FIX,
    };
  }
  return {
    level: "error",
    code: "postgres.replication_connection",
    message: `An ordinary connection works, a replication connection does not: ${error.message}`,
    fix:
      error.code === "source.auth"
        ? "Allow the role in pg_hba.conf for this database, then SELECT pg_reload_conf();"
        : "Connect to the database itself, not through a pooler or proxy, with a role that may replicate.",
  };
}
