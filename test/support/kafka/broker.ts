// A throw-away broker of Apache Kafka, alone in its cluster (KRaft), behind a proxy that can fail.
import { type ChildProcess, execFile, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { Admin } from "@platformatic/kafka";
import { freePort } from "../../../src/cli/demo/embedded-postgres.ts";
import { startTcpProxy, type TcpProxy } from "../tcp-proxy.ts";
import { install, java } from "./install.ts";
import { TopicReader } from "./topic-reader.ts";

const JVM = [
  "-Xmx192m",
  "-XX:+UseSerialGC",
  "-XX:TieredStopAtLevel=1",
  "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
];

export const OPENSSL = spawnSync("openssl", ["version"]).status === 0;

export interface Broker extends AsyncDisposable {
  /** `host:port` where no one signs in, and nothing fails. */
  readonly plain: string;
  /** `host:port`, through the proxy, where user `tailrace` (PLAIN) or `scram` signs in with the password. */
  readonly sasl: string;
  readonly proxy: TcpProxy;
  /** Where a certificate of `ca` is shown and asked for; null without the openssl command. */
  readonly tls: { readonly address: string; readonly ca: string; readonly cert: string; readonly key: string } | null;
  createTopic(name: string, partitions: number, configs?: Readonly<Record<string, string>>): Promise<void>;
  deleteTopic(name: string): Promise<void>;
  /** Of a topic that is there. */
  read(topic: string): TopicReader;
}

export async function startKafka(password: string): Promise<Broker> {
  const home = await install();
  const root = await mkdtemp(join(tmpdir(), "tailrace-kafka-"));
  const [plain, controller, sasl, tls] = [await freePort(), await freePort(), await freePort(), await freePort()];
  const proxy = await startTcpProxy({ host: "127.0.0.1", port: sasl });
  const config = join(root, "server.properties");
  const certificates = OPENSSL ? await makeCertificates(root) : null;
  await writeFile(
    config,
    properties({ root, plain, controller, sasl, advertised: proxy.port, tls: OPENSSL ? tls : null, password }),
  );
  const run = [...JVM, "-cp", join(home, "*")];
  await promisify(execFile)(java ?? "java", [
    ...run,
    "kafka.tools.StorageTool",
    "format",
    "--cluster-id=MkU3OEVBNTcwNTJENDM2Qg",
    `--config=${config}`,
    "--standalone",
    ...["SCRAM-SHA-256", "SCRAM-SHA-512"].flatMap((each) => [
      "--add-scram",
      `${each}=[name=scram,password=${password}]`,
    ]),
  ]);
  const server = spawn(java ?? "java", [...run, "kafka.Kafka", config], { stdio: ["ignore", "ignore", "pipe"] });
  await listening(server, plain);
  const bootstrapBrokers = [`127.0.0.1:${plain}`];
  const admin = new Admin({ clientId: "test", bootstrapBrokers });
  const readers: TopicReader[] = [];
  return {
    plain: `127.0.0.1:${plain}`,
    sasl: `127.0.0.1:${proxy.port}`,
    proxy,
    tls: certificates === null ? null : { address: `localhost:${tls}`, ...certificates },
    createTopic: async (name, partitions, configs = {}) => {
      await admin.createTopics({
        topics: [name],
        partitions,
        replicas: 1,
        configs: Object.entries(configs).map(([key, value]) => ({ name: key, value })),
      });
    },
    deleteTopic: (name) => admin.deleteTopics({ topics: [name] }),
    read: (topic) => {
      const reader = new TopicReader(bootstrapBrokers, topic);
      readers.push(reader);
      return reader;
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.allSettled([admin.close(), ...readers.map((each) => each[Symbol.asyncDispose]())]);
      if (server.exitCode === null) {
        server.kill("SIGKILL");
        await once(server, "exit");
      }
      await proxy[Symbol.asyncDispose]();
      await rm(root, { recursive: true, force: true });
    },
  };
}

function properties(of: {
  readonly root: string;
  readonly plain: number;
  readonly controller: number;
  readonly sasl: number;
  readonly advertised: number;
  readonly tls: number | null;
  readonly password: string;
}): string {
  const scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;";
  const tls = of.tls === null ? "" : `,TLS://localhost:${of.tls}`;
  return `process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:${of.controller}
listeners=PLAINTEXT://127.0.0.1:${of.plain},CONTROLLER://127.0.0.1:${of.controller},SASL://127.0.0.1:${of.sasl}${tls}
advertised.listeners=PLAINTEXT://127.0.0.1:${of.plain},SASL://127.0.0.1:${of.advertised}${tls}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL:SASL_PLAINTEXT,TLS:SSL
listener.name.tls.ssl.keystore.type=PEM
listener.name.tls.ssl.keystore.location=${join(of.root, "server.pem")}
listener.name.tls.ssl.truststore.type=PEM
listener.name.tls.ssl.truststore.location=${join(of.root, "ca.pem")}
listener.name.tls.ssl.client.auth=required
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.sasl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_tailrace="${of.password}";
listener.name.sasl.scram-sha-256.sasl.jaas.config=${scram}
listener.name.sasl.scram-sha-512.sasl.jaas.config=${scram}
log.dirs=${join(of.root, "data")}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
log.cleaner.dedupe.buffer.size=4194304
`;
}

/** An authority, the broker's certificate (`server.pem`) and a client's, in `folder`. */
async function makeCertificates(folder: string): Promise<{ ca: string; cert: string; key: string }> {
  const ssl = (command: string) => execFileSync("openssl", command.split(" "), { cwd: folder, stdio: "ignore" });
  const key = "ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
  const text = (name: string) => readFile(join(folder, name), "utf8");
  await writeFile(join(folder, "names"), "subjectAltName=DNS:localhost");
  ssl(`req -x509 -newkey ${key} -keyout ca.key -out ca.pem -days 2 -subj /CN=authority`);
  for (const name of ["localhost", "client"]) {
    ssl(`req -newkey ${key} -keyout ${name}.key -out ${name}.csr -subj /CN=${name}`);
    ssl(`x509 -req -in ${name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out ${name}.pem -days 2 -extfile names`);
  }
  await writeFile(join(folder, "server.pem"), (await text("localhost.key")) + (await text("localhost.pem")));
  return { ca: await text("ca.pem"), cert: await text("client.pem"), key: await text("client.key") };
}

/** @throws Error with what the broker said last, when it ends instead */
async function listening(server: ChildProcess, port: number): Promise<void> {
  let said = "";
  server.stderr?.setEncoding("utf8").on("data", (text: string) => (said = (said + text).slice(-4000)));
  const ended = once(server, "exit").then(([code]) => {
    throw new Error(`the broker ended with ${String(code)}: ${said}`);
  });
  const admin = new Admin({ clientId: "test", bootstrapBrokers: [`127.0.0.1:${port}`], retries: 600, retryDelay: 100 });
  try {
    await Promise.race([ended, admin.listTopics()]);
  } finally {
    ended.catch(() => {});
    await admin.close();
  }
}
