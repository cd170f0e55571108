// Fetches Debezium Server's own distribution, once, into node_modules/.cache.
import { execFile, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream, existsSync, readdirSync } from "node:fs";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import { PeerUnavailable } from "../unavailable.ts";

export const VERSION = "3.6.0.Final";
const SHA256 = "901ce7b0b75b4dafaac4aa57dac6dfcad5937f96fb7159e25d22759bbf5192e4";
/** The distribution's classes are compiled for it. */
const JAVA = 21;
const CACHE = join(import.meta.dirname, "..", "..", "..", "node_modules", ".cache", "tailrace-peers");
const LINUX_JAVAS = "/usr/lib/jvm";

export interface Installed {
  /** The Java to run it with. */
  readonly java: string;
  /** As `java -version` says it. */
  readonly javaVersion: string;
  /** The unpacked `debezium-server`. */
  readonly home: string;
}

/** Takes a minute the first time: 780 MB. Throws {@link PeerUnavailable} where Java or Maven are missing. */
export async function install(log: (line: string) => void): Promise<Installed> {
  const found = findJava();
  if (found === null) {
    throw new PeerUnavailable(
      `Debezium Server ${VERSION} needs Java ${JAVA} or newer: install one (Debian 13: apt-get install openjdk-${JAVA}-jre-headless), or set JAVA_HOME.`,
    );
  }
  const folder = join(CACHE, `debezium-server-${VERSION}`);
  const home = join(folder, "debezium-server");
  if (!existsSync(home)) {
    log(`fetching Debezium Server ${VERSION} (780 MB, once)`);
    await fetchInto(folder);
  }
  return { ...found, home };
}

function findJava(): Pick<Installed, "java" | "javaVersion"> | null {
  const homes = [
    process.env["JAVA_HOME"],
    ...(existsSync(LINUX_JAVAS) ? readdirSync(LINUX_JAVAS).map((name) => join(LINUX_JAVAS, name)) : []),
  ];
  const candidates = ["java", ...homes.filter((home) => home !== undefined).map((home) => join(home, "bin", "java"))];
  for (const java of candidates) {
    const { status, stderr } = spawnSync(java, ["-version"], { encoding: "utf8" });
    const javaVersion = status === 0 ? /version "([^"]+)"/.exec(stderr)?.[1] : undefined;
    if (javaVersion !== undefined && Number.parseInt(javaVersion, 10) >= JAVA) return { java, javaVersion };
  }
  return null;
}

async function fetchInto(folder: string): Promise<void> {
  if (spawnSync("mvn", ["--version"]).status !== 0) {
    throw new PeerUnavailable(
      `Debezium Server ${VERSION} is fetched by Maven: install it (Debian: apt-get install maven).`,
    );
  }
  const repository = join(CACHE, "maven");
  await placeholderParent(repository);
  await promisify(execFile)("mvn", [
    "--batch-mode",
    "--quiet",
    `--file=${join(import.meta.dirname, "pom.xml")}`,
    `-Dmaven.repo.local=${repository}`,
    "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:resolve",
  ]);
  const name = `debezium-server-dist-${VERSION}.tar.gz`;
  const archive = join(repository, "io", "debezium", "debezium-server-dist", VERSION, name);
  const sha256 = createHash("sha256");
  await pipeline(createReadStream(archive), sha256);
  const digest = sha256.digest("hex");
  if (digest !== SHA256) throw new Error(`${name} has the SHA-256 ${digest}, not ${SHA256}`);
  const unpacking = `${folder}.unpacking`;
  await rm(unpacking, { recursive: true, force: true });
  await mkdir(unpacking, { recursive: true });
  await promisify(execFile)("tar", ["-xzf", archive, "-C", unpacking]);
  await rename(unpacking, folder);
  await rm(repository, { recursive: true, force: true });
}

/**
 * Not every mirror has the parent of the archive's POM, and without it Maven refuses the archive. Nothing of either is used but
 * the archive's name, so an empty parent in this repository (which is ours alone) will do.
 */
async function placeholderParent(repository: string): Promise<void> {
  const folder = join(repository, "io", "debezium", "debezium-server", VERSION);
  await mkdir(folder, { recursive: true });
  await writeFile(
    join(folder, `debezium-server-${VERSION}.pom`),
    `<project><modelVersion>4.0.0</modelVersion><groupId>io.debezium</groupId><artifactId>debezium-server</artifactId><version>${VERSION}</version><packaging>pom</packaging></project>`,
  );
}
