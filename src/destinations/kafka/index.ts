import { defineDestination } from "../../contracts/destination.ts";
import { DELETES, KafkaDestination, MODES } from "./destination.ts";
import { options, settings } from "./settings.ts";

export default defineDestination({
  type: "kafka",
  title: "Kafka",
  settings,
  sync: options,
  create: (checked, context) => new KafkaDestination(checked, context),
  guide: {
    summary:
      "Records of Kafka topics (also of Redpanda and others with Kafka's protocol), keyed by the model's key, in commit order for each key.",
    credentials: `1. Make the topic; Tailrace makes none. With compaction (\`cleanup.policy=compact\`) it keeps the newest record of each key.
2. Make a user for \`sasl\` where the cluster asks for one (Confluent Cloud: an API key, \`plain\` with \`tls: true\`), and allow it \`WRITE\` and
   \`DESCRIBE\` on the topic; before Kafka 3.0 also \`IDEMPOTENT_WRITE\` on the cluster.
3. Put the password where \`\${KAFKA_PASSWORD}\` is read from.
4. \`npm install @platformatic/kafka@2.12.1\`, where optional dependencies were left out; it needs Node.js 22.22 or newer.`,
    example: `destinations:
  events:
    type: kafka
    brokers: [kafka-1.example.com:9093, kafka-2.example.com:9093]
    tls: true
    sasl: { mechanism: scram-sha-512, user: tailrace, password: "\${KAFKA_PASSWORD}" }
syncs:
  users_to_kafka:
    model: users
    destination: events
    object: crm.users
    mode: mirror
    options: { value: record }      # a compacted topic of the rows as they are
  orders_to_kafka:
    model: orders
    destination: events
    object: orders.changes
    mode: event                     # every change, with the old row`,
    objects: [
      {
        name: "any topic",
        match: "the record's key: the model's key",
        modes: MODES,
        deletes: DELETES,
        batch: "500 rows; one request to each broker that leads a partition of them",
      },
    ],
    limits: `A request carries \`batch_bytes\` at the most, and four are under way. A record that is larger than the topic's \`max.message.bytes\` is a failure of
its row; those beside it are sent. \`rate\` and quotas of the cluster slow it down.`,
    notes: `- **Delivered** means that all in-sync replicas have it (\`acks=all\`); \`min.insync.replicas\` of the topic says how many that are.
- **Order**: of one key, the next record is sent once the one before is acknowledged. The partition is that of Java's clients (murmur2 of the key).
- **Repeats**: the producer is idempotent, so a request that is cut off and sent again at once is taken once. After a crash, or once a request failed
  for good, what was not acknowledged is sent again: with the same id, in the header \`tailrace-id\`, by which readers drop it.
- Headers: \`tailrace-id\`, \`tailrace-op\` (\`upsert\`, \`create\`, \`delete\`, …; of events \`insert\`, \`update\`, \`delete\`), \`tailrace-position\`. Positions grow
  within one source and compare as texts.
- A delete is a tombstone (no value) in \`mirror\` with \`on_delete: delete\`; with \`tombstones: false\` its value tells it. Events of deletes always have a value.
- Brokers may be at private addresses; \`allow_private\` is for HTTP.
- What Kafka answers \`TOPIC_AUTHORIZATION_FAILED\` to waits for the right; a topic that is not there stops the sync.
- Not covered: schema registries (Avro, Protobuf), Kafka transactions, topics by a row's value, compression, OAuth, Kerberos.`,
  },
});
