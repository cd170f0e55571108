import type { Target } from "../../../src/contracts/destination.ts";
import type { ReceivedRow } from "../../support/envelope.ts";
import { type Action, OK, type ScriptRequest, status } from "../../support/receiver-script.ts";
import { startReceiver } from "../../support/receiver.ts";
import type { Counterpart, DestinationHarness } from "../counterpart.ts";
import { foldRows, uniqueRows } from "../folding.ts";

interface Variant {
  readonly name: string;
  readonly batch: Readonly<Record<string, unknown>>;
  /** Refuses one row of a batch by name instead of the whole batch. */
  readonly rowResults?: boolean;
}

const VARIANTS: readonly Variant[] = [
  { name: "one row a request", batch: { format: "single" } },
  { name: "JSON arrays with a result for each row", batch: { format: "array" }, rowResults: true },
  { name: "NDJSON", batch: { format: "ndjson" } },
];

async function start(variant: Variant, secret: string): Promise<Counterpart> {
  const refused = new Map<string, string>();
  let stalled = false;
  const answer = (request: ScriptRequest): Action => {
    if (stalled) return { kind: "hang" };
    const key = refused.get(request.path);
    const results = request.rows.map((row) => (row.key === key ? ("rejected" as const) : ("delivered" as const)));
    if (variant.rowResults === true) {
      const body = request.rows.map(({ id }, at) => {
        const reason = results[at] === "rejected" ? { error: `bad row in ${request.body}` } : {};
        return { id, status: results[at], ...reason };
      });
      return { kind: "rows", results, body: JSON.stringify({ results: body }) };
    }
    // Receivers like to quote what they refuse.
    return results.includes("rejected") ? status(422, {}, `bad: ${request.body}`) : OK;
  };
  const receiver = await startReceiver({ script: answer, keepBodies: false });
  const rows = (target: Target): ReceivedRow[] =>
    uniqueRows(
      receiver
        .requests()
        .filter(({ path }) => path === `/${target.sync}`)
        .flatMap((request) => request.rows.filter(({ acknowledged }) => acknowledged)),
    );
  return {
    settings: {
      url: receiver.url,
      allow_private: true,
      batch: variant.batch,
      headers: { authorization: `Bearer ${secret}` },
      secret: `whsec_${Buffer.from(secret).toString("base64")}`,
      ...(variant.rowResults === true && {
        answers: { rows: { path: "results", id: "id", status: "status", error: "error" } },
      }),
    },
    place: (sync) => ({ object: null, options: { path: `/${sync}` } }),
    state: (target) => Promise.resolve(foldRows(rows(target))),
    events: (target) => Promise.resolve(rows(target).map(({ id }) => id)),
    connections: () => Promise.resolve(receiver.counts.connections),
    refuse: (target, key) => {
      refused.set(`/${target.sync}`, key);
      return Promise.resolve();
    },
    stall: () => {
      stalled = true;
      receiver.hold();
      return Promise.resolve(() => {
        stalled = false;
        receiver.release();
        return Promise.resolve();
      });
    },
    down: async () => {
      await receiver.down();
      return () => receiver.up();
    },
    [Symbol.asyncDispose]: () => receiver[Symbol.asyncDispose](),
  };
}

const harnesses: readonly DestinationHarness[] = VARIANTS.map((variant) => ({
  name: variant.name,
  waived: {},
  start: (secret) => start(variant, secret),
}));

export default harnesses;
