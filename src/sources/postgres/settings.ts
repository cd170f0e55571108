import * as z from "zod";
import { addressOf } from "./address.ts";

export const TLS_MODES = ["disable", "require", "verify-ca", "verify-full"] as const;
export type TlsMode = (typeof TLS_MODES)[number];

const tls = z
  .strictObject({
    mode: z
      .enum(TLS_MODES)
      .optional()
      .describe(
        "How much is asked of the server's certificate. Default: `verify-full` for remote hosts, `disable` for this machine. " +
          "`require` encrypts and does not verify; `verify-ca` does not compare the host's name.",
      ),
    ca: z.string().min(1).optional().describe("File with the certificate authorities to trust (PEM)."),
    cert: z.string().min(1).optional().describe("File with the client's certificate (PEM)."),
    key: z.string().min(1).optional().describe("File with the client's private key (PEM)."),
  })
  .optional()
  .describe("TLS to the database.");

export const settings = z
  .strictObject({
    url: z
      .string()
      .min(1)
      .optional()
      .meta({ secret: true })
      .describe("`postgres://user:password@host:port/database?sslmode=…`; reserved characters are %-encoded."),
    host: z.string().min(1).optional().describe("Host name, address, or the folder of a Unix socket."),
    port: z.int().min(1).max(65535).optional().describe("Port. Default: 5432. Not a pooler's port."),
    user: z.string().min(1).optional().describe("Role to connect as."),
    password: z
      .string()
      .optional()
      .meta({ secret: true })
      .describe("The role's password, as it is: nothing in it needs encoding."),
    database: z.string().min(1).optional().describe("Database to read. Default: named like the user."),
    tls,
    slot: z
      .string()
      .regex(/^[a-z0-9_]{1,63}$/, "a slot's name has at most 63 of a-z, 0-9 and _")
      .optional()
      .describe("Name of the replication slot. Default: made of the project's and the source's names."),
    publication: z.string().min(1).optional().describe("Name of the publication. Default: named like the slot."),
    failover: z
      .boolean()
      .default(true)
      .describe(
        "Whether standbys keep the slot too, so that a failover does not lose it. From PostgreSQL 17 on; ignored before.",
      ),
    heartbeat_ms: z
      .int()
      .min(0)
      .max(3_600_000)
      .default(30_000)
      .describe(
        "How often a message is written into the log of a quiet database, so that the slot moves on. 0: never.",
      ),
    silent_after_ms: z
      .int()
      .min(1000)
      .max(3_600_000)
      .default(25_000)
      .describe(
        "The replication connection is opened anew when not a byte came for so long, though an answer was asked for.",
      ),
    schema: z.string().min(1).default("public").describe("Schema of tables that are named without one."),
  })
  .superRefine((value, context) => {
    const found = addressOf(value);
    if ("problem" in found) {
      context.addIssue({ code: "custom", message: found.problem, path: found.at });
    }
  });

export type Settings = z.output<typeof settings>;
