import * as z from "zod";
import { checkAddress, connectionFields } from "../../kit/postgres/settings.ts";

const PORT = 6875;

export const settings = z
  .strictObject({
    ...connectionFields,
    port: connectionFields.port.describe("Port. Default: 6875; a `url` names its own."),
    schema: z.string().min(1).default("public").describe("The schema of models that do not name one."),
    cluster: z.string().min(1).optional().describe("The cluster that runs what we ask. Default: the role's."),
  })
  .superRefine(checkAddress)
  .transform((given) => (given.url === undefined ? { ...given, port: given.port ?? PORT } : given))
  .describe("Follows what Materialize maintains, by SUBSCRIBE over the PostgreSQL protocol.");

export type Settings = z.output<typeof settings>;
