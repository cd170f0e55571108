import * as z from "zod";
import { secretSetting } from "../../kit/vendor/settings.ts";

const BROKER = /^(?:\[[0-9A-Fa-f:.]+\]|[^\s:/,[\]]+):\d{1,5}$/;
const TOPIC = /^(?:[A-Za-z0-9._-]|\{sync\})+$/;

const file = z.string().min(1);

const tls = z
  .union([
    z.boolean(),
    z
      .strictObject({
        ca: file.optional().describe("The certificate authority to trust: a PEM file, or the PEM text."),
        cert: file.optional().describe("Our client certificate: a PEM file, or the PEM text."),
        key: file
          .optional()
          .meta({ secret: true })
          .describe("Our client certificate's key: a PEM file, or the PEM text."),
      })
      .refine(({ cert, key }) => (cert === undefined) === (key === undefined), {
        error: "`cert` and `key` belong together.",
      }),
  ])
  .default(false)
  .describe("Whether connections are encrypted; an object: with certificates of your own. The brokers' are verified.");

const sasl = z
  .strictObject({
    mechanism: z
      .enum(["plain", "scram-sha-256", "scram-sha-512"])
      .describe("How to sign in; `plain` sends the password itself, so only with `tls`."),
    user: z.string().min(1).describe("The user, or the API key."),
    password: secretSetting("The password, or the API key's secret."),
  })
  .optional()
  .describe("How to sign in, where the brokers ask for it.");

export const settings = z
  .strictObject({
    brokers: z
      .array(z.string().regex(BROKER, "Not `host:port`."))
      .min(1)
      .describe("Some of the cluster's brokers, as `host:port`; the others are found by them."),
    topic: z
      .string()
      .regex(TOPIC, "A topic's name has letters, digits, `.`, `_` and `-`; `{sync}` becomes the sync's name.")
      .default("{sync}")
      .describe("The topic of syncs without `object`. `{sync}` becomes the sync's name."),
    tls,
    sasl,
    batch_bytes: z
      .int()
      .min(1024)
      .max(104_857_600)
      .default(800_000)
      .describe("The most that one request carries: less than the topics' `max.message.bytes` (Kafka: 1,048,588)."),
    timeout_ms: z
      .int()
      .min(100)
      .max(600_000)
      .default(30_000)
      .describe("How long a broker may take to connect, and to answer one request."),
  })
  .describe("Records of Kafka topics, keyed by the model's key.");

export const options = z
  .strictObject({
    value: z
      .enum(["envelope", "record"])
      .default("envelope")
      .describe(
        "`envelope`: the record with its id, key, position and what happened, as the webhook sends it; `record`: the record alone.",
      ),
    key: z
      .enum(["json", "text"])
      .default("json")
      .describe(
        '`json`: the model\'s key by its columns, `{"id":42}`; `text`: the value alone, `42` (several columns: a JSON array of texts).',
      ),
    tombstones: z
      .boolean()
      .default(true)
      .describe("A delete is a record without value, by which compaction drops the key. `false`: its value tells it."),
  })
  .prefault({})
  .describe("How records look.");

export type KafkaSettings = z.output<typeof settings>;
export type KafkaOptions = z.output<typeof options>;
