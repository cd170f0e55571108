import { DELIVERED, type Delivery, type Field, type Outcome } from "../../contracts/destination.ts";
import { jsonString } from "../../contracts/json-string.ts";
import type { Operation, Operations, Place } from "../../kit/vendor/definition.ts";
import { flatItems, member, memberList, memberText } from "../../kit/vendor/json.ts";
import { Outcomes, allDelivered, matchText } from "../../kit/vendor/outcomes.ts";
import { type FieldText, RecordText } from "../../kit/vendor/record-text.ts";
import type { Answer, Session } from "../../kit/vendor/session.ts";
import { isoTime, isTimestamp } from "../../kit/vendor/times.ts";
import { Associations } from "./associations.ts";
import { errors } from "./errors.ts";
import { BATCH_ROWS, recordIds } from "./record-ids.ts";
import type { HubSpotOptions, HubSpotSettings } from "./settings.ts";

const RECORD_ID = "hs_object_id";

/** What is done with the records of one sync. */
export function operations({ object, target, options }: Place<HubSpotSettings, HubSpotOptions>): Operations {
  const path = `/crm/v3/objects/${encodeURIComponent(object)}/batch`;
  const match = target.match[0] ?? RECORD_ID;
  const byRecordId = match === RECORD_ID;
  const associations = new Associations(object, options.associate);
  const notSent = new Set(options.associate.map(({ field }) => field));
  if (byRecordId) notSent.add(RECORD_ID);
  // HubSpot's values are strings, and an empty one clears the property.
  const properties = new RecordText((field) =>
    notSent.has(field.name) ? null : { value: valueOf(field), null: '""' },
  );
  const ids = recordIds(object, match);

  /** One request for those rows that have an input; `created` is told the record's id. */
  const send = async (
    rows: readonly Delivery[],
    request: "upsert" | "update" | "create",
    inputOf: (row: Delivery) => string,
    session: Session,
  ): Promise<readonly Outcome[]> => {
    let inputs = "";
    for (const [place, row] of rows.entries())
      inputs += `${place === 0 ? "" : ","}{"objectWriteTraceId":"${place}",${inputOf(row)},"properties":${properties.object(row.record)}}`;
    const answer = await session.request({
      method: "POST",
      path: `${path}/${request}`,
      body: `{"inputs":[${inputs}]}`,
    });
    const written: (string | undefined)[] = [];
    const outcomes = readBatch(answer, rows, session, written);
    return associations.none ? outcomes : associations.make(rows, outcomes, written, session);
  };

  const idProperty = jsonString(match);
  const upsert: Operation = {
    rows: BATCH_ROWS,
    send: (rows, session) =>
      send(rows, "upsert", (row) => `"id":${jsonString(matchText(row))},"idProperty":${idProperty}`, session),
  };
  const create: Operation = {
    rows: BATCH_ROWS,
    send: (rows, session) => send(rows, "create", () => `"associations":[]`, session),
  };

  /** With the record's own id, of those that there are: what is not there is neither updated nor archived, and that is all right. */
  const ofExisting = (
    act: (rows: readonly Delivery[], idOf: (row: Delivery) => string, session: Session) => Promise<readonly Outcome[]>,
  ): Operation => ({
    rows: BATCH_ROWS,
    async send(rows, session) {
      const known = byRecordId
        ? null
        : await ids.ids(
            rows.map((row) => matchText(row)),
            session,
          );
      const idOf = (row: Delivery): string => known?.get(matchText(row)) ?? matchText(row);
      const existing = known === null ? rows : rows.filter((row) => known.has(matchText(row)));
      const outcomes = existing.length === 0 ? [] : await act(existing, idOf, session);
      // An id that is not taken may be of a record that was merged or removed since.
      for (const [place, row] of existing.entries())
        if (outcomes[place]?.status !== "delivered") ids.forget(matchText(row));
      const results = new Map(existing.map((row, place) => [row, outcomes[place]!]));
      return rows.map((row) => results.get(row) ?? DELIVERED);
    },
  });
  const update = ofExisting((rows, idOf, session) =>
    send(rows, "update", (row) => `"id":${jsonString(idOf(row))}`, session),
  );
  const remove = ofExisting(async (rows, idOf, session) => {
    const inputs = rows.map((row) => `{"id":${jsonString(idOf(row))}}`).join(",");
    await session.request({ method: "POST", path: `${path}/archive`, body: `{"inputs":[${inputs}]}` });
    for (const row of rows) ids.forget(matchText(row));
    return allDelivered(rows);
  });

  return {
    // A record id is HubSpot's own: there is nothing to create.
    upsert: byRecordId ? update : upsert,
    create,
    update,
    archive: update,
    clear: update,
    delete: remove,
  };
}

/** Lists are joined by semicolons, times are ISO 8601. */
function valueOf({ json, type }: Field): FieldText["value"] {
  if (json === "array") return (_text, record, index) => jsonString(flatItems(record.fieldJson(index)).join(";"));
  return isTimestamp(type) ? (text) => jsonString(isoTime(text)) : "text";
}

/** Results and errors by the trace id that came with each input. */
function readBatch(
  answer: Answer,
  rows: readonly Delivery[],
  session: Session,
  written: (string | undefined)[],
): readonly Outcome[] {
  const body = answer.object();
  const outcomes = new Outcomes(rows);
  const results = memberList(body, "results");
  const failures = memberList(body, "errors");
  for (const [at, result] of results.entries()) {
    const traced = memberText(result, "objectWriteTraceId");
    // Without trace ids, only when nothing failed can the results be told apart: they are in order.
    const inOrder = traced === undefined && failures.length === 0 && results.length === rows.length;
    const place = inOrder ? at : placeOf(traced);
    outcomes.delivered(place);
    if (place !== undefined) written[place] = memberText(result, "id");
  }
  for (const failure of failures) {
    const traces = memberList(member(failure, "context"), "objectWriteTraceId");
    const places = traces.length === 0 ? [undefined] : traces.map((trace) => placeOf(String(trace)));
    for (const place of places) {
      const row = (place === undefined ? undefined : rows[place]) ?? rows[0]!;
      outcomes.set(place, session.outcome(row, errors.codes!(failure), memberText(failure, "message") ?? ""));
    }
  }
  return outcomes.whereSaid();
}

function placeOf(trace: string | undefined): number | undefined {
  return trace !== undefined && /^\d{1,3}$/.test(trace) ? Number(trace) : undefined;
}
