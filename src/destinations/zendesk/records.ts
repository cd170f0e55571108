import { DELIVERED, type Delivery, type Outcome } from "../../contracts/destination.ts";
import { jsonString } from "../../contracts/json-string.ts";
import type { Operation, Operations, Place } from "../../kit/vendor/definition.ts";
import { memberText } from "../../kit/vendor/json.ts";
import { oncePerRecord } from "../../kit/vendor/once-per-record.ts";
import { matchText, placesBy } from "../../kit/vendor/outcomes.ts";
import type { Call, Session } from "../../kit/vendor/session.ts";
import { ZendeskText } from "./body.ts";
import { type Kind, checkMatch } from "./fields.ts";
import { JOB_ROWS, type PlaceOf, zendeskJob } from "./jobs.ts";
import { UNUSABLE, recordIds } from "./record-ids.ts";

/** What is done with the records of one sync. */
export function operationsOf(kind: Kind, { target, jobs }: Place): Operations {
  checkMatch(kind, target);
  const { plural } = kind;
  const path = `/api/v2/${plural}`;
  const match = target.match[0] ?? "id";
  const text = new ZendeskText(kind, target.shape);
  const ids = recordIds(plural);
  const folded = (row: Delivery): string => matchText(row).toLowerCase();

  const body = (rows: readonly Delivery[], membersOf: (row: Delivery) => string): string =>
    `{${jsonString(plural)}:[${rows.map((row) => `{${membersOf(row)}}`).join(",")}]}`;
  const many = (method: Call["method"], action: string, sent: string): Call => ({
    method,
    path: `${path}/${action}`,
    body: sent,
  });

  const byMatch = async (rows: readonly Delivery[]): Promise<PlaceOf> => {
    const places = placesBy(rows, folded);
    return (result) => places.get((memberText(result, match) ?? "").toLowerCase());
  };
  const upserting = jobs.operation(
    zendeskJob(
      async (rows) =>
        many(
          "POST",
          "create_or_update_many",
          body(rows, ({ record }) => text.members(record)),
        ),
      byMatch,
    ),
  );
  const upsert: Operation = {
    rows: JOB_ROWS,
    send: (rows, session) => oncePerRecord(rows, folded, (first) => upserting.send(first, session)),
  };
  const create = jobs.operation(
    zendeskJob(
      async (rows) =>
        many(
          "POST",
          "create_many",
          body(rows, ({ record }) => text.members(record)),
        ),
      async () => () => undefined,
    ),
  );

  const idsOf = async (rows: readonly Delivery[], session: Session): Promise<ReadonlyMap<string, string>> => {
    const keys = rows.map((row) => matchText(row));
    // It goes into the request as it is.
    if (match === "id") return new Map(keys.map((key) => [key, /^\d+$/.test(key) ? key : UNUSABLE]));
    return ids.ids(keys, session);
  };
  const byId = async (rows: readonly Delivery[], session: Session): Promise<PlaceOf> => {
    const known = await idsOf(rows, session);
    const places = new Map(rows.map((row, place) => [known.get(matchText(row)), place]));
    return (result) => places.get(memberText(result, "id"));
  };

  /** With the record's own id, of those that there are: what is not there is neither updated nor deleted, and that is all right. */
  const ofExisting = (call: (rows: readonly Delivery[], idOf: (row: Delivery) => string) => Call): Operation => {
    const job = jobs.operation(
      zendeskJob(async (rows, session) => {
        const known = await idsOf(rows, session);
        return call(rows, (row) => known.get(matchText(row))!);
      }, byId),
    );
    return {
      rows: JOB_ROWS,
      async send(rows, session) {
        const known = await idsOf(rows, session);
        const results = new Map<Delivery, Outcome>();
        const existing = rows.filter((row) => {
          const id = known.get(matchText(row));
          if (id === UNUSABLE)
            results.set(
              row,
              session.outcome(row, ["RecordInvalid"], match === "id" ? "it is no id" : "several records have it"),
            );
          return id !== undefined && id !== UNUSABLE;
        });
        try {
          const send = async (some: readonly Delivery[]): Promise<readonly Outcome[]> =>
            some.length === 0 ? [] : job.send(some, session);
          const outcomes = await oncePerRecord(existing, (row) => known.get(matchText(row))!, send);
          for (const [place, row] of existing.entries()) results.set(row, outcomes[place]!);
          return rows.map((row) => results.get(row) ?? DELIVERED);
        } finally {
          // Whatever came of it, the record may be another by the next time.
          for (const row of rows)
            if (results.get(row)?.status !== "delivered" || row.op === "delete") ids.forget(matchText(row));
        }
      },
    };
  };
  const update = ofExisting((rows, idOf) =>
    many(
      "PUT",
      "update_many",
      body(rows, (row) => {
        const members = text.members(row.record);
        return `"id":${idOf(row)}${members === "" ? "" : `,${members}`}`;
      }),
    ),
  );
  const remove = ofExisting((rows, idOf) => ({
    method: "DELETE",
    path: `${path}/destroy_many?ids=${rows.map((row) => encodeURIComponent(idOf(row))).join(",")}`,
  }));

  return { upsert, create, update, archive: update, delete: remove };
}
