// Everything that reading needs of the database, in one report, each finding with its fix. Nothing is changed.
import type pg from "pg";
import type { TailraceError } from "../../contracts/errors.ts";
import type { Finding } from "../../contracts/finding.ts";
import type { ModelNeeds } from "../../contracts/source.ts";
import { type Address, addressOf } from "../../kit/postgres/address.ts";
import { poolerFinding, reachability, replicationFinding, tlsFindings } from "./check-connection.ts";
import { publicationFindings } from "./check-publication.ts";
import { readServer, serverFindings } from "./check-server.ts";
import { type CheckedModel, modelFindings } from "./check-model.ts";
import { queryFindings } from "./check-query.ts";
import { close, connect } from "./connection.ts";
import { asSourceError } from "./source-error.ts";
import { type Settings, schemasOf } from "./settings.ts";

export interface CheckOptions {
  readonly slot: string;
  readonly publication: string;
  readonly signal: AbortSignal;
  readonly baseDirectory?: string | undefined;
}

export async function check(
  settings: Settings,
  needs: readonly ModelNeeds[],
  options: CheckOptions,
): Promise<readonly Finding[]> {
  const address = addressOf(settings);
  if ("problem" in address) return [{ level: "error", code: "postgres.settings", message: address.problem }];
  let client: pg.Client;
  try {
    client = await connect(settings, { ...options, replication: false });
  } catch (error) {
    options.signal.throwIfAborted();
    return [reachability(asSourceError(error), address)];
  }
  const cut = () => void close(client);
  options.signal.addEventListener("abort", cut, { once: true });
  try {
    return await checkWith(client, address, settings, needs, options);
  } catch (error) {
    options.signal.throwIfAborted();
    return [reachability(asSourceError(error), address)];
  } finally {
    options.signal.removeEventListener("abort", cut);
    await close(client);
  }
}

async function checkWith(
  client: pg.Client,
  address: Address,
  settings: Settings,
  needs: readonly ModelNeeds[],
  options: CheckOptions,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [...tlsFindings(address)];
  const pooler = await poolerFinding(client, address);
  if (pooler) return [...findings, pooler];
  const server = await readServer(client, options.slot);
  const aboutServer = serverFindings(server, options.slot);
  findings.push(...aboutServer);
  // On an old server or a standby, what follows would only repeat that.
  if (aboutServer.some(({ code }) => code === "postgres.version" || code === "postgres.standby")) return findings;
  const replication = await tryReplication(settings, options);
  const aboutReplication = replication && replicationFinding(replication, address, aboutServer);
  if (aboutReplication) findings.push(aboutReplication);
  const models: CheckedModel[] = [];
  const forModels = { ...options, schema: settings.schema, role: server.role, version: server.version };
  for (const need of needs) {
    if (need.model.kind === "query") continue;
    const found = await modelFindings(client, { ...need, model: need.model }, forModels);
    findings.push(...found.findings);
    if (found.model) models.push(found.model);
  }
  const queries = needs.flatMap(({ model }) => (model.kind === "query" ? [model] : []));
  if (queries.length > 0) {
    const asked = await connect(settings, { ...options, replication: false, schemas: schemasOf(settings) });
    try {
      for (const query of queries) {
        const found = await queryFindings(asked, query, forModels);
        findings.push(...found.findings);
        // One that is a model too is checked as such.
        const known = new Set(models.map(({ table }) => table.oid));
        models.push(...found.models.filter(({ table }) => !known.has(table.oid)));
      }
    } finally {
      await close(asked);
    }
  }
  findings.push(...(await publicationFindings(client, models, server, options.publication)));
  return findings;
}

/** A replication connection, opened and closed; the error that it failed with. */
async function tryReplication(settings: Settings, options: CheckOptions): Promise<TailraceError | null> {
  try {
    await close(await connect(settings, { ...options, replication: true }));
    return null;
  } catch (error) {
    options.signal.throwIfAborted();
    return asSourceError(error);
  }
}
