import { jsonString } from "../../contracts/json-string.ts";
import type { Operations } from "../../kit/vendor/definition.ts";
import { oneRequest } from "../../kit/vendor/operation.ts";
import { matchText } from "../../kit/vendor/outcomes.ts";
import { RecordText } from "../../kit/vendor/record-text.ts";
import { unixSeconds } from "../../kit/vendor/times.ts";
import { readCounted } from "./counted.ts";
import { BATCH_ROWS, type IterablePlace, identityBy, textOf, userBy, valueOf } from "./users.ts";

export function events({ target, options }: IterablePlace): Operations {
  const by = userBy(target);
  const own = [by as string, "createdAt", ...(options.event === undefined ? ["eventName"] : [])];
  const fields = new RecordText((field) => (own.includes(field.name) ? null : { value: valueOf(field), null: "null" }));
  const times = new RecordText(({ name }) =>
    name === "createdAt" ? { value: (text) => unixSeconds(text) ?? jsonString(text), null: null } : null,
  );
  const create = options.create_fields ? `,"createNewFields":true` : "";
  const identity = identityBy(by);
  const event = oneRequest({
    rows: BATCH_ROWS,
    call(rows) {
      const each = rows.map((row) => {
        const { id, record, committedAt } = row;
        const name = options.event ?? textOf(row, "eventName") ?? "";
        const time = times.members(record) || (committedAt === null ? "" : `"createdAt":${committedAt / 1_000_000n}`);
        return `{"${by}":${jsonString(matchText(row))},"eventName":${jsonString(name)},"id":"${id}"${time === "" ? "" : `,${time}`}${create},"dataFields":${fields.object(record)}}`;
      });
      return { method: "POST", path: "/api/events/trackBulk", body: `{"events":[${each.join(",")}]}` };
    },
    read: (answer, rows, session) =>
      readCounted(
        answer,
        rows,
        (row) => ({ ...identity(row), event: options.event ?? textOf(row, "eventName") }),
        session,
      ),
  });
  return { event };
}
