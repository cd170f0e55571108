// Amazon S3, from its public description: PutObject, ListObjectsV2, errors in XML, and Signature Version 4 worked out anew from what arrived.
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html, …/API_PutObject.html, …/ErrorResponses.html
import { createHash, createHmac } from "node:crypto";
import { type MockAnswer, type MockRequest, MockVendor } from "../support/mock.ts";

/** S3 takes 5 GB in one request; here it is what a test can send. */
const MOST_BYTES = 6_000_000;
const SKEW_MS = 900_000;

export class S3Mock implements AsyncDisposable {
  server!: MockVendor;
  readonly bucket = "acme-lake";
  readonly region = "eu-central-1";
  readonly accessKeyId: string;
  secret: string;
  pathStyle = true;
  sessionToken: string | null = null;
  readonly objects = new Map<string, { readonly body: string; readonly type: string }>();

  private constructor(secret: string) {
    this.secret = secret;
    this.accessKeyId = `AKIA-${secret}`;
  }

  static async start(secret: string): Promise<S3Mock> {
    const mock = new S3Mock(secret);
    mock.server = await MockVendor.start({ answer: (request) => mock.#answer(request) });
    return mock;
  }

  /** Every line of every object, in the order of their names. */
  get lines(): readonly string[] {
    const names = [...this.objects.keys()].sort();
    return names.flatMap((name) => this.objects.get(name)!.body.split("\n").slice(0, -1));
  }

  clear(): void {
    this.objects.clear();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.server[Symbol.asyncDispose]();
  }

  #answer(request: MockRequest): MockAnswer {
    const refused = this.#refusal(request);
    if (refused !== null) return s3Error(403, refused);
    const parts = [...request.path];
    if (this.pathStyle && parts.shift() !== this.bucket) return s3Error(404, "NoSuchBucket");
    const key = parts.join("/");
    if (request.method === "GET" && key === "" && request.query.get("list-type") === "2") {
      const listed = [...this.objects.keys()].slice(0, Number(request.query.get("max-keys")));
      const contents = listed.map((name) => `<Contents><Key>${name}</Key></Contents>`).join("");
      return xml(200, `<ListBucketResult><Name>${this.bucket}</Name>${contents}</ListBucketResult>`);
    }
    if (request.method !== "PUT" || key === "") return s3Error(405, "MethodNotAllowed");
    if (Buffer.byteLength(key) > 1024) return s3Error(400, "KeyTooLongError");
    if (Buffer.byteLength(request.body) > MOST_BYTES) return s3Error(400, "EntityTooLarge");
    this.objects.set(key, { body: request.body, type: request.headers["content-type"] ?? "" });
    const tag = createHash("md5").update(request.body).digest("hex");
    return { status: 200, headers: { etag: `"${tag}"` } };
  }

  /** null: the signature is that of the request as it arrived. */
  #refusal({ method, url, headers, body }: MockRequest): string | null {
    const given =
      /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/s3\/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/.exec(
        headers["authorization"] ?? "",
      );
    if (given === null) return "AccessDenied";
    const [, id, day, region, names, signature] = given as unknown as [string, string, string, string, string, string];
    if (id !== this.accessKeyId) return "InvalidAccessKeyId";
    if (region !== this.region) return "AuthorizationHeaderMalformed";
    const time = headers["x-amz-date"] ?? "";
    const at = Date.parse(time.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, "$1-$2-$3T$4:$5:$6Z"));
    if (!time.startsWith(day) || !(Math.abs(Date.now() - at) < SKEW_MS)) return "RequestTimeTooSkewed";
    if ((headers["x-amz-security-token"] ?? null) !== this.sessionToken) return "InvalidToken";
    const payload = createHash("sha256").update(body).digest("hex");
    if (headers["x-amz-content-sha256"] !== payload) return "XAmzContentSHA256Mismatch";
    const signed = names.split(";");
    const must = Object.keys(headers).filter((name) => name === "host" || name.startsWith("x-amz-"));
    if (!must.every((name) => signed.includes(name))) return "AccessDenied";
    const [path, query = ""] = url.split("?") as [string, string?];
    const pairs = query === "" ? [] : query.split("&").map((pair) => (pair.includes("=") ? pair : `${pair}=`));
    const lines = signed.map((name) => `${name}:${(headers[name] ?? "").trim()}\n`).join("");
    const canonical = [method, path, pairs.sort().join("&"), lines, names, payload].join("\n");
    const digest = createHash("sha256").update(canonical).digest("hex");
    const text = ["AWS4-HMAC-SHA256", time, `${day}/${region}/s3/aws4_request`, digest].join("\n");
    let key: Buffer = Buffer.from(`AWS4${this.secret}`);
    for (const part of [day, region, "s3", "aws4_request"]) key = createHmac("sha256", key).update(part).digest();
    const right = createHmac("sha256", key).update(text).digest("hex");
    return right === signature ? null : "SignatureDoesNotMatch";
  }
}

function xml(status: number, body: string, headers: Readonly<Record<string, string>> = {}): MockAnswer {
  const declared = `<?xml version="1.0" encoding="UTF-8"?>\n${body}`;
  return { status, headers: { "content-type": "application/xml", ...headers }, body: declared };
}

export function s3Error(status: number, code: string, headers: Readonly<Record<string, string>> = {}): MockAnswer {
  return xml(
    status,
    `<Error><Code>${code}</Code><Message>It is so.</Message><RequestId>4442587FB7D0A2F9</RequestId></Error>`,
    headers,
  );
}

/** Too many requests, with a pause of `seconds`. */
export function slowDown(seconds: number): MockAnswer {
  return s3Error(503, "SlowDown", { "retry-after": String(seconds) });
}
