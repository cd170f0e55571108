import type { LookupAddress } from "node:dns";
import { lookup } from "node:dns/promises";
import { BlockList, isIP } from "node:net";
import * as z from "zod";
import { TailraceError } from "../contracts/errors.ts";

/** `true`: every address. A list: hosts, addresses and networks, each with `:PORT` where only that port is meant. */
export type AllowPrivate = boolean | readonly string[];

export type Resolve = (hostname: string) => Promise<readonly LookupAddress[]>;

/** The setting, for every connector whose host a user can choose. */
export const allowPrivateSetting = z
  .union([
    z.boolean(),
    z.array(
      z.string().refine((entry) => parseEntry(entry) !== null, {
        error: "Not a host, `host:port`, address or network (`10.0.0.0/8`).",
      }),
    ),
  ])
  .default(false)
  .describe(
    "Private and local addresses that may be reached: `true` for all, or a list of hosts, addresses and networks (`localhost`, `hooks.internal:8080`, `10.1.0.0/16`). By default none may.",
  );

/**
 * Keeps requests away from addresses that are not on the public internet (loopback, private networks, link-local,
 * cloud metadata), whatever name or form they come in. Every address of a name is checked, and the connection is
 * made to an address that was checked: a name that resolves differently the second time gains nothing.
 */
export class AddressGuard {
  readonly #all: boolean;
  readonly #hosts = new Set<string>();
  readonly #anyPort = new BlockList();
  readonly #byPort = new Map<number, BlockList>();
  readonly #resolve: Resolve;

  /** @throws TailraceError `config.invalid` for an entry that is none of the forms. */
  constructor(
    allow: AllowPrivate,
    resolve: Resolve = (hostname) => lookup(hostname, { all: true, order: "verbatim" }),
  ) {
    this.#all = allow === true;
    this.#resolve = resolve;
    if (typeof allow === "boolean") return;
    for (const text of allow) {
      const entry = parseEntry(text);
      if (entry === null) {
        throw new TailraceError("config.invalid", `\`allow_private\`: not a host, address or network: ${text}`);
      }
      if (entry.network === null) this.#hosts.add(hostKey(entry.host, entry.port));
      else this.#listFor(entry.port).addSubnet(entry.network.address, entry.network.prefix, entry.network.family);
    }
  }

  /** Whether a connection for `hostname` to this address and port may be made. */
  permits(hostname: string, port: number, address: string): boolean {
    if (this.#all || isPublicAddress(address)) return true;
    const name = hostname.toLowerCase();
    if (this.#hosts.has(name) || this.#hosts.has(hostKey(name, port))) return true;
    const plain = canonical(address);
    if (plain === null) return false;
    const ports = this.#byPort.get(port);
    return this.#anyPort.check(plain.text, plain.family) || (ports?.check(plain.text, plain.family) ?? false);
  }

  /**
   * The addresses of `hostname` (a name, or an address itself), all of them checked.
   * @throws TailraceError `destination.blocked_address`; or what the resolver threw.
   */
  async resolve(hostname: string, port: number): Promise<readonly LookupAddress[]> {
    const family = isIP(hostname);
    const addresses = family === 0 ? await this.#resolve(hostname) : [{ address: hostname, family }];
    for (const { address } of addresses) this.assert(hostname, port, address);
    return addresses;
  }

  /** @throws TailraceError `destination.blocked_address` */
  assert(hostname: string, port: number, address: string): void {
    if (this.permits(hostname, port, address)) return;
    const which = hostname === address ? hostname : `${hostname} (${address})`;
    throw new TailraceError(
      "destination.blocked_address",
      `${which} is a private or local address. If it is meant, set \`allow_private: ["${suggestion(hostname, port)}"]\` on the destination.`,
    );
  }

  #listFor(port: number | null): BlockList {
    if (port === null) return this.#anyPort;
    let list = this.#byPort.get(port);
    if (list === undefined) this.#byPort.set(port, (list = new BlockList()));
    return list;
  }
}

/** Whether an address belongs to the public internet. False for anything that is not an IP address. */
export function isPublicAddress(address: string): boolean {
  const plain = canonical(address);
  if (plain === null) return false;
  return plain.family === "ipv4"
    ? !NOT_PUBLIC.check(plain.text)
    : GLOBAL_V6.check(plain.text, "ipv6") && !NOT_PUBLIC.check(plain.text, "ipv6");
}

const NOT_PUBLIC = new BlockList();
// IANA's special-purpose registries, and two addresses of cloud platforms that look public.
for (const [network, prefix] of [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10], // carrier-grade NAT; Alibaba's metadata
  ["127.0.0.0", 8],
  ["168.63.129.16", 32], // Azure's platform service
  ["169.254.0.0", 16], // link-local; metadata of most clouds
  ["172.16.0.0", 12],
  ["192.0.0.0", 24], // Oracle's metadata
  ["192.0.2.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 4],
  ["240.0.0.0", 4],
] as const) {
  NOT_PUBLIC.addSubnet(network, prefix, "ipv4");
}
for (const [network, prefix] of [
  ["2001::", 23], // protocol assignments, Teredo among them
  ["2001:db8::", 32],
  ["2002::", 16], // 6to4 carries an IPv4 address
  ["3fff::", 20],
] as const) {
  NOT_PUBLIC.addSubnet(network, prefix, "ipv6");
}
// Everything outside is loopback, unique local, link-local, site-local, multicast or unassigned.
const GLOBAL_V6 = new BlockList();
GLOBAL_V6.addSubnet("2000::", 3, "ipv6");

interface PlainAddress {
  readonly text: string;
  readonly family: "ipv4" | "ipv6";
}

/** The address that is really reached: an IPv4 one where IPv6 only carries it (mapped, or NAT64's well-known prefix). */
function canonical(address: string): PlainAddress | null {
  const bare = address.replace(/^\[(.*)\]$/, "$1").replace(/%.*$/, "");
  const family = isIP(bare);
  if (family === 4) return { text: bare, family: "ipv4" };
  if (family !== 6) return null;
  const groups = ipv6Groups(bare);
  const carriesIpv4 =
    groups.slice(0, 6).join() === "0,0,0,0,0,65535" || groups.slice(0, 6).join() === "100,65435,0,0,0,0";
  if (!carriesIpv4) return { text: bare, family: "ipv6" };
  const bytes = groups.slice(6).flatMap((group) => [group >> 8, group & 255]);
  return { text: bytes.join("."), family: "ipv4" };
}

/** The eight groups of a valid IPv6 address. */
function ipv6Groups(address: string): number[] {
  const hex = address.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, a: string, b: string, c: string, d: string) => {
    const group = (high: string, low: string) => ((Number(high) << 8) | Number(low)).toString(16);
    return `${group(a, b)}:${group(c, d)}`;
  });
  const parse = (part: string | undefined) =>
    part === undefined || part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16));
  const [left, right] = hex.split("::");
  const head = parse(left);
  const tail = parse(right);
  return hex.includes("::")
    ? [...head, ...Array.from({ length: 8 - head.length - tail.length }, () => 0), ...tail]
    : head;
}

interface Entry {
  readonly host: string;
  readonly port: number | null;
  readonly network: { readonly address: string; readonly prefix: number; readonly family: "ipv4" | "ipv6" } | null;
}

function parseEntry(text: string): Entry | null {
  const subnet = /^([^/]+)\/(\d{1,3})$/.exec(text);
  if (subnet?.[1] !== undefined) return networkEntry(subnet[1], Number(subnet[2]), null);
  if (isIP(text) !== 0) return networkEntry(text, null, null);
  const [, host, digits] = /^(\[[^\]]*\]|[^:]+)(?::(\d{1,5}))?$/.exec(text) ?? [];
  if (host === undefined) return null;
  const port = digits === undefined ? null : Number(digits);
  if (port !== null && (port === 0 || port > 65_535)) return null;
  const bare = host.replace(/^\[(.*)\]$/, "$1");
  if (isIP(bare) !== 0) return networkEntry(bare, null, port);
  if (!/^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/i.test(host)) return null;
  return { host: host.toLowerCase(), port, network: null };
}

function networkEntry(address: string, prefix: number | null, port: number | null): Entry | null {
  const kind = isIP(address);
  const most = kind === 4 ? 32 : 128;
  if (kind === 0 || (prefix !== null && prefix > most)) return null;
  const plain =
    prefix === null ? canonical(address) : ({ text: address, family: kind === 4 ? "ipv4" : "ipv6" } as const);
  if (plain === null) return null;
  const length = prefix ?? (plain.family === "ipv4" ? 32 : 128);
  return { host: address, port, network: { address: plain.text, prefix: length, family: plain.family } };
}

function hostKey(host: string, port: number | null): string {
  return port === null ? host : `${host}:${port}`;
}

function suggestion(hostname: string, port: number): string {
  return hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}
