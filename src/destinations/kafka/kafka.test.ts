import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { delivery } from "../../../test/support/deliveries.ts";
import { type Broker, OPENSSL, startKafka } from "../../../test/support/kafka/broker.ts";
import { KAFKA_MISSING } from "../../../test/support/kafka/install.ts";
import { people, silent, target } from "../../../test/support/webhook.ts";
import type { Destination, Target } from "../../contracts/destination.ts";
import kafka from "./index.ts";

const PASSWORD = "right";
const signal = new AbortController().signal;
const row = (id: string, name: string | null = "a") => delivery({ shape: people, values: [id, name, "12.50", "true"] });

test("settings that cannot be meant are refused", () => {
  const valid = (settings: unknown): boolean => kafka.settings.safeParse(settings).success;
  expect(valid({ brokers: ["kafka:9092", "[::1]:9092"] })).toBe(true);
  expect(valid({ brokers: ["kafka"] })).toBe(false);
  expect(valid({ brokers: [] })).toBe(false);
  expect(valid({ brokers: ["kafka:9092"], topic: "a b" })).toBe(false);
  expect(valid({ brokers: ["kafka:9092"], tls: { cert: "a.pem" } })).toBe(false);
});

describe.skipIf(KAFKA_MISSING !== undefined)(
  `a broker${KAFKA_MISSING === undefined ? "" : `: ${KAFKA_MISSING}`}`,
  () => {
    let broker: Broker;
    let topics = 0;
    beforeAll(async () => {
      broker = await startKafka(PASSWORD);
    }, 180_000);
    afterAll(() => broker[Symbol.asyncDispose]());

    function destination(settings: Readonly<Record<string, unknown>> = {}, baseDirectory = "/"): Destination {
      const parsed = kafka.settings.parse({ brokers: [broker.plain], timeout_ms: 5000, ...settings });
      const made = kafka.create(parsed, { name: "k", log: silent, baseDirectory });
      onTestFinished(() => made[Symbol.asyncDispose]());
      return made;
    }
    async function topic(partitions = 1, configs: Readonly<Record<string, string>> = {}): Promise<string> {
      topics += 1;
      await broker.createTopic(`topic${topics}`, partitions, configs);
      return `topic${topics}`;
    }
    const at = (object: string | null, options: unknown = {}, more: Partial<Target> = {}): Target =>
      target({ object, options: kafka.sync.parse(options), ...more });
    const delivered = (count: number) => Array.from({ length: count }, () => ({ status: "delivered" }));

    test("a record has the key, the envelope and headers", async () => {
      const object = await topic();
      const writer = await destination().open(at(object), signal);
      const [first, gone] = [row("9007199254740993", 'new\nline "é😀"'), { ...row("2"), op: "delete" as const }];
      expect(await writer.write([first, gone], signal)).toEqual(delivered(2));
      const records = await broker.read(object).records();
      expect(records.map(({ key }) => key)).toEqual(['{"id":9007199254740993}', '{"id":2}']);
      expect(records[0]?.headers).toEqual({
        "tailrace-id": first.id,
        "tailrace-op": "upsert",
        "tailrace-position": first.position,
      });
      expect(records[0]?.value).toContain(
        '"record":{"id":9007199254740993,"name":"new\\nline \\"é😀\\"","total":12.50,"active":true}}',
      );
      expect(records[1]).toMatchObject({ value: null, headers: { "tailrace-op": "delete" } });
    });

    test("records alone, keys as text, deletes with a value, and the topic by the sync's name", async () => {
      await broker.createTopic("rows.people", 1);
      const options = { value: "record", key: "text", tombstones: false };
      const writer = await destination({ topic: "rows.{sync}" }).open(at(null, options), signal);
      const two = delivery({ shape: people, values: ["1", "a", null, null], matchFields: ["id", "name"] });
      await writer.write([row("2"), { ...row("3"), op: "delete" }, two], signal);
      const records = await broker.read("rows.people").records();
      expect(records.map(({ key }) => key)).toEqual(["2", "3", '["1","a"]']);
      expect(records[1]?.value).toBe('{"id":3,"name":"a","total":12.50,"active":true}');
    });

    test("partitions are those of Java's clients, and one key's records stay in order", async () => {
      const object = await topic(7);
      const writer = await destination().open(at(object, { key: "text" }), signal);
      // By org.apache.kafka.common.utils.Utils of kafka-clients: toPositive(murmur2(key)) % 7.
      const java = { "1": 2, "2": 2, "42": 3, abc: 4, "9007199254740993": 2, é: 4, "a longer key": 5 };
      for (const version of ["1", "2", "3"])
        await writer.write(
          Object.keys(java).map((id) => row(id, version)),
          signal,
        );
      const records = await broker.read(object).records();
      for (const [key, partition] of Object.entries(java)) {
        const own = records.filter((each) => each.key === key);
        expect(own.map((each) => each.partition)).toEqual([partition, partition, partition]);
        expect(own.map(({ value }) => /"name":"(\d)"/.exec(value ?? "")?.[1])).toEqual(["1", "2", "3"]);
      }
    });

    test("writes beside each other, some of which are refused: nothing that counts as delivered is lost", async () => {
      const object = await topic(3, { "max.message.bytes": "2000" });
      const writer = await destination().open(at(object), signal);
      const batches = Array.from({ length: 40 }, (_, n) =>
        Array.from({ length: 3 }, (_, k) => row(String(n * 3 + k), n % 5 === 0 && k === 1 ? "x".repeat(3000) : "a")),
      );
      const outcomes = (await Promise.all(batches.map((batch) => writer.write(batch, signal)))).flat();
      const sent = batches.flat();
      expect(outcomes.map(({ status }) => status)).toEqual(
        sent.map((_, place) => (Math.trunc(place / 3) % 5 === 0 && place % 3 === 1 ? "rejected" : "delivered")),
      );
      const there = new Set((await broker.read(object).records()).map(({ headers }) => headers["tailrace-id"]));
      expect(sent.filter(({ id }, place) => outcomes[place]?.status === "delivered" && !there.has(id))).toEqual([]);
      expect(there.size).toBe(120 - 8);
    });

    test("a record that is too large is told from those beside it, without its content", async () => {
      const object = await topic(1, { "max.message.bytes": "2000" });
      const writer = await destination().open(at(object), signal);
      const outcomes = await writer.write([row("1"), row("2", "SECRET".repeat(500)), row("3")], signal);
      expect(outcomes).toMatchObject([
        { status: "delivered" },
        { status: "rejected", error: { code: "destination.too_large", message: "Kafka answered MESSAGE_TOO_LARGE" } },
        { status: "delivered" },
      ]);
      expect((await broker.read(object).records()).map(({ key }) => key)).toEqual(['{"id":1}', '{"id":3}']);
    });

    test("a topic that is not there stops the sync, and is not made", async () => {
      const none = destination();
      const writer = await none.open(at("nowhere"), signal);
      await expect(writer.write([row("1")], signal)).rejects.toMatchObject({ code: "destination.config" });
      expect(await none.check([at("nowhere")], signal)).toMatchObject([
        { level: "error", code: "destination.config", message: expect.stringContaining("nowhere") as string },
      ]);
    });

    test("what is wrong with every record is no row's fault", async () => {
      const object = await topic(2, { "message.timestamp.before.max.ms": "0" });
      const writer = await destination().open(at(object), signal);
      const rows = Array.from({ length: 10 }, (_, n) => row(String(n)));
      await expect(writer.write(rows, signal)).rejects.toMatchObject({
        code: "destination.config",
        message: "Kafka answered INVALID_TIMESTAMP",
      });
    });

    test.each([
      ["plain", "tailrace"],
      ["scram-sha-256", "scram"],
      ["scram-sha-512", "scram"],
    ])("signs in by %s; a wrong password waits for another, and is in no message", async (mechanism, user) => {
      const object = await topic();
      const base = await mkdtemp(join(tmpdir(), "tailrace-kafka-secret-"));
      onTestFinished(() => rm(base, { recursive: true }));
      await writeFile(join(base, "password"), "WRONG-ONE");
      const sasl = { mechanism, user, password: { file: "password" } };
      const writer = await destination({ brokers: [broker.sasl], sasl }, base).open(at(object), signal);
      const refused = await writer.write([row("1")], signal).catch((error: unknown) => error);
      expect(refused).toMatchObject({ code: "destination.auth" });
      expect((refused as Error).message).not.toContain("WRONG-ONE");
      await writeFile(join(base, "password"), PASSWORD);
      await expect(writer.write([row("1")], signal)).rejects.toMatchObject({ code: "destination.unavailable" });
      expect(await writer.write([row("1")], signal)).toEqual(delivered(1));
    });

    test.skipIf(!OPENSSL)("certificates are shown and verified (needs the openssl command)", async () => {
      const object = await topic();
      if (broker.tls === null) throw new Error("no certificates");
      const { address, ...tls } = broker.tls;
      const write = async (settings: unknown) =>
        (await destination({ brokers: [address], tls: settings }).open(at(object), signal)).write([row("1")], signal);
      expect(await write(tls)).toEqual(delivered(1));
      await expect(write(true)).rejects.toMatchObject({
        code: "destination.unreachable",
        message: expect.stringMatching(/\((SELF_SIGNED|UNABLE_TO_VERIFY)/) as string,
      });
      await expect(write({ ca: tls.ca })).rejects.toMatchObject({ code: "destination.unreachable" });
      await expect(write(false)).rejects.toMatchObject({
        code: "destination.config",
        message: expect.stringContaining("`tls: true`") as string,
      });
    });

    test("an answer that is cut off: the request is sent again with its numbers, and taken once", async () => {
      const object = await topic();
      const sasl = { mechanism: "plain", user: "tailrace", password: PASSWORD };
      const writer = await destination({ brokers: [broker.sasl], sasl }).open(at(object), signal);
      await writer.write([row("1")], signal);
      const reader = broker.read(object);
      broker.proxy.flow({ kind: "black-hole" }, "down");
      const writing = writer.write([row("2")], signal);
      await expect.poll(async () => (await reader.records()).length, { timeout: 10_000 }).toBe(2);
      broker.proxy.flow({ kind: "pass" });
      broker.proxy.cutAll();
      expect(await writing).toEqual(delivered(1));
      expect((await reader.records()).map(({ key }) => key)).toEqual(['{"id":1}', '{"id":2}']);
    });

    test("brokers that cannot be reached", async () => {
      const object = await topic();
      const sasl = { mechanism: "plain", user: "tailrace", password: PASSWORD };
      const far = destination({ brokers: [broker.sasl], sasl });
      const writer = await far.open(at(object), signal);
      await broker.proxy.refuse();
      onTestFinished(() => broker.proxy.accept());
      await expect(writer.write([row("1")], signal)).rejects.toMatchObject({ code: "destination.unreachable" });
      expect(await far.check([at(object)], signal)).toMatchObject([
        { level: "error", code: "destination.unreachable" },
        { level: "warning", code: "kafka.plain" },
      ]);
    });
  },
);
