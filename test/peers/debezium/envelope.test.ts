import { expect, test } from "vitest";
import { debeziumReader } from "./envelope.ts";

const read = debeziumReader(["id"]);
const head = { method: "POST", path: "/", headers: {} };
const source = '{"connector":"postgresql","ts_us":1767225600123456,"lsn":27016528}';

test("an update: texts as they were written; a value that is not in the log is no value", () => {
  const body = `[{"before":null,"after":{"id":9007199254740993,"version":7,"amount":"12.5000","active":null,"note":"__debezium_unavailable_value"},"source":${source},"op":"u"}]`;
  expect(read(body, head)).toEqual([
    {
      id: "00000000000027016528/update/9007199254740993",
      key: "9007199254740993",
      op: "update",
      version: 7n,
      position: "00000000000027016528",
      committedAt: "1767225600123456",
      record: { id: "9007199254740993", version: "7", amount: "12.5000", active: null },
    },
  ]);
});

test("a delete: by the key of the row before, with neither version nor record", () => {
  const body = `{"before":{"id":2,"version":0},"after":null,"source":${source},"op":"d"}`;
  expect(read(body, head)).toMatchObject([{ key: "2", op: "delete", version: null, record: null }]);
});

test("a row that was read has no commit", () => {
  const body = `{"before":null,"after":{"id":2,"version":3},"source":${source},"op":"r"}`;
  expect(read(body, head)).toMatchObject([{ op: "read", version: 3n, committedAt: null }]);
});
