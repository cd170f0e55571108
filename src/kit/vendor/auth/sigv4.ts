import { createHash, createHmac } from "node:crypto";
import type { Authorization, SignedRequest } from "./authorization.ts";
import type { Secret } from "./secret.ts";

export interface AwsKeys {
  readonly accessKeyId: string | Secret;
  readonly secretAccessKey: Secret;
  readonly sessionToken?: Secret | undefined;
}

/** AWS Signature Version 4, of the body too. The path is signed as it is sent, so it is to be encoded already. */
export function awsSigV4(
  keys: AwsKeys,
  scope: { readonly region: string; readonly service: string },
  now: () => Date = () => new Date(),
): Authorization {
  const secrets = [keys.accessKeyId, keys.secretAccessKey, keys.sessionToken] as const;
  /** What each request was signed with. */
  const signedWith = new WeakMap<object, readonly (string | undefined)[]>();
  return {
    // A wrong signature is answered so, too.
    refusedBy403: true,
    async headers(request) {
      const values = await Promise.all(secrets.map(async (each) => (typeof each === "string" ? each : each?.value())));
      const [accessKeyId = "", secret = "", token] = values;
      const headers = sigV4Headers(request, { accessKeyId, secret, token }, scope, now());
      signedWith.set(headers, values);
      return headers;
    },
    async refused(headers) {
      const values = signedWith.get(headers) ?? [];
      const news = await Promise.all(
        secrets.map(async (each, at) => typeof each === "object" && each.refused(values[at] ?? "")),
      );
      return news.includes(true);
    },
  };
}

export function sigV4Headers(
  request: SignedRequest,
  keys: { readonly accessKeyId: string; readonly secret: string; readonly token?: string | undefined },
  scope: { readonly region: string; readonly service: string },
  at: Date,
): Readonly<Record<string, string>> {
  const stamp = at.toISOString().replaceAll(/[-:]|\.\d+/g, "");
  const day = stamp.slice(0, 8);
  const payload = sha256(request.body ?? "");
  const own: Record<string, string> = {
    "x-amz-date": stamp,
    ...(scope.service === "s3" ? { "x-amz-content-sha256": payload } : {}),
    ...(keys.token === undefined ? {} : { "x-amz-security-token": keys.token }),
  };
  const signed: Record<string, string> = { ...request.headers, ...own, host: new URL(request.origin).host };
  const names = Object.keys(signed).sort();
  const [path = "/", query = ""] = request.path.split("?", 2);
  const canonical = [
    request.method,
    scope.service === "s3" ? path : path.split("/").map(encodeURIComponent).join("/"),
    canonicalQuery(query),
    ...names.map((name) => `${name}:${signed[name]!.trim().replaceAll(/ +/g, " ")}`),
    "",
    names.join(";"),
    payload,
  ].join("\n");
  const credential = `${day}/${scope.region}/${scope.service}/aws4_request`;
  const text = `AWS4-HMAC-SHA256\n${stamp}\n${credential}\n${sha256(canonical)}`;
  let key: Buffer = Buffer.from(`AWS4${keys.secret}`);
  for (const part of [day, scope.region, scope.service, "aws4_request"]) key = hmac(key, part);
  const signature = hmac(key, text).toString("hex");
  return {
    ...own,
    authorization: `AWS4-HMAC-SHA256 Credential=${keys.accessKeyId}/${credential}, SignedHeaders=${names.join(";")}, Signature=${signature}`,
  };
}

/** Sorted by name, then value, as they are encoded; a name without a value gets its `=`. */
function canonicalQuery(query: string): string {
  if (query === "") return "";
  const pairs = query.split("&").map((pair) => (pair.includes("=") ? pair : `${pair}=`));
  return pairs.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0)).join("&");
}

function sha256(data: string | Buffer): string {
  return createHash("sha256").update(data).digest("hex");
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac("sha256", key).update(text).digest();
}
