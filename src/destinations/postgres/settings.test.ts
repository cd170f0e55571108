import * as fc from "fast-check";
import { expect, test } from "vitest";
import { isLoopback } from "../../kit/postgres/address.ts";
import { clientConfig } from "../../kit/postgres/client-config.ts";
import { copyField } from "./copy.ts";
import { settings } from "./settings.ts";

const parse = (input: Record<string, unknown>) =>
  clientConfig(settings.parse(input), {
    baseDirectory: "/",
    codes: { config: "destination.config", tls: "destination.config" },
  });

test("TLS is verified for a remote host and off for this machine, unless told otherwise", () => {
  expect(parse({ host: "db.example.com" }).ssl).toEqual({ rejectUnauthorized: true });
  expect(parse({ host: "127.0.0.1" }).ssl).toBe(false);
  expect(parse({ url: "postgres://[::1]/x" }).ssl).toBe(false);
  expect(parse({ url: "postgres://db.example.com/x?sslmode=require" }).ssl).toEqual({ rejectUnauthorized: false });
  expect(parse({ url: "postgres://db.example.com/x", tls: "verify-full" }).ssl).toEqual({ rejectUnauthorized: true });
  // Which of the two is meant cannot be known.
  expect(() => parse({ url: "postgres://db.example.com/x?sslmode=require", tls: "verify-full" })).toThrow("differ");
  expect(parse({ host: "db.example.com", tls: "off" }).ssl).toBe(false);
  expect(parse({ host: "db.example.com", tls: { mode: "verify-ca" } }).ssl).toHaveProperty("checkServerIdentity");
  expect(isLoopback("127.evil.example.com")).toBe(false);
});

test("any user, password and database survive the URL", () => {
  fc.assert(
    fc.property(
      fc.string({ minLength: 1 }),
      fc.string({ minLength: 1 }),
      fc.string({ minLength: 1 }),
      (user, password, database) => {
        const [u, p, d] = [user, password, database].map((text) => encodeURIComponent(text.toWellFormed()));
        const config = parse({ url: `postgres://${u}:${p}@h:6543/x%2F${d}` });
        expect([config.user, config.password, config.database]).toEqual(
          [user, password, `x/${database}`].map((text) => text.toWellFormed()),
        );
        expect([config.host, config.port]).toEqual(["h", 6543]);
      },
    ),
  );
});

test("wrong settings are told without the URL", () => {
  for (const url of [
    "SECRET",
    "mysql://u:SECRET@h/d",
    "postgres://u:SECRET%@h/d",
    "postgres://u:SECRET@h/d?sslmode=prefer",
    "postgres://u:SECRET@h/d?x=1",
  ]) {
    const result = settings.safeParse({ url });
    expect(result.success).toBe(false);
    expect(JSON.stringify(result.error?.issues)).not.toContain("SECRET");
  }
  expect(settings.safeParse({}).success).toBe(false);
  expect(settings.safeParse({ host: "h", pol: 3 }).success).toBe(false);
});

test("COPY's text format", () => {
  expect([null, "", "\\N", "a\tb\nc\rd\\"].map(copyField)).toEqual(["\\N", "", "\\\\N", "a\\tb\\nc\\rd\\\\"]);
});
