import * as z from "zod";
import { allowPrivateSetting } from "../../kit/address-guard.ts";
import { secretReference } from "../../kit/secret.ts";
import { signingSecretSetting } from "../../kit/http/signature.ts";

const text = z.string().min(1);

const statuses = z.array(
  z.union([
    z.int().min(200).max(599),
    z.string().regex(/^([2-5]xx|[2-5]\d\d(-[2-5]\d\d)?)$/, "Not a status: write 409, 200-299 or 5xx."),
  ]),
);

// Headers that say how the body is framed, or that Tailrace itself sets.
const RESERVED =
  /^(content-length|transfer-encoding|connection|keep-alive|proxy-.*|upgrade|expect|te|trailer|host|accept-encoding|webhook-.*|tailrace-.*)$/;

const headerName = z
  .string()
  .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, "Not a header name.")
  .refine((name) => !RESERVED.test(name.toLowerCase()), { error: "This header is set by Tailrace itself." });
const headerValue = z.string().refine((value) => !/[\r\n\0]/.test(value), { error: "A header's value is one line." });
const prefix = z.string().default("").describe("What stands before the secret: `Bearer `.");

const headers = z
  .record(headerName, z.union([headerValue, ...secretReference.options.map((option) => option.extend({ prefix }))]))
  .meta({ secret: true })
  .describe(
    "Headers of every request; values may be Liquid templates, and secrets as ${NAME}. `{ file: … }` or `{ command: […] }`, with a `prefix` where one is needed: read anew when the receiver answers 401 or 403.",
  );
const syncHeaders = z
  .record(headerName, headerValue)
  .meta({ secret: true })
  .describe("Headers of this sync's requests; they replace the destination's of the same name.");

const method = text.describe("The request's method, or a Liquid template that gives one.");
const payload = z
  .enum(["envelope", "record"])
  .describe("`envelope`: the record with its id, key, operation and time. `record`: the mapped record alone.");

const value = z.union([z.string(), z.number(), z.boolean()]);

const rowResults = z
  .strictObject({
    path: z
      .string()
      .default("")
      .describe("Where the list of results is in the answer: `results`, `data.items`; empty: the answer is the list."),
    index: text.optional().describe("The result's field that holds the row's place in the batch, from 0."),
    id: text
      .optional()
      .describe(
        "The result's field that holds the delivery's id (`webhook-id` of a single row, `id` in the envelope).",
      ),
    status: text.optional().describe("The result's field that says what became of the row, for example a status code."),
    error: text.optional().describe("The result's field with the reason; kept with a dead letter, row values blanked."),
    ok: z
      .array(value)
      .default([200, 201, 202, 204, true, "ok", "success", "delivered"])
      .describe("Values of `status` that mean delivered."),
    retry: z
      .array(value)
      .default([408, 425, 429, 500, 502, 503, 504, "retry"])
      .describe("Values of `status` that mean: send this row again."),
    unlisted: z
      .enum(["retry", "delivered"])
      .default("retry")
      .describe(
        "What a row without a result means. `delivered` is for receivers that list failures only; it needs `index` or `id`.",
      ),
  })
  .refine((rows) => rows.index === undefined || rows.id === undefined, { error: "Give `index` or `id`, not both." })
  .refine((rows) => rows.unlisted === "retry" || rows.index !== undefined || rows.id !== undefined, {
    error: "`unlisted: delivered` needs `index` or `id`.",
  })
  .refine((rows) => rows.unlisted === "delivered" || rows.status !== undefined, {
    error: "Give `status`: the result's field that says what became of the row.",
  });

const answers = z
  .strictObject({
    delivered: statuses.optional().describe("Statuses that mean: taken. Default 200-299 except 207."),
    retry: statuses.optional().describe("Statuses that mean: send it again later. Default 408, 425, 429 and 5xx."),
    rejected: statuses
      .optional()
      .describe(
        "Statuses that mean: this row will never be taken. Default 400, 409, 413, 422; and 404, 410 where the URL is made from the row.",
      ),
    expect: z
      .strictObject({
        content_type: text.optional().describe("The answer's media type: `application/json`."),
        body_contains: text.optional().describe("A text that the answer's body holds."),
      })
      .optional()
      .describe(
        "What a `delivered` answer must look like. Anything else (a proxy's page, a login form) counts as not delivered, and is sent again.",
      ),
    rows: rowResults.optional().describe("How to read the result of each row from the answer to a batch."),
  })
  .prefault({})
  .describe("What the receiver's answers mean. A status that is in none of the lists stops the sync.");

export const webhookSettings = z
  .strictObject({
    url: text
      .refine((value) => value.includes("{{") || value.includes("{%") || isHttpUrl(value), {
        error: "Not an http(s) URL.",
      })
      .meta({ secret: true })
      .describe(
        "Where to send; may be a Liquid template (`https://example.com/users/{{ record.id }}`), each value URL-encoded.",
      ),
    method: method.default("POST"),
    headers: headers.default({}),
    secret: z
      .union([signingSecretSetting, z.array(signingSecretSetting).min(1)])
      .optional()
      .meta({ secret: true })
      .describe(
        "Signs every request by Standard Webhooks: `whsec_…` (HMAC-SHA256) or `whsk_…` (ed25519). Several while one is replaced by another.",
      ),
    payload: payload.default("envelope"),
    batch: z
      .strictObject({
        format: z
          .enum(["single", "array", "ndjson"])
          .default("single")
          .describe("One row a request, a JSON array, or a JSON object a line."),
        rows: z
          .int()
          .min(1)
          .max(10_000)
          .optional()
          .describe("Rows in a request at most. Default 500 (1 with `single`)."),
        bytes: z
          .int()
          .min(1024)
          .max(104_857_600)
          .optional()
          .describe("Bytes in a request at most. Default 1 MB (16 MB with `single`)."),
        age_ms: z
          .int()
          .min(0)
          .max(60_000)
          .default(0)
          .describe("How long a batch that is not full waits for more rows."),
      })
      .prefault({})
      .describe("How rows are put into requests."),
    timeout_ms: z
      .int()
      .min(100)
      .max(600_000)
      .default(30_000)
      .describe("How long one request may take, until the last byte of its answer."),
    answer_bytes: z.int().min(0).max(16_777_216).default(262_144).describe("How much of an answer is read."),
    allow_private: allowPrivateSetting,
    tls: z
      .strictObject({
        ca: text.optional().describe("The certificate authority to trust: a PEM file, or the PEM text."),
        cert: text.optional().describe("Our client certificate: a PEM file, or the PEM text."),
        key: text
          .optional()
          .meta({ secret: true })
          .describe("Our client certificate's key: a PEM file, or the PEM text."),
      })
      .refine((tls) => (tls.cert === undefined) === (tls.key === undefined), {
        error: "`cert` and `key` belong together.",
      })
      .prefault({})
      .describe("TLS beyond the usual authorities. Certificates are always verified."),
    answers,
    keep_answers: z
      .boolean()
      .default(false)
      .describe(
        "Keep the receiver's answers to refused rows as they are. By default words that occur in the row are blanked first.",
      ),
    check_path: z
      .string()
      .startsWith("/")
      .optional()
      .describe(
        "A path that `tailrace check` may GET, to see that the receiver answers. Without it, only a connection is made.",
      ),
  })
  .describe("Sends rows to an HTTP endpoint.");

export const webhookSyncOptions = z
  .strictObject({
    method: method.optional(),
    path: z.string().startsWith("/").optional().describe("Added to the destination's URL; may be a Liquid template."),
    headers: syncHeaders.optional(),
    payload: payload.optional(),
  })
  .describe("How this sync's requests differ from the destination's.");

export type WebhookSettings = z.output<typeof webhookSettings>;
export type WebhookSyncOptions = z.output<typeof webhookSyncOptions>;
export type AnswerSettings = WebhookSettings["answers"];
export type RowResultSettings = NonNullable<AnswerSettings["rows"]>;

function isHttpUrl(value: string): boolean {
  return URL.canParse(value) && /^https?:$/.test(new URL(value).protocol);
}
