import * as z from "zod";
import { pollSettings } from "../../kit/feed/pace.ts";
import { secretReference } from "../../kit/secret.ts";

const secret = z.union([z.string().min(1), secretReference]);

export const settings = z
  .strictObject({
    host: z
      .string()
      .min(1)
      .regex(/^[A-Za-z0-9.-]+$/, "give the host's name alone, without https:// and path")
      .describe("The workspace's host: `dbc-a1b2c3d4-e5f6.cloud.databricks.com`, `adb-123.4.azuredatabricks.net`."),
    port: z.int().min(1).max(65535).default(443).describe("Port."),
    http_path: z
      .string()
      .min(1)
      .describe("The SQL warehouse (or cluster): `/sql/1.0/warehouses/ID`, as its page says under Connection details."),
    token: secret
      .optional()
      .meta({ secret: true })
      .describe("A personal access token; `{ file: … }` or `{ command: […] }`: read anew for each connection."),
    oauth: z
      .strictObject({
        client_id: z.string().min(1).describe("The service principal's application id."),
        client_secret: secret.meta({ secret: true }).describe("Its OAuth secret."),
      })
      .optional()
      .describe("A service principal, machine to machine: what a server should use."),
    catalog: z
      .string()
      .min(1)
      .optional()
      .describe("The catalog of models that do not name one. Default: the workspace's."),
    schema: z.string().min(1).default("default").describe("The schema of models that do not name one."),
    ca: z.string().min(1).optional().describe("File with a further certificate authority to trust (PEM)."),
    poll: pollSettings({ fastestMs: 1_000, slowestMs: 30_000 }).describe(
      "How often a table's history is looked at. Each look keeps the warehouse running: with a `slowest_ms` above its auto stop it may sleep in between.",
    ),
  })
  .superRefine((value, context) => {
    if ((value.token === undefined) === (value.oauth === undefined))
      context.addIssue({ code: "custom", message: "give one of `token` and `oauth`", path: [] });
  })
  .describe("Reads Databricks tables by their Delta change data feed, and queries by comparing rows.");

export type Settings = z.output<typeof settings>;
