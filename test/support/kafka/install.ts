// Fetches a broker of Apache Kafka by Maven, once, into node_modules/.cache.
import { execFile, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { promisify } from "node:util";

export const VERSION = "4.1.2";
const JAVA = 17;
const CACHE = join(import.meta.dirname, "..", "..", "..", "node_modules", ".cache", "tailrace-peers");
const HOME = join(CACHE, `kafka-${VERSION}`);

export const java = findJava();

/** Why no broker can be started here; undefined: one can. */
export const KAFKA_MISSING =
  java === null
    ? `needs Java ${JAVA} or newer (Debian: apt-get install default-jre-headless)`
    : existsSync(HOME) || spawnSync("mvn", ["--version"]).status === 0
      ? undefined
      : "needs Maven, which fetches the broker (Debian: apt-get install maven)";

/** The folder of the broker's jars: 60 MB, fetched the first time. */
export async function install(): Promise<string> {
  if (existsSync(HOME)) return HOME;
  await mkdir(CACHE, { recursive: true });
  const fetching = await mkdtemp(`${HOME}.fetching-`);
  await promisify(execFile)("mvn", [
    "--batch-mode",
    "--quiet",
    `--file=${join(import.meta.dirname, "pom.xml")}`,
    "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies",
    "-DincludeScope=runtime",
    `-DoutputDirectory=${fetching}`,
  ]);
  try {
    await rename(fetching, HOME);
  } catch (error) {
    // Another test was faster.
    await rm(fetching, { recursive: true });
    if (!existsSync(HOME)) throw error;
  }
  return HOME;
}

function findJava(): string | null {
  const home = process.env["JAVA_HOME"];
  for (const each of ["java", ...(home === undefined ? [] : [join(home, "bin", "java")])]) {
    const { status, stderr } = spawnSync(each, ["-version"], { encoding: "utf8" });
    const version = status === 0 ? /version "(\d+)/.exec(stderr)?.[1] : undefined;
    if (version !== undefined && Number(version) >= JAVA) return each;
  }
  return null;
}
