// Where a MySQL or MariaDB server is and how to log in, as settings: the same ones for reading and for writing.
import * as z from "zod";
import { secretReference } from "../secret.ts";
import { addressOf } from "./address.ts";

/** What is asked of the server's certificate, the strongest last. */
export const TLS_MODES = ["disable", "require", "verify-ca", "verify-full"] as const;
export type TlsMode = (typeof TLS_MODES)[number];

const tlsMode = z.enum([...TLS_MODES, "off"]);
const file = z.string().min(1).optional();

/** The settings that every connection to MySQL has, for a connector's own object. */
export const connectionFields = {
  url: z
    .string()
    .min(1)
    .optional()
    .meta({ secret: true })
    .describe("`mysql://user:password@host:port/database?ssl-mode=…`; reserved characters are %-encoded."),
  host: z.string().min(1).optional().describe("Host name, address, or the file of a Unix socket."),
  port: z.int().min(1).max(65535).optional().describe("Port. Default: 3306."),
  user: z.string().min(1).optional().describe("User to connect as."),
  password: z
    .union([z.string(), secretReference])
    .optional()
    .meta({ secret: true })
    .describe(
      "The user's password, as it is: nothing in it needs encoding. `{ file: … }` or `{ command: […] }`: read anew for each connection, so that it may change.",
    ),
  database: z.string().min(1).optional().describe("Database of tables that are named without one."),
  tls: z
    .union([
      tlsMode,
      z.strictObject({
        mode: tlsMode
          .optional()
          .describe(
            "How much is asked of the server's certificate. Default: `verify-full` for remote hosts, `disable` for this machine. " +
              "`require` encrypts and does not verify; `verify-ca` does not compare the host's name; `off` is `disable`.",
          ),
        ca: file.describe("File with the certificate authorities to trust (PEM)."),
        cert: file.describe("File with the client's certificate (PEM)."),
        key: file.describe("File with the client's private key (PEM)."),
      }),
    ])
    .optional()
    .describe("TLS to the server; a word alone is its `mode`."),
};

const connection = z.object(connectionFields);
export type ConnectionSettings = z.output<typeof connection>;

/** A `superRefine` of the connector's object: says what is wrong with the address as a whole. */
export function checkAddress(value: ConnectionSettings, context: z.RefinementCtx): void {
  const found = addressOf(value);
  if ("problem" in found) context.addIssue({ code: "custom", message: found.problem, path: found.at });
}
