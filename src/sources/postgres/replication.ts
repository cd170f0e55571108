// The replication half of the source: makes publication and slot, proves continuity, reads, acknowledges.
import type pg from "pg";
import type { ChangeBatch, Position } from "../../contracts/change.ts";
import { TailraceError } from "../../contracts/errors.ts";
import type { Log } from "../../contracts/log.ts";
import { quoteIdentifier } from "../../kit/sql.ts";
import type { Holding, Retention, SourceCheckpoint } from "../../contracts/source.ts";
import { destroy } from "../../kit/postgres/socket.ts";
import { close } from "./connection.ts";
import { asSourceError } from "./source-error.ts";
import { type Present, incarnationOf, proveContinuity, readCluster, slotLost, slotOf } from "./continuity.ts";
import { keeperOf } from "./keeper.ts";
import { OUR_PREFIX, branchName, isOfFamily } from "./object-names.ts";
import { planReading } from "./plan.ts";
import { lsnOf, positionAt } from "./position.ts";
import {
  type Publication,
  type PublicationWish,
  ensurePublication,
  readPublication,
  unpublishedColumns,
} from "./publication.ts";
import { type PublishedTable, type ReadModels, findTables } from "./published-table.ts";
import { readBatches } from "./reader.ts";
import type { RelationVersions } from "../../kit/relation-versions.ts";
import { ReplicationStream } from "./replication-stream.ts";
import type { SqlSession } from "./sql-session.ts";
import { type Slot, copySlot, createSlot, dropSlot, listSlots, readSlot } from "./slot.ts";
import { answerSoon } from "./stream-catalogue.ts";
import { type Catalogue, TableShapes } from "./table-shapes.ts";
import { StreamWatch } from "./stream-watch.ts";

export interface ReplicationOptions {
  readonly connect: (replication: boolean, signal: AbortSignal) => Promise<pg.Client>;
  /** For what is asked beside the stream; never for long. */
  readonly side: SqlSession;
  /** All sessions that are open beside the stream. */
  readonly beside: readonly SqlSession[];
  readonly catalogue: Catalogue;
  readonly versions: RelationVersions;
  readonly log: Log;
  readonly slot: string;
  /** The slot that the source's syncs share; `slot` is another one where a sync has a place of its own. */
  readonly sharedSlot: string;
  readonly publication: string;
  /** Most that the server may keep for this slot, in bytes. */
  readonly walBudget: number;
  /** The settings name the publication: others may have put tables into it, which are left there. */
  readonly publicationShared: boolean;
  /** Of tables that are named without one. */
  readonly schema: string;
  readonly failover: boolean;
  /** 0: never. */
  readonly heartbeatMs: number;
  readonly silentAfterMs: number;
  /** How often the publication is looked at while reading. */
  readonly membershipMs: number;
  /** How long making the slot waits for transactions that are open. */
  readonly blockedAfterMs: number;
}

interface Opened {
  readonly checkpoint: SourceCheckpoint;
  readonly publication: Publication;
  readonly tables: ReadonlyMap<string, PublishedTable>;
}

/** A walsender that takes longer than this to notice that we left is ended by us. */
const OWN_WALSENDER_MS = 2000;

/** A slot is copied by reading the log from where it stands. */
const COPY_SILENT_AFTER_MS = 120_000;
const MAX_WAL_SENDER_TIMEOUT_MS = 10_000;
const MIB = 1024 * 1024;

export class Replication implements AsyncDisposable {
  readonly #options: ReplicationOptions;
  #opened: Opened | null = null;
  #stream: ReplicationStream | null = null;
  #walsenderPid: number | null = null;
  #acked = 0n;

  constructor(options: ReplicationOptions) {
    this.#options = options;
  }

  /** See Source.open. */
  async open(models: ReadModels, stored: readonly SourceCheckpoint[], signal: AbortSignal): Promise<SourceCheckpoint> {
    try {
      const opened = await this.#open(models, stored, signal);
      this.#opened = opened;
      return opened.checkpoint;
    } catch (error) {
      throw this.#sourceError(error);
    }
  }

  /** See Source.plan. */
  plan(models: ReadModels, stored: readonly SourceCheckpoint[], signal: AbortSignal): Promise<readonly string[]> {
    return planReading(this.#options, models, stored, signal);
  }

  /** Once continuity is broken, a reading that begins anew owes nothing to the old one. */
  #sourceError(error: unknown): TailraceError {
    const named = asSourceError(error);
    if (named.consequence === "gap") this.#opened = null;
    // What swallowed the stream has swallowed the sessions beside it.
    if (named.code === "source.silent") for (const session of this.#options.beside) session.cut();
    return named;
  }

  async #open(models: ReadModels, stored: readonly SourceCheckpoint[], signal: AbortSignal): Promise<Opened> {
    const {
      connect,
      side,
      slot: slotName,
      sharedSlot,
      publication: publicationName,
      publicationShared,
      schema,
      failover,
      blockedAfterMs,
    } = this.#options;
    const replication = await connect(true, signal);
    try {
      const cluster = await bounded(replication, readCluster(replication));
      signal.throwIfAborted();
      const { opened, carryOver } = await side.use(signal, async (client) => {
        const tables = await findTables(client, models, { schema, publication: publicationName });
        const slot = await readSlot(client, slotName);
        let copyFrom: string | null = null;
        const before = await readPublication(client, publicationName);
        signal.throwIfAborted();
        // What was read in this process without being stored yet must not be lost either.
        const promised = stored.length > 0 ? stored : this.#opened ? [this.#opened.checkpoint] : [];
        const named = new Map([...tables].map(([oid, table]) => [oid, table.sql]));
        for (const checkpoint of promised) {
          // A branch takes its place from whichever slot has kept the log for the sync. The shared slot must serve by itself.
          const keeper =
            slotName === sharedSlot
              ? { slotName, slot, ofFamily: (name: string) => isOfFamily(name, sharedSlot) }
              : await keeperOf(client, checkpoint, sharedSlot, slot, slotName);
          const present: Present = { cluster, ...keeper, publicationName, publication: before, tables: named };
          proveContinuity(checkpoint, present);
          if (keeper.slotName !== slotName) copyFrom = keeper.slotName;
        }
        if (slot && slot.database !== (await databaseOf(client))) {
          throw new TailraceError(
            "source.config",
            `a replication slot ${slotName} exists in database ${slot.database}: set another \`slot\`, or another \`name\``,
          );
        }
        const serverVersion = await versionOf(client);
        const wish = { name: publicationName, shared: publicationShared, tables: [...tables.values()], serverVersion };
        const publication = await ensurePublication(client, wish, before);
        this.#warnOfGenerated(wish, publication);
        const incarnation = incarnationOf(cluster, slotName, publication, [...tables.keys()], models.meanings);
        const oldest = promised.map((checkpoint) => checkpoint.position).sort()[0];
        if (oldest !== undefined) {
          const opened = { checkpoint: { position: oldest, incarnation }, publication, tables };
          return { opened, carryOver: copyFrom === null ? null : { from: copyFrom, outdated: slot, serverVersion } };
        }
        // Nobody has stored anything: what an old slot holds is of no use, and it may be older than the publication,
        // which the server then does not find while it reads.
        if (slot) {
          if (slot.activePid !== null && slot.activePid !== this.#walsenderPid) throw busy(slotName, slot.activePid);
          await this.#freeSlot(client);
          await dropSlot(client, slotName);
        }
        signal.throwIfAborted();
        const lsn = await createSlot(replication, client, {
          name: slotName,
          failover: failover && serverVersion >= 170000,
          blockedAfterMs,
        });
        this.#acked = 0n;
        const checkpoint = { position: positionAt(lsn), incarnation };
        return { opened: { checkpoint, publication, tables }, carryOver: null };
      });
      if (carryOver !== null) {
        const copy = (client: pg.Client) => this.#carryOver(client, replication, carryOver);
        await side.use(signal, copy, COPY_SILENT_AFTER_MS);
      }
      return opened;
    } finally {
      await close(replication);
    }
  }

  /** Makes our slot stand where another one does, which keeps what we need. */
  async #carryOver(
    client: pg.Client,
    replication: pg.Client,
    {
      from,
      outdated,
      serverVersion,
    }: { readonly from: string; readonly outdated: Slot | null; readonly serverVersion: number },
  ): Promise<void> {
    const { slot: name, failover } = this.#options;
    if (outdated !== null) {
      if (outdated.activePid !== null && outdated.activePid !== this.#walsenderPid)
        throw busy(name, outdated.activePid);
      await this.#freeSlot(client);
      await dropSlot(client, name);
    }
    await copySlot(client, from, name);
    this.#acked = 0n;
    // A copy is not kept on standbys, even if what it was copied from is.
    if (failover && serverVersion >= 170000) {
      await replication.query(`ALTER_REPLICATION_SLOT ${quoteIdentifier(name)} (FAILOVER true)`);
    }
  }

  /** See Source.keeps. */
  keeps(stored: SourceCheckpoint): boolean {
    try {
      return slotOf(stored) === this.#options.slot;
    } catch {
      // Not a checkpoint of ours at all: opening says so.
      return false;
    }
  }

  /** See Source.retention. */
  async retention(signal: AbortSignal): Promise<Retention> {
    const { side, slot: name, walBudget } = this.#options;
    try {
      const retainedBytes = (await side.use(signal, (client) => readSlot(client, name)))?.retainedBytes ?? null;
      const exceeded = retainedBytes !== null && retainedBytes > walBudget;
      return {
        retainedBytes,
        over: exceeded
          ? `the server keeps ${Math.round(retainedBytes / MIB)} MB of log in slot ${name}; wal_budget is ${Math.round(walBudget / MIB)} MB`
          : null,
      };
    } catch (error) {
      throw asSourceError(error);
    }
  }

  /** See Source.forget. */
  async forget(signal: AbortSignal): Promise<void> {
    const { side, slot: name } = this.#options;
    try {
      await side.use(signal, async (client) => {
        const slot = await readSlot(client, name);
        if (slot === null) return;
        await this.#freeSlot(client);
        await dropSlot(client, name);
      });
      this.#opened = null;
    } catch (error) {
      throw asSourceError(error);
    }
  }

  #warnOfGenerated(wish: PublicationWish, publication: Publication): void {
    const hidden = unpublishedColumns(wish, publication);
    if (hidden.length === 0) return;
    this.#options.log.warn(
      `the publication leaves generated columns out, so they are not read: ${hidden.join(", ")}. ` +
        `ALTER PUBLICATION ${quoteIdentifier(wish.name)} SET (publish_generated_columns = stored), then resync`,
    );
  }

  /** See Source.read. */
  async *read(after: Position, signal: AbortSignal): AsyncGenerator<ChangeBatch, void, undefined> {
    const opened = this.#opened;
    if (!opened) throw new TailraceError("internal.defect", "read before open");
    if (this.#stream) throw new TailraceError("internal.defect", "a second read beside the first");
    if (signal.aborted) return;
    let stream: ReplicationStream | null = null;
    let watch: StreamWatch | null = null;
    const abort = () => stream?.fail(new TailraceError("source.unreachable", "stopped"));
    signal.addEventListener("abort", abort);
    try {
      stream = await this.#startStream(lsnOf(after), signal);
      this.#stream = stream;
      if (signal.aborted) return;
      watch = this.#watch(stream, opened);
      const { publication } = this.#options;
      const shapes = new TableShapes(opened.tables, this.#options);
      const reading = watch;
      yield* readBatches(stream, after, {
        shapeOf: (message, decoder) => shapes.shapeOf(message, decoder.types),
        serverError: (fields) => this.#serverError(fields),
        notice: (fields) => noticeError(fields, publication),
        progress: (lsn) => reading.progress(lsn),
      });
    } catch (error) {
      if (signal.aborted) return;
      throw this.#sourceError(error);
    } finally {
      signal.removeEventListener("abort", abort);
      watch?.stop();
      this.#stream = null;
      await stream?.close();
    }
  }

  /** See Source.ack. */
  ack(stored: Position): void {
    const lsn = lsnOf(stored);
    if (lsn <= this.#acked) return;
    this.#acked = lsn;
    this.#stream?.flushed(lsn);
  }

  /** ms since the epoch when the stream last said anything; null: it does not run. */
  get lastByteAtMs(): number | null {
    return this.#stream?.lastByteAtMs ?? null;
  }

  async holdings(branches: readonly string[], signal: AbortSignal): Promise<readonly Holding[]> {
    const { side, slot: ours } = this.#options;
    const used = new Set([ours, ...branches.map((branch) => branchName(ours, branch))]);
    try {
      const slots = await side.use(signal, async (client) => {
        const listed = [...(await listSlots(client, OUR_PREFIX))];
        // A slot that the settings name need not begin as ours do.
        if (ours.startsWith(OUR_PREFIX)) return listed;
        return [...listed, ...(await listSlots(client, ours)).filter(({ name }) => isOfFamily(name, ours))];
      });
      return slots.map((slot) => ({
        name: slot.name,
        kind: "replication slot",
        active: slot.activePid !== null,
        retainedBytes: slot.retainedBytes,
        used: used.has(slot.name),
        detail: slot.lost
          ? `given up by the server: ${slot.lost}`
          : slot.activePid === null
            ? `nobody reads it; wal status ${slot.walStatus ?? "?"}`
            : `read by pid ${slot.activePid}; wal status ${slot.walStatus ?? "?"}`,
      }));
    } catch (error) {
      throw asSourceError(error);
    }
  }

  async release(name: string, signal: AbortSignal): Promise<void> {
    const { side, slot: ours } = this.#options;
    if (!name.startsWith(OUR_PREFIX) && !isOfFamily(name, ours)) {
      throw new TailraceError("source.config", `${name} is not a slot of Tailrace`);
    }
    try {
      await side.use(signal, async (client) => {
        const slot = await readSlot(client, name);
        if (!slot) throw new TailraceError("source.config", `there is no replication slot ${name}`);
        if (slot.activePid !== null) throw busy(name, slot.activePid);
        await dropSlot(client, name);
      });
    } catch (error) {
      throw asSourceError(error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const stream = this.#stream;
    this.#stream = null;
    await stream?.close();
  }

  async #startStream(from: bigint, signal: AbortSignal): Promise<ReplicationStream> {
    const { connect, side, slot, publication, silentAfterMs } = this.#options;
    await side.use(signal, (client) => this.#freeSlot(client));
    const client = await connect(true, signal);
    try {
      const { rows } = await bounded(
        client,
        client.query<{ setting: string }>("SELECT setting FROM pg_settings WHERE name = 'wal_sender_timeout'"),
      );
      let timeoutMs = Number(rows[0]?.setting ?? 0);
      if (timeoutMs === 0 || timeoutMs > MAX_WAL_SENDER_TIMEOUT_MS) {
        // For this session only: the server looks for our answers, and says something itself, at least every half of
        // it, even while it reads through a long transaction of other tables.
        timeoutMs = MAX_WAL_SENDER_TIMEOUT_MS;
        await bounded(client, client.query(`SET wal_sender_timeout = ${timeoutMs}`));
      }
      const feedbackMs = Math.max(250, Math.min(10_000, timeoutMs / 3));
      const stream = new ReplicationStream(client, { slot, publication, from, feedbackMs, silentAfterMs });
      stream.flushed(this.#acked);
      this.#walsenderPid = stream.backendPid;
      return stream;
    } catch (error) {
      await close(client);
      throw error;
    }
  }

  /** Waits until an earlier stream of ours has let go of the slot; ends its server process when that takes long. */
  async #freeSlot(client: pg.Client): Promise<void> {
    const ours = this.#walsenderPid;
    if (ours === null) return;
    const untilMs = Date.now() + OWN_WALSENDER_MS;
    for (let told = false; ;) {
      const slot = await readSlot(client, this.#options.slot);
      if (slot?.activePid !== ours) return;
      if (Date.now() > untilMs) {
        if (told) return;
        told = true;
        await client.query("SELECT pg_terminate_backend($1::int)", [ours]);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  #watch(stream: ReplicationStream, opened: Opened): StreamWatch {
    const { side, publication, heartbeatMs, membershipMs, log } = this.#options;
    const names = new Map([...opened.tables].map(([oid, table]) => [oid, table.sql]));
    return new StreamWatch({
      side,
      log,
      publicationName: publication,
      publication: opened.publication,
      tables: names,
      heartbeatMs,
      membershipMs,
      fail: (error) => stream.fail(error),
    });
  }

  /** What an error of the replication stream means; the catalogue says which of several. */
  async #serverError(fields: Readonly<Record<string, string>>): Promise<Error> {
    const { side, slot: slotName, publication } = this.#options;
    const message = fields["M"] ?? "the server ended the stream";
    const code = fields["C"] ?? "";
    if (code === "55006") return new TailraceError("source.slot_busy", message);
    if (code === "42704" || code === "55000") {
      const slot = await side.use(answerSoon(), (client) => readSlot(client, slotName));
      if (!slot) return new TailraceError("source.gap.slot_missing", `there is no replication slot ${slotName}`);
      if (slot.lost) return slotLost(slotName, slot.lost);
      // The server looks the publication up as it was at the place in the log that it reads.
      if (code === "42704") {
        return new TailraceError(
          "source.gap.publication",
          `the publication ${publication} was not there when changes were written: it was dropped, or made after the slot`,
        );
      }
    }
    return asSourceError(Object.assign(new Error(message), { code, severity: fields["S"] ?? "ERROR" }));
  }
}

function noticeError(fields: Readonly<Record<string, string>>, publication: string): Error | null {
  // The routine's name is not translated, the text may be.
  if (fields["R"] !== "LoadPublications" && !fields["M"]?.includes("skipped loading publication")) return null;
  return new TailraceError(
    "source.gap.publication",
    `the server does not find the publication ${publication} and leaves changes out`,
  );
}

/** What should take no time: a server that does not answer must not hold us for ever. */
async function bounded<T>(client: pg.Client, work: Promise<T>): Promise<T> {
  const timer = setTimeout(() => destroy(client), 20_000);
  try {
    return await work;
  } finally {
    clearTimeout(timer);
  }
}

function busy(slot: string, pid: number): TailraceError {
  return new TailraceError("source.slot_busy", `replication slot ${slot} is read by pid ${pid}`);
}

async function databaseOf(client: pg.Client): Promise<string> {
  const { rows } = await client.query<{ name: string }>("SELECT current_database()::text AS name");
  return rows[0]!.name;
}

async function versionOf(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ version: string }>("SELECT current_setting('server_version_num') AS version");
  return Number(rows[0]!.version);
}
