import type { Target } from "../../../src/contracts/destination.ts";
import { envelopeReader, type ReceivedRow } from "../../support/envelope.ts";
import { startKafka } from "../../support/kafka/broker.ts";
import { KAFKA_MISSING } from "../../support/kafka/install.ts";
import type { DestinationHarness } from "../counterpart.ts";
import { foldRows, uniqueRows } from "../folding.ts";

const TOPIC = "rows";

const harness: DestinationHarness = {
  name: "kafka",
  missing: KAFKA_MISSING,
  waived: { refuse: "Kafka refuses no row for what is in it, but for its size: src/destinations/kafka/kafka.test.ts" },
  start: async (canary) => {
    const broker = await startKafka(canary);
    const { proxy } = broker;
    await broker.createTopic(TOPIC, 3);
    const reader = broker.read(TOPIC);
    const read = envelopeReader();
    const rows = async ({ sync }: Target): Promise<ReceivedRow[]> => {
      const records = (await reader.records()).filter(({ headers }) => headers["tailrace-id"]?.startsWith(`${sync}-`));
      const head = { method: "", path: "", headers: {} };
      return uniqueRows(
        records.flatMap(({ key, value, headers }) =>
          read(value ?? `{"id":"${headers["tailrace-id"] ?? ""}","type":"delete","key":${key}}`, head),
        ),
      );
    };
    return {
      settings: {
        brokers: [broker.sasl],
        sasl: { mechanism: "scram-sha-256", user: "scram", password: canary },
        timeout_ms: 5000,
      },
      place: () => ({ object: TOPIC, options: {} }),
      state: async (target) => foldRows(await rows(target)),
      events: async (target) => (await rows(target)).map(({ id }) => id),
      connections: async () => proxy.connections.filter(({ open }) => open).length,
      stall: async () => {
        proxy.flow({ kind: "stall" });
        return async () => proxy.flow({ kind: "pass" });
      },
      down: async () => {
        await proxy.refuse();
        proxy.cutAll();
        return () => proxy.accept();
      },
      [Symbol.asyncDispose]: () => broker[Symbol.asyncDispose](),
    };
  },
};

export default [harness];
