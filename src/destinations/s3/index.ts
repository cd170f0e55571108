import { awsSigV4 } from "../../kit/vendor/auth/sigv4.ts";
import { defineVendor } from "../../kit/vendor/destination.ts";
import { OBJECT_ROWS, bucketPath, objects, originOf } from "./objects.ts";
import { options, settings } from "./settings.ts";

export default defineVendor({
  type: "s3",
  title: "S3",
  settings,
  sync: options,
  origin: originOf,
  auth: ({ region, access_key_id: id, secret_access_key: secret, session_token: token }, context) =>
    awsSigV4(
      {
        accessKeyId: context.secret(id, "access_key_id"),
        secretAccessKey: context.secret(secret, "secret_access_key"),
        sessionToken: token === undefined ? undefined : context.secret(token, "session_token"),
      },
      { region, service: "s3" },
    ),
  // Few large objects are cheaper to write and to read than many small ones.
  limits: { rows: OBJECT_ROWS, bytes: 4_194_304, concurrency: 4, perSecond: null, ageMs: 10_000 },
  // A line that is there twice has the same id: the reader drops it.
  partialUpdates: false,
  errors: {
    // https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html, in XML
    codes: (_body, text = "") => [...text.matchAll(/<Code>(\w{1,64})<\/Code>/g)].map(([, code]) => code!),
    byCode: {
      AccessDenied: "auth",
      AccountProblem: "auth",
      AllAccessDisabled: "auth",
      ExpiredToken: "auth",
      InvalidAccessKeyId: "auth",
      InvalidToken: "auth",
      RequestTimeTooSkewed: "auth",
      SignatureDoesNotMatch: "auth",
      TokenRefreshRequired: "auth",
      AuthorizationHeaderMalformed: "config",
      InvalidBucketName: "config",
      InvalidRequest: "config",
      KeyTooLongError: "config",
      MethodNotAllowed: "config",
      NoSuchBucket: "config",
      NotImplemented: "config",
      PermanentRedirect: "config",
      EntityTooLarge: "too-large",
      SlowDown: "throttled",
      Throttling: "throttled",
      TooManyRequests: "throttled",
      BadDigest: "transient",
      ConditionalRequestConflict: "transient",
      IncompleteBody: "transient",
      InternalError: "transient",
      OperationAborted: "transient",
      RequestTimeout: "transient",
      ServiceUnavailable: "transient",
      TemporaryRedirect: "transient",
      XAmzContentSHA256Mismatch: "transient",
    },
    // No object says anything of its rows: what is wrong with one is wrong with all.
    byStatus: { 400: "config", 409: "transient", 412: "config", 422: "config" },
  },
  async ping(session, checked) {
    await session.request({ method: "GET", path: `${bucketPath(checked)}/?list-type=2&max-keys=1` });
  },
  objects: [
    {
      name: "objects",
      modes: ["event", "insert", "upsert", "mirror"],
      deletes: ["delete", "ignore"],
      match: "nothing: every version of a row is a line of its own",
      matchFields: 64,
      batch: `up to ${OBJECT_ROWS} rows an object`,
      operations: objects,
    },
  ],
  guide: {
    summary:
      "Changes and events as files in Amazon S3, or any storage that speaks its language (MinIO, Cloudflare R2, Ceph).",
    credentials: `1. Make a bucket, and a user for Tailrace alone (IAM → Users) with a policy of \`s3:PutObject\` on \`arn:aws:s3:::BUCKET/*\` and
   \`s3:ListBucket\` on \`arn:aws:s3:::BUCKET\`, which \`check\` needs.
2. Create an access key for it, and put its two parts where \`\${AWS_ACCESS_KEY_ID}\` and \`\${AWS_SECRET_ACCESS_KEY}\` are read from. Both may be kept
   in files or printed by a command; they are read anew once they are refused, with a \`session_token\` too.
3. For other storages, \`base_url\` is the endpoint and \`path_style: true\`: \`https://ACCOUNT.r2.cloudflarestorage.com\` with \`region: auto\`.`,
    example: `destinations:
  lake:
    type: s3
    bucket: acme-lake
    region: eu-central-1
    access_key_id: \${AWS_ACCESS_KEY_ID}
    secret_access_key: \${AWS_SECRET_ACCESS_KEY}
syncs:
  orders_to_lake:
    model: orders
    destination: lake
    mode: event
    options: { path: "orders/date={year}-{month}-{day}/" }
  users_to_lake:
    model: users
    destination: lake
    mode: mirror`,
    limits: `An object has up to ${OBJECT_ROWS.toLocaleString("en")} rows and 4 MB, and waits up to 10 seconds to be filled; \`batch\` of a sync says otherwise. Four are written at a
time. \`SlowDown\` is waited for.`,
    notes: `- An object is one batch: a line for each delivery, \`.ndjson\`, whole or not there. Its name ends with the ids of its first and last row and a
  digest of all of them, so that a batch which is sent again is put over itself and nothing is there twice.
- After a restart rows whose answer was not seen are sent again, perhaps in another batch: then a line can be in two objects, with the same
  \`id\`. A reader that keeps one line an \`id\` has each exactly once.
- In the modes \`upsert\` and \`mirror\` this is a log: the line of a key with the greatest \`position\` holds, and a \`type\` of \`delete\` means that
  it is gone: \`SELECT * FROM read_ndjson('s3://…') QUALIFY row_number() OVER (PARTITION BY key ORDER BY position DESC) = 1\`.
- {year}, {month}, {day} and {hour} are of the commit of an object's first row; rows that existed before are of the time when the sync was started.
- \`format: record\` writes the mapped record alone; then lines have no \`id\`.
- \`check\` lists one object of the bucket, and writes none: that objects may be written is known with the first one.
- Not covered: Parquet, compression, multipart uploads, encryption with keys of your own (a bucket's default encryption applies).`,
  },
});
