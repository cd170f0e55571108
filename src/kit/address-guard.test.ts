import { describe, expect, test } from "vitest";
import { AddressGuard, allowPrivateSetting, isPublicAddress } from "./address-guard.ts";

const PRIVATE = [
  "0.0.0.0",
  "0.1.2.3",
  "10.0.0.1",
  "10.255.255.255",
  "100.64.0.1",
  "100.100.100.200",
  "100.127.255.255",
  "127.0.0.1",
  "127.255.255.254",
  "168.63.129.16",
  "169.254.169.254",
  "172.16.0.1",
  "172.31.255.255",
  "192.0.0.192",
  "192.0.2.1",
  "192.168.1.1",
  "198.18.0.1",
  "198.19.255.255",
  "198.51.100.7",
  "203.0.113.9",
  "224.0.0.1",
  "239.255.255.255",
  "240.0.0.1",
  "255.255.255.255",
  "::",
  "::1",
  "::127.0.0.1",
  "::ffff:127.0.0.1",
  "::ffff:7f00:1",
  "::ffff:10.0.0.1",
  "0:0:0:0:0:ffff:a9fe:a9fe",
  "64:ff9b::127.0.0.1",
  "64:ff9b::a9fe:a9fe",
  "64:ff9b:1::7f00:1",
  "100::1",
  "2001::7f00:1",
  "2001:db8::1",
  "2002:7f00:1::",
  "3fff::1",
  "fc00::1",
  "fd00:ec2::254",
  "fe80::1",
  "fe80::1%eth0",
  "fec0::1",
  "ff02::1",
  "4000::1",
  "not an address",
  "",
];

const PUBLIC = [
  "1.1.1.1",
  "8.8.8.8",
  "9.255.255.255",
  "11.0.0.1",
  "100.63.255.255",
  "100.128.0.1",
  "126.255.255.255",
  "128.0.0.1",
  "172.15.255.255",
  "172.32.0.1",
  "192.167.255.255",
  "192.169.0.1",
  "198.17.255.255",
  "198.20.0.1",
  "223.255.255.255",
  "2606:4700:4700::1111",
  "2a00:1450:4001:82a::200e",
  "::ffff:8.8.8.8",
  "64:ff9b::8.8.8.8",
];

test.each(PRIVATE)("%s is not public", (address) => {
  expect(isPublicAddress(address)).toBe(false);
  expect(new AddressGuard(false).permits("h", 80, address)).toBe(false);
});

test.each(PUBLIC)("%s is public", (address) => {
  expect(isPublicAddress(address)).toBe(true);
  expect(new AddressGuard(false).permits("h", 80, address)).toBe(true);
});

describe("allow_private", () => {
  test.each([
    ["localhost", "localhost", 80, "127.0.0.1", true],
    ["localhost", "LOCALHOST", 80, "::1", true],
    ["localhost", "other", 80, "127.0.0.1", false],
    ["localhost:8080", "localhost", 8080, "127.0.0.1", true],
    ["localhost:8080", "localhost", 8081, "127.0.0.1", false],
    ["127.0.0.1", "any.name", 80, "127.0.0.1", true],
    ["127.0.0.1", "any.name", 80, "::ffff:127.0.0.1", true],
    ["127.0.0.1", "any.name", 80, "127.0.0.2", false],
    ["127.0.0.1:9000", "127.0.0.1", 9000, "127.0.0.1", true],
    ["127.0.0.1:9000", "127.0.0.1", 9001, "127.0.0.1", false],
    ["10.1.0.0/16", "h", 80, "10.1.255.1", true],
    ["10.1.0.0/16", "h", 80, "10.2.0.1", false],
    ["10.1.0.0/16", "h", 80, "64:ff9b::10.1.0.9", true],
    ["::1", "h", 80, "::1", true],
    ["[::1]", "h", 80, "::1", true],
    ["[::1]:80", "h", 80, "::1", true],
    ["[::1]:80", "h", 81, "::1", false],
    ["fd00::/8", "h", 80, "fd12::1", true],
    ["fd00::/8", "h", 80, "fe80::1", false],
    ["a_b-c.internal", "a_b-c.internal", 80, "192.168.0.5", true],
  ] as const)("%s: %s:%d at %s is %s", (entry, hostname, port, address, permitted) => {
    expect(new AddressGuard([entry]).permits(hostname, port, address)).toBe(permitted);
  });

  test("true permits everything", () => {
    expect(new AddressGuard(true).permits("h", 80, "169.254.169.254")).toBe(true);
  });

  test.each([
    "",
    "http://localhost",
    "localhost:0",
    "localhost:70000",
    "10.0.0.0/33",
    "::/129",
    "a b",
    "*",
    "1.2.3.4/8/8",
    "h/8",
  ])("%j is refused", (entry) => {
    expect(allowPrivateSetting.safeParse([entry]).success).toBe(false);
    expect(() => new AddressGuard([entry])).toThrow("allow_private");
  });

  test("may be left out", () => {
    expect(allowPrivateSetting.parse(undefined)).toBe(false);
  });
});

test("one private address among several blocks the name, and the error says the fix", async () => {
  const guard = new AddressGuard(false, async () => [
    { address: "8.8.8.8", family: 4 },
    { address: "10.0.0.1", family: 4 },
  ]);
  await expect(guard.resolve("two.example", 8443)).rejects.toMatchObject({
    code: "destination.blocked_address",
    message: expect.stringContaining('allow_private: ["two.example:8443"]'),
  });
});

test("public addresses are given as they were resolved", async () => {
  const addresses = [
    { address: "2606:4700:4700::1111", family: 6 },
    { address: "1.1.1.1", family: 4 },
  ];
  expect(await new AddressGuard(false, async () => addresses).resolve("one.example", 443)).toEqual(addresses);
});
