import { expect, test } from "vitest";
import * as z from "zod";
import { addressOf, describeAddress } from "./address.ts";
import { checkAddress, connectionFields } from "./settings.ts";

const settings = z.strictObject(connectionFields).superRefine(checkAddress);
const problem = (value: unknown): string => {
  const message = settings.safeParse(value).error?.issues[0]?.message ?? "none";
  expect(message).not.toMatch(/CANARY/);
  return message;
};

test("a URL and single settings say the same; settings win", () => {
  expect(addressOf({ url: "mysql://me:p%40%2F@db.example.com:3307/shop?ssl-mode=VERIFY_CA" })).toEqual({
    host: "db.example.com",
    port: 3307,
    user: "me",
    password: "p@/",
    database: "shop",
    tls: { mode: "verify-ca", ca: undefined, cert: undefined, key: undefined },
  });
  expect(addressOf({ url: "mariadb://me:a@b@[::1]/x", port: 1, password: { file: "f" } })).toMatchObject({
    host: "::1",
    port: 1,
    password: { file: "f" },
    tls: { mode: "disable" },
  });
  expect(addressOf({ host: "/run/mysqld/mysqld.sock", user: "u" })).toMatchObject({ tls: { mode: "disable" } });
  expect(describeAddress({ url: "mysql://u:CANARY@h/d" })).toBe("h:3306/d");
});

test("what is not this machine is verified, unless the settings say otherwise", () => {
  const mode = (value: Parameters<typeof addressOf>[0]) => {
    const found = addressOf(value);
    return "problem" in found ? found.problem : found.tls.mode;
  };
  expect(mode({ host: "db.example.com" })).toBe("verify-full");
  expect(mode({ host: "127.0.0.1" })).toBe("disable");
  expect(mode({ host: "db", tls: "off" })).toBe("disable");
  expect(mode({ host: "db", tls: { mode: "require", ca: "ca.pem" } })).toBe("verify-ca");
  expect(mode({ url: "mysql://db/?sslmode=disabled", tls: { ca: "ca.pem" } })).toBe("disable");
  expect(mode({ url: "mysql://db/?ssl-mode=required", tls: "disable" })).toContain("differ");
});

test("what is wrong is said, without a part of the URL", () => {
  expect(problem({})).toContain("give `url`");
  expect(problem({ url: "postgres://CANARY" })).toContain("begins with mysql://");
  expect(problem({ url: "mysql://u:CAN/ARY@h/d" })).toContain("%2F");
  expect(problem({ url: "mysql://u:%CANARY@h/d" })).toContain("%25");
  expect(problem({ url: "mysql://h:99999/CANARY" })).toContain("port");
  expect(problem({ url: "mysql://h/d?ssl-mode=PREFERRED" })).toContain("no silent fallback");
  expect(problem({ url: "mysql://h/d?CANARY-x=1" })).toContain("`?`");
  expect(problem({ host: "h", tls: { cert: "c" } })).toContain("`cert` and `key`");
});
