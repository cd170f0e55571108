import { createPublicKey, generateKeyPairSync, verify } from "node:crypto";
import { expect, test } from "vitest";
import type { HttpAnswer, HttpRequest } from "../../http/client.ts";
import type { AuthContext } from "./authorization.ts";
import { jwtBearer } from "./jwt.ts";
import { Secret } from "./secret.ts";
import { clientCredentials, refreshToken } from "./token.ts";

const signal = new AbortController().signal;

function context(answers: readonly (readonly [number, unknown])[]) {
  const asked: HttpRequest[] = [];
  const given: AuthContext = {
    baseUrl: "https://v.example",
    secret: (setting, name) => new Secret(setting, name, "/"),
    send: async (request): Promise<HttpAnswer> => {
      asked.push(request);
      const [status, body] = answers[Math.min(asked.length, answers.length) - 1]!;
      return { status, headers: {}, body: JSON.stringify(body), truncated: false };
    },
  };
  return { given, asked, form: (at: number) => new URLSearchParams(String(asked[at]!.body)) };
}
const client = (given: AuthContext) => ({ id: "app", secret: given.secret("s3cret", "client_secret") });

test("one request for a token serves all that wait for it, until shortly before its end", async () => {
  const { given, asked, form } = context([[200, { access_token: "t1", expires_in: 3600 }]]);
  const auth = clientCredentials(given, "https://v.example/token", client(given), { audience: "api" });
  const headers = await Promise.all([1, 2, 3].map(() => auth.headers({}, signal)));
  expect(headers).toEqual(headers.map(() => ({ authorization: "Bearer t1" })));
  expect(asked).toHaveLength(1);
  expect(Object.fromEntries(form(0))).toEqual({
    grant_type: "client_credentials",
    client_id: "app",
    client_secret: "s3cret",
    audience: "api",
  });
});

test("a token that was taken before is renewed when it is refused; one that never was is not worth another", async () => {
  const { given, asked } = context([
    [200, { access_token: "t1" }],
    [200, { access_token: "t2" }],
  ]);
  const auth = clientCredentials(given, "https://v.example/token", client(given));
  const first = await auth.headers({}, signal);
  auth.accepted();
  // Two requests that were on their way together are refused together.
  expect([await auth.refused(first), await auth.refused(first)]).toEqual([true, true]);
  const second = await auth.headers({}, signal);
  expect(second).toEqual({ authorization: "Bearer t2" });
  expect(asked).toHaveLength(2);
  expect(await auth.refused(second)).toBe(false);
});

test("a refresh token that is replaced is replaced here", async () => {
  const { given, form } = context([
    [200, { access_token: "t1", refresh_token: "r2" }],
    [200, { access_token: "t2" }],
  ]);
  const auth = refreshToken(given, "https://v.example/token", client(given), given.secret("r1", "refresh_token"));
  const first = await auth.headers({}, signal);
  auth.accepted();
  await auth.refused(first);
  await auth.headers({}, signal);
  expect([form(0).get("refresh_token"), form(1).get("refresh_token")]).toEqual(["r1", "r2"]);
});

test.each([
  [400, { error: "invalid_grant", error_description: "r1 s3cret" }, "destination.auth"],
  [401, "no", "destination.auth"],
  [429, {}, "destination.throttled"],
  [503, {}, "destination.unavailable"],
  [200, { nothing: true }, "destination.auth"],
  [200, { access_token: "a\r\nb: c" }, "destination.auth"],
])("an answer of %d to the request for a token, with %j, is %s and quotes nothing", async (status, body, code) => {
  const { given } = context([[status, body]]);
  const auth = clientCredentials(given, "https://v.example/token", client(given));
  const error = await auth.headers({}, signal).then(
    () => null,
    (reason: unknown) => reason as Error,
  );
  expect(error).toMatchObject({ code });
  expect(error?.message).not.toMatch(/s3cret|r1/);
});

test("a service account signs its assertion with its private key", async () => {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const pem = privateKey.export({ type: "pkcs8", format: "pem" }) as string;
  const { given, form } = context([[200, { access_token: "t1", instance_url: "https://eu1.v.example/x" }]]);
  const auth = jwtBearer(given, given.secret(pem.replaceAll("\n", "|"), "key"), (key) => ({
    url: "https://v.example/token",
    claims: { iss: "robot", aud: "https://v.example/token" },
    privateKey: key.replaceAll("|", "\n"),
  }));
  expect(await auth.headers({}, signal)).toEqual({ authorization: "Bearer t1" });
  expect(auth.origin).toBe("https://eu1.v.example");
  const [head, claims, signature] = form(0).get("assertion")!.split(".");
  expect(JSON.parse(Buffer.from(claims!, "base64url").toString())).toMatchObject({ iss: "robot" });
  expect(
    verify(
      "sha256",
      Buffer.from(`${head}.${claims}`),
      createPublicKey(publicKey.export({ type: "spki", format: "pem" })),
      Buffer.from(signature!, "base64url"),
    ),
  ).toBe(true);
});
