import * as z from "zod";
import { checkAddress, connectionFields } from "../../kit/mysql/settings.ts";

export const settings = z
  .strictObject({
    ...connectionFields,
    port: connectionFields.port.describe("Port. Default: 3306. Not a proxy's port."),
    server_id: z
      .int()
      .min(1)
      .max(4_294_967_295)
      .optional()
      .describe(
        "The number that Tailrace has among the server's replicas; no other may have it. Default: made of the project's and the source's names, above 2 000 000 000.",
      ),
    silent_after_ms: z
      .int()
      .min(1000)
      .max(3_600_000)
      .default(25_000)
      .describe(
        "The connection that reads the log is opened anew when not a byte came for so long, not even a heartbeat.",
      ),
  })
  .superRefine(checkAddress);

export type Settings = z.output<typeof settings>;
