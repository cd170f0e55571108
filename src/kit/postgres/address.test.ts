import fc from "fast-check";
import { expect, test } from "vitest";
import * as z from "zod";
import { addressOf } from "./address.ts";
import { checkAddress, connectionFields, type ConnectionSettings } from "./settings.ts";

const settings = z.strictObject(connectionFields).superRefine(checkAddress);

function problem(given: ConnectionSettings): string | null {
  const found = addressOf(given);
  return "problem" in found ? found.problem : null;
}

test("a URL's parts", () => {
  expect(
    addressOf({
      url: "postgres://us%40er:p%25%2Fw@db.example.com:6000/sh%20op?sslmode=verify-ca&sslrootcert=/ca.pem&channel_binding=require",
    }),
  ).toEqual({
    host: "db.example.com",
    port: 6000,
    user: "us@er",
    password: "p%/w",
    database: "sh op",
    tls: { mode: "verify-ca", ca: "/ca.pem", cert: undefined, key: undefined, direct: false },
    channelBinding: true,
    saysPooler: false,
  });
  expect(addressOf({ url: "postgresql://[2001:db8::1]/x" })).toMatchObject({
    host: "2001:db8::1",
    port: 5432,
    database: "x",
    tls: { mode: "verify-full" },
  });
  expect(addressOf({ url: "postgres:///x?host=/var/run/postgresql&user=me" })).toMatchObject({
    host: "/var/run/postgresql",
    user: "me",
    tls: { mode: "disable" },
  });
  expect(addressOf({ url: "postgres://u:p@localhost" })).toMatchObject({
    host: "localhost",
    database: undefined,
    tls: { mode: "disable" },
  });
  expect(addressOf({ url: "postgres://u:p@h/x", password: "newer", port: 1 })).toMatchObject({
    password: "newer",
    port: 1,
  });
});

test("any password survives %-encoding, and a setting needs none", () => {
  fc.assert(
    fc.property(
      fc.string({ minLength: 1, unit: "binary" }).filter((text) => text.isWellFormed()),
      (password) => {
        const url = `postgres://${encodeURIComponent("u:" + password)}:${encodeURIComponent(password)}@h/x`;
        expect(addressOf({ url })).toMatchObject({ user: `u:${password}`, password });
        expect(addressOf({ host: "h", password })).toMatchObject({ password });
      },
    ),
  );
  expect(addressOf({ url: "postgres://u:p@ss:w@h/x" })).toMatchObject({ password: "p@ss:w", host: "h" });
});

test("what would have to be guessed is refused, without the URL's text", () => {
  const secret = "hunter2";
  for (const url of [
    `postgres://u:${secret}/x@h/x`,
    `postgres://u:${secret}?@h/x`,
    `postgres://u:1/${secret}@h/x`,
    `postgres://u:${secret}#@h/x`,
    `postgres://u:${secret}%zz@h/x`,
    `postgres://u:${secret}%@h/x`,
    `mysql://u:${secret}@h/x`,
    `postgres://u:${secret}@h:port/x`,
    `postgres://u:${secret}@h:70000/x`,
    `postgres://u:${secret}@h1,h2/x`,
    `postgres://u:${secret}@h/x?sslmode=prefer`,
    `postgres://u:${secret}@h/x?sslmode=toString`,
    `postgres://u:${secret}@h/x?ssl${secret}=1`,
    `postgres://u:${secret}@h/x?sslcert=a.pem`,
  ]) {
    expect(problem({ url }), url).toMatch(/^`url`|certificate/);
    const checked = settings.safeParse({ url });
    expect(checked.success, url).toBe(false);
    expect(JSON.stringify(checked.error!.issues)).not.toContain(`u:${secret}`);
  }
  expect(problem({})).toContain("give `url`, or `host`");
  expect(problem({ url: "postgres://h/x?sslmode=require", tls: { mode: "verify-full" } })).toContain("differ");
  expect(problem({ host: "h", tls: { cert: "c.pem" } })).toContain("both `cert` and `key`");
});

test("encryption is verified by default, except on this machine", () => {
  const mode = (given: ConnectionSettings) => {
    const found = addressOf(given);
    return "problem" in found ? found.problem : found.tls.mode;
  };
  expect(mode({ host: "db.example.com" })).toBe("verify-full");
  expect(mode({ host: "10.0.0.5" })).toBe("verify-full");
  expect(mode({ host: "localhost.example.com" })).toBe("verify-full");
  expect(mode({ host: "127.0.0.1" })).toBe("disable");
  expect(mode({ host: "::1" })).toBe("disable");
  expect(mode({ host: "h", tls: "off" })).toBe("disable");
  expect(mode({ host: "h", tls: "require" })).toBe("require");
  expect(mode({ host: "h", tls: { mode: "require" } })).toBe("require");
  expect(mode({ host: "h", tls: { mode: "require", ca: "ca.pem" } })).toBe("verify-ca");
});
