import { setTimeout as delay } from "node:timers/promises";
import type * as z from "zod";
import type {
  Capabilities,
  Delivery,
  DeliveryOp,
  Destination,
  DestinationConnector,
  DestinationContext,
  Limits,
  Outcome,
  Pace,
  Target,
  Writer,
  WriterMemory,
} from "../../contracts/destination.ts";
import { didYouMean } from "../../contracts/did-you-mean.ts";
import { TailraceError } from "../../contracts/errors.ts";
import type { Finding } from "../../contracts/finding.ts";
import { AddressGuard } from "../address-guard.ts";
import { HttpClient } from "../http/client.ts";
import { Secret } from "./auth/secret.ts";
import { checkFields } from "./check-fields.ts";
import { engineLimits, type Operations, type Place, type VendorDefinition, type VendorObject } from "./definition.ts";
import { VendorErrors } from "./errors.ts";
import { Jobs } from "./job.ts";
import { type Connection, Session } from "./session.ts";
import { type ConnectionSettings, baseOf } from "./settings.ts";

/** How many are in flight is the engine's choice; the client must not hold them back. */
const MOST_CONNECTIONS = 1024;
/** Answers have a result for each row of a batch. */
const ANSWER_BYTES = 67_108_864;

/** What a `check` has for time. */
const AT_ONCE: Pace = {
  request: async () => {},
  wait: (ms, signal) => delay(ms, undefined, { signal }),
};
const NO_MEMORY: WriterMemory = { text: null, keep: async () => {} };

/** The destination that a definition declares. */
export function defineVendor<S extends z.ZodType<ConnectionSettings>, O extends z.ZodType>(
  definition: VendorDefinition<S, O>,
): DestinationConnector<S, O> {
  const { type, title, settings, sync, guide, objects } = definition;
  return {
    type,
    title,
    settings,
    sync,
    guide: { ...guide, objects },
    create: (checked, context) => new VendorDestination(definition, checked, context),
  };
}

class VendorDestination<S extends z.ZodType<ConnectionSettings>, O extends z.ZodType> implements Destination {
  readonly limits: Limits;
  readonly capabilities: Capabilities;
  readonly #definition: VendorDefinition<S, O>;
  readonly #settings: z.output<S>;
  readonly #connection: Connection;

  constructor(definition: VendorDefinition<S, O>, settings: z.output<S>, context: DestinationContext) {
    const { limits, objects, partialUpdates, idempotencyKey } = definition;
    this.#definition = definition;
    this.#settings = settings;
    this.limits = engineLimits(typeof limits === "function" ? limits(settings) : limits);
    this.capabilities = {
      modes: [...new Set(objects.flatMap(({ modes }) => modes))],
      deletes: [...new Set(objects.flatMap(({ deletes }) => deletes))],
      partialUpdates: partialUpdates ?? true,
      idempotencyKey: idempotencyKey ?? false,
    };
    const client = new HttpClient({
      guard: new AddressGuard(settings.allow_private),
      connections: MOST_CONNECTIONS,
      timeoutMs: settings.timeout_ms,
      answerBytes: ANSWER_BYTES,
    });
    const baseUrl = settings.base_url ?? definition.origin(settings);
    this.#connection = {
      client,
      authorization: definition.auth(settings, {
        secret: (setting, name) => new Secret(setting, name, context.baseDirectory),
        send: (request, signal) => client.send(request, signal),
        baseUrl: baseUrl.replace(/\/+$/, ""),
      }),
      errors: new VendorErrors(definition.title, definition.errors),
      base: baseOf(baseUrl),
      baseIsSet: settings.base_url !== undefined,
      headers: definition.headers?.(settings) ?? {},
    };
  }

  async check(targets: readonly Target[], signal: AbortSignal): Promise<readonly Finding[]> {
    const findings: Finding[] = [];
    const session = (): Session => new Session(this.#connection, { signal, pace: AT_ONCE });
    try {
      await this.#definition.ping(session(), this.#settings);
    } catch (error) {
      return [findingOf(error, undefined, signal)];
    }
    for (const target of targets) {
      try {
        const { object, place } = this.#place(target, NO_MEMORY);
        const fields = await object.fields?.(place, session());
        const { type, title } = this.#definition;
        if (fields !== undefined) findings.push(...checkFields(target, fields, type, `${title} ${place.object}`));
      } catch (error) {
        findings.push(findingOf(error, target.sync, signal));
      }
    }
    return findings;
  }

  // An async function, so that what is wrong with the target rejects.
  async open(target: Target, _signal: AbortSignal, memory: WriterMemory = NO_MEMORY): Promise<Writer> {
    const { object, place } = this.#place(target, memory);
    const said = `${this.#definition.title} ${place.object}`;
    return new VendorWriter(object.operations(place), place.jobs, this.#connection, said);
  }

  /** @throws TailraceError `destination.config` where the sync asks for what the object cannot do. */
  #place(target: Target, memory: WriterMemory) {
    const { title } = this.#definition;
    const object = this.#objectOf(target.object);
    const name = target.object ?? object.name;
    const refuse = (what: string): never => {
      throw new TailraceError("destination.config", `${title} ${name}: ${what}`);
    };
    if (!object.modes.includes(target.mode))
      refuse(`mode \`${target.mode}\` is not possible; it can do ${object.modes.join(", ")}`);
    if (target.mode === "mirror" && !object.deletes.includes(target.onDelete.kind))
      refuse(`\`on_delete: ${target.onDelete.kind}\` is not possible; it can do ${object.deletes.join(", ")}`);
    const most = object.matchFields ?? 1;
    if (target.mode !== "event" && target.mode !== "insert" && target.match.length > most)
      refuse(
        `records are found by ${most === 1 ? "one field" : `at most ${most} fields`}, not by ${target.match.join(", ")}: set \`match\``,
      );
    const place: Place<z.output<S>, z.output<O>> = {
      object: name,
      target,
      settings: this.#settings,
      options: this.#definition.sync.parse(target.options ?? {}),
      jobs: new Jobs(memory),
    };
    return { object, place };
  }

  #objectOf(name: string | null): VendorObject<z.output<S>, z.output<O>> {
    const { title, objects } = this.#definition;
    const [only] = objects;
    if (name === null) {
      if (objects.length === 1) return only!;
      throw new TailraceError("destination.config", `${title}: which \`object\`? It has ${listOf(objects)}`);
    }
    const object = objects.find((each) => each.name === name) ?? objects.find((each) => each.accepts?.(name));
    if (object !== undefined) return object;
    const near = didYouMean(
      name,
      objects.map((each) => each.name),
      "`",
    );
    throw new TailraceError(
      "destination.config",
      `${title} has no object \`${name}\`${near}; it has ${listOf(objects)}`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection.client[Symbol.asyncDispose]();
  }
}

class VendorWriter implements Writer {
  readonly #operations: Operations;
  readonly #jobs: Jobs;
  readonly #connection: Connection;
  readonly #said: string;

  constructor(operations: Operations, jobs: Jobs, connection: Connection, said: string) {
    this.#operations = operations;
    this.#jobs = jobs;
    this.#connection = connection;
    this.#said = said;
  }

  group(op: DeliveryOp) {
    const operation = this.#operations[op];
    if (operation === undefined) throw new TailraceError("internal.defect", `${this.#said} has no way to ${op}.`);
    return operation;
  }

  async write(batch: readonly Delivery[], signal: AbortSignal, pace = AT_ONCE): Promise<readonly Outcome[]> {
    const [first] = batch;
    if (first === undefined) return [];
    const session = new Session(this.#connection, { signal, pace, rows: batch });
    await this.#jobs.settle(session);
    return this.group(first.op).send(batch, session);
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

function findingOf(error: unknown, subject: string | undefined, signal: AbortSignal): Finding {
  signal.throwIfAborted();
  const { code, message, hint, answer } = TailraceError.from(error);
  return {
    level: "error",
    code,
    message: answer === undefined ? message : `${message} (${answer})`,
    fix: hint,
    subject,
  };
}

function listOf(objects: readonly { readonly name: string }[]): string {
  return objects.map(({ name }) => `\`${name}\``).join(", ");
}
