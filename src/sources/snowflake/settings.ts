import * as z from "zod";
import { pollSettings } from "../../kit/feed/pace.ts";
import { secretReference } from "../../kit/secret.ts";

const name = z.string().min(1);
const secret = z.union([z.string().min(1), secretReference]);

export const settings = z
  .strictObject({
    account: name.describe("The account's identifier: `myorg-myaccount`."),
    user: name.describe("The user whose public key is set (`ALTER USER … SET RSA_PUBLIC_KEY = …`)."),
    private_key: secret
      .meta({ secret: true })
      .describe(
        "Its private key in PEM, or `{ file: … }` or `{ command: […] }`: read anew for each connection, so that it may change.",
      ),
    private_key_passphrase: secret
      .optional()
      .meta({ secret: true })
      .describe("What the private key is encrypted with, if it is."),
    role: name.describe("The role to work as."),
    warehouse: name.describe("The warehouse that reads rows. It is woken only when there is something to read."),
    database: name.describe(
      "The database of the tables, and of the schema TAILRACE, where what Tailrace needs is made.",
    ),
    schema: name.default("PUBLIC").describe("The schema of tables that are named without one."),
    feed: z
      .enum(["auto", "streams", "changes"])
      .default("auto")
      .describe(
        "`streams`: a stream and a table of ours for each model. `changes`: Time Travel's CHANGES, which needs no right to write. `auto`: streams, where the role may make them.",
      ),
    poll: pollSettings({ fastestMs: 1000, slowestMs: 10_000 }).describe(
      "How often to ask whether there are changes, in ms. It wakes no warehouse.",
    ),
    settle_ms: z
      .int()
      .min(0)
      .max(60_000)
      .default(500)
      .describe("With `changes`: how far behind Snowflake's clock the history is taken for complete."),
    url: z.url().optional().describe("Where the account is, if not at its usual host: a private link."),
  })
  .describe("Reads Snowflake's streams, or its CHANGES.");

export type Settings = z.output<typeof settings>;
