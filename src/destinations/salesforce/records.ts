import { DELIVERED, type Delivery, type Outcome } from "../../contracts/destination.ts";
import { jsonString } from "../../contracts/json-string.ts";
import type { Operation, Operations, Place } from "../../kit/vendor/definition.ts";
import { oncePerRecord } from "../../kit/vendor/once-per-record.ts";
import { matchText } from "../../kit/vendor/outcomes.ts";
import { RecordText } from "../../kit/vendor/record-text.ts";
import type { Session } from "../../kit/vendor/session.ts";
import { JOB_ROWS, bulkUpsert } from "./bulk.ts";
import { COLLECTION_ROWS, collection, inCollections, readResults } from "./collections.ts";
import { csvOf, fitsCsv } from "./csv.ts";
import { AMBIGUOUS, fold, recordIds } from "./record-ids.ts";
import { ObjectSchema, RECORD_ID, apiPath } from "./schema.ts";
import type { SalesforceOptions, SalesforceSettings } from "./settings.ts";
import { jsonField } from "./values.ts";

const GONE = new Set(["ENTITY_IS_DELETED"]);
/** Without anything else in the request, it can only be the record itself that is not there. */
const REMOVED = new Set([...GONE, "INVALID_CROSS_REFERENCE_KEY"]);

/** What is done with the records of one sync. */
export function operations({
  object,
  target,
  settings,
  options,
  jobs,
}: Place<SalesforceSettings, SalesforceOptions>): Operations {
  const path = apiPath(settings);
  const collections = `${path}/composite/sobjects`;
  const match = target.match[0] ?? RECORD_ID;
  const byRecordId = match === RECORD_ID;
  const type = jsonString(object);
  const schema = new ObjectSchema(settings, object);
  const ids = recordIds(path, object, match, schema);

  let texts: { readonly whole: RecordText; readonly rest: RecordText } | null = null;
  const written = async (session: Session) => {
    const fields = await schema.fields(session);
    texts ??= {
      whole: new RecordText((field) => jsonField(field, fields)),
      // Records that were found by it have it.
      rest: new RecordText((field) => (field.name === match ? null : jsonField(field, fields))),
    };
    return texts;
  };

  const upserted = async (rows: readonly Delivery[], session: Session): Promise<readonly Outcome[]> => {
    const { whole } = await written(session);
    const body = collection(type, rows, ({ record }) => whole.members(record));
    const address = `${collections}/${encodeURIComponent(object)}/${encodeURIComponent(match)}`;
    return readResults(await session.request({ method: "PATCH", path: address, body }), rows, session);
  };
  const asJob = jobs.operation(
    bulkUpsert(path, object, match, async (rows, session) => csvOf(rows, await schema.fields(session))),
  );
  const isJob = (rows: readonly Delivery[]): boolean =>
    options.bulk_from !== "never" &&
    rows.length >= options.bulk_from &&
    rows.every((row) => fitsCsv(row.record) && matchText(row).trim() !== "");
  const upsert: Operation = {
    rows: options.bulk_from === "never" ? COLLECTION_ROWS : JOB_ROWS,
    async send(rows, session) {
      const field = (await schema.fields(session)).get(match);
      return oncePerRecord(
        rows,
        (row) => fold(matchText(row), field),
        (first) =>
          isJob(first) ? asJob.send(first, session) : inCollections(first, (some) => upserted(some, session)),
      );
    },
  };

  const create: Operation = {
    rows: COLLECTION_ROWS,
    async send(rows, session) {
      const { whole } = await written(session);
      const body = collection(type, rows, ({ record }) => whole.members(record));
      return readResults(await session.request({ method: "POST", path: collections, body }), rows, session);
    },
  };

  /** With the record's own id, of those that there are: what is not there is neither updated nor deleted, and that is all right. */
  const ofExisting = (
    act: (rows: readonly Delivery[], idOf: (row: Delivery) => string, session: Session) => Promise<readonly Outcome[]>,
  ): Operation => ({
    rows: COLLECTION_ROWS,
    async send(rows, session) {
      const keys = rows.map((row) => matchText(row));
      const known = byRecordId ? new Map(keys.map((key) => [key, key])) : await ids.ids(keys, session);
      const results = new Map<Delivery, Outcome>();
      const existing = rows.filter((row) => {
        const id = known.get(matchText(row));
        if (id === AMBIGUOUS) {
          ids.forget(matchText(row));
          results.set(row, session.outcome(row, ["DUPLICATE_EXTERNAL_ID"], "several records have this value"));
        }
        return id !== undefined && id !== AMBIGUOUS;
      });
      const idOf = (row: Delivery): string => known.get(matchText(row))!;
      const send = async (some: readonly Delivery[]): Promise<readonly Outcome[]> =>
        some.length === 0 ? [] : act(some, idOf, session);
      for (const [place, outcome] of (await oncePerRecord(existing, idOf, send)).entries()) {
        // An id that is not taken may be of a record that was merged or removed since.
        if (outcome.status !== "delivered") ids.forget(matchText(existing[place]!));
        results.set(existing[place]!, outcome);
      }
      return rows.map((row) => results.get(row) ?? DELIVERED);
    },
  });
  const update = ofExisting(async (rows, idOf, session) => {
    const { rest } = await written(session);
    const body = collection(type, rows, (row) => {
      const members = rest.members(row.record);
      return `"id":${jsonString(idOf(row))}${members === "" ? "" : `,${members}`}`;
    });
    return readResults(await session.request({ method: "PATCH", path: collections, body }), rows, session, GONE);
  });
  const remove = ofExisting(async (rows, idOf, session) => {
    const list = rows.map((row) => encodeURIComponent(idOf(row))).join(",");
    const answer = await session.request({ method: "DELETE", path: `${collections}?ids=${list}&allOrNone=false` });
    for (const row of rows) ids.forget(matchText(row));
    return readResults(answer, rows, session, REMOVED);
  });

  return {
    // A record id is Salesforce's own: there is nothing to create.
    upsert: byRecordId ? update : upsert,
    create,
    update,
    archive: update,
    clear: update,
    delete: remove,
  };
}
