import { expect, test } from "vitest";
import * as encode from "../../../test/support/pgoutput-encoder.ts";
import type { TailraceError } from "../../contracts/errors.ts";
import type { Relation } from "../../contracts/relation.ts";
import { UNCHANGED } from "../../contracts/values.ts";
import { PgOutputDecoder, type RowShape } from "./pgoutput.ts";
import { positionAt } from "./position.ts";
import type { RelationMessage } from "./relation-message.ts";
import type { Bytes } from "./wire.ts";

function shapeOf(message: RelationMessage): RowShape {
  const relation: Relation = {
    id: String(message.oid),
    namespace: message.namespace,
    name: message.name,
    version: 1,
    columns: message.columns.map(({ name }) => ({
      name,
      type: "text",
      json: "string",
      comparison: "text",
      nullable: true,
    })),
    key: [0],
    oldRows: message.identity === "f" ? "full" : "key",
  };
  return {
    relation,
    normalise: message.columns.map(() => null),
    inOldKey: message.columns.map((column) => column.identity),
  };
}

function decoder(after = positionAt(0n)): {
  readonly decoder: PgOutputDecoder;
  readonly feed: (...parts: readonly Buffer[]) => void;
  readonly seen: RelationMessage[];
} {
  const seen: RelationMessage[] = [];
  const made = new PgOutputDecoder(after, { keepalive: () => {}, control: () => {} });
  return {
    decoder: made,
    seen,
    feed: (...parts) => {
      const bytes = Buffer.concat(parts) as Bytes;
      let at = made.decode(bytes, 0);
      while (made.needed) {
        seen.push(made.needed);
        made.provide(shapeOf(made.needed));
        at = made.decode(bytes, at);
      }
      expect(at).toBe(bytes.length);
    },
  };
}

const hex = (text: string) => encode.data(Buffer.from(text, "hex"));
// Captured from PostgreSQL 18.4: t(id int primary key, v text, big text storage external).
const B = hex("4200000000017ced18000303ed83caffe8000002fe");
const R = hex(
  "52000040047075626c69630074006400030169640000000017ffffffff00760000000019ffffffff006269670000000019ffffffff",
);
const C = hex("430000000000017ced1800000000017ced48000303ed83caffe8");
const M_TRANSACTIONAL = hex("4d0100000000017cf06872657600000000026869");
const M_BARE = hex("4d0000000000017cf0a072657600000000026e74");

test("captured messages: begin, relation, update with an unchanged value, key change, delete, commit", () => {
  const { decoder: made, feed, seen } = decoder();
  feed(
    M_BARE,
    B,
    R,
    M_TRANSACTIONAL,
    hex("55000040044e000374000000013174000000016275"),
    hex("55000040044b00037400000001316e6e4e000374000000013274000000016275"),
    hex("44000040044b00037400000001326e6e"),
    C,
  );
  expect(seen).toEqual([
    {
      oid: 0x4004,
      namespace: "public",
      name: "t",
      identity: "d",
      columns: [
        { name: "id", typeOid: 23, identity: true },
        { name: "v", typeOid: 25, identity: false },
        { name: "big", typeOid: 25, identity: false },
      ],
    },
  ]);
  const changes = made.take();
  expect(changes.map(({ op, before, after, position }) => ({ op, before, after, position }))).toEqual([
    { op: "update", before: null, after: ["1", "b", UNCHANGED], position: "00000000017ced18-00000001" },
    {
      op: "update",
      before: ["1", UNCHANGED, UNCHANGED],
      after: ["2", "b", UNCHANGED],
      position: "00000000017ced18-00000002",
    },
    { op: "delete", before: ["2", UNCHANGED, UNCHANGED], after: null, position: "00000000017ced18-00000003" },
  ]);
  expect(made.end).toBe("00000000017ced48-00000000");
  expect(changes[0]!.transaction.id).toBe("766");
  expect(changes[0]!.transaction.committedAt).toBe(0x303ed83caffe8n + 946_684_800_000_000n);
});

const TABLE = [
  { name: "id", typeOid: 25, identity: true },
  { name: "v", typeOid: 25, identity: false },
];

test("a value that did not change is taken from the old row, and a key from the old key", () => {
  const { decoder: made, feed } = decoder();
  feed(
    encode.data(encode.begin(5n, 1)),
    encode.data(
      encode.relation(
        1,
        "full",
        TABLE.map((column) => ({ ...column, identity: true })),
        "f",
      ),
    ),
    encode.data(encode.update(1, { mark: "O", row: ["k", "large"] }, ["k", encode.UNSENT])),
    encode.data(encode.relation(2, "plain", TABLE)),
    encode.data(encode.update(2, { mark: "K", row: ["long key", null] }, [encode.UNSENT, "v"])),
  );
  const [full, plain] = made.take();
  expect(full).toMatchObject({ before: ["k", "large"], after: ["k", "large"] });
  expect(plain).toMatchObject({ before: ["long key", UNCHANGED], after: ["long key", "v"] });
});

test("a key that did not come at all stops the reading", () => {
  const { feed } = decoder();
  feed(encode.data(encode.begin(5n, 1)), encode.data(encode.relation(1, "t", TABLE)));
  expect(() => feed(encode.data(encode.update(1, null, [encode.UNSENT, "v"])))).toThrow(/REPLICA IDENTITY FULL/);
});

test("a row is read under the announcement before it, and an equal one is not asked about again", () => {
  const { decoder: made, feed, seen } = decoder();
  const wider = [...TABLE, { name: "extra", typeOid: 23, identity: false }];
  feed(
    encode.data(encode.begin(5n, 1)),
    encode.data(encode.relation(1, "t", TABLE)),
    encode.data(encode.insert(1, ["a", "b"])),
    encode.data(encode.relation(1, "t", TABLE)),
    encode.data(encode.insert(1, ["c", "d"])),
    encode.data(encode.relation(1, "t", wider)),
    encode.data(encode.insert(1, ["e", "f", "7"])),
  );
  expect(seen.map((message) => message.columns.length)).toEqual([2, 3]);
  const [first, second, third] = made.take();
  expect(second!.relation).toBe(first!.relation);
  expect(third!.relation.columns.map((column) => column.name)).toEqual(["id", "v", "extra"]);
});

test("a truncate is one change for each table, in order", () => {
  const { decoder: made, feed } = decoder();
  feed(
    encode.data(encode.begin(5n, 1)),
    encode.data(encode.relation(1, "a", TABLE)),
    encode.data(encode.relation(2, "b", TABLE)),
    encode.data(encode.truncate(1, 2)),
  );
  expect(made.take().map((change) => [change.op, change.relation.name, change.position])).toEqual([
    ["truncate", "a", "0000000000000005-00000001"],
    ["truncate", "b", "0000000000000005-00000002"],
  ]);
});

test("a keepalive moves the end only between transactions", () => {
  const { decoder: made, feed } = decoder();
  feed(encode.keepalive(10n));
  expect(made.end).toBe(positionAt(10n));
  feed(encode.data(encode.begin(20n, 1)), encode.keepalive(30n));
  expect(made.end).toBe(positionAt(10n));
  feed(encode.data(encode.commit(20n, 25n)), encode.keepalive(24n));
  expect(made.end).toBe(positionAt(25n));
});

test("what follows the position is delivered: the rest of its transaction, and a transaction that starts where it ends", () => {
  const { decoder: made, feed } = decoder(positionAt(20n, 2));
  feed(
    encode.data(encode.relation(1, "t", TABLE)),
    encode.data(encode.begin(20n, 1)),
    ...["a", "b", "c"].map((id) => encode.data(encode.insert(1, [id, null]))),
    encode.data(encode.commit(20n, 30n)),
    encode.data(encode.begin(30n, 2)),
    encode.data(encode.insert(1, ["d", null])),
  );
  expect(made.take().map((change) => change.after?.[0])).toEqual(["c", "d"]);
  const later = decoder(positionAt(30n));
  later.feed(
    encode.data(encode.relation(1, "t", TABLE)),
    encode.data(encode.begin(30n, 2)),
    encode.data(encode.insert(1, ["d", null])),
  );
  expect(later.decoder.take()).toHaveLength(1);
});

const open = [encode.data(encode.begin(5n, 1)), encode.data(encode.relation(1, "t", TABLE))];
test.each([
  ["a plugin message", [encode.data(Buffer.from("Sxxxxx"))]],
  ["a replication message", [encode.frame("d", Buffer.from("x1234"))]],
  ["a binary value", [...open, encode.data(Buffer.from("I\0\0\0\x01N\0\x02b\0\0\0\x011n", "latin1"))]],
  ["a tuple kind", [...open, encode.data(Buffer.from("I\0\0\0\x01X\0\x02nn", "latin1"))]],
  ["another number of columns", [...open, encode.data(encode.insert(1, ["a"]))]],
  ["a value longer than its row", [...open, encode.data(Buffer.from("I\0\0\0\x01N\0\x02nt\0\0\0\x09a", "latin1"))]],
  ["bytes after the row", [...open, encode.data(Buffer.concat([encode.insert(1, ["a", "b"]), Buffer.from("n")]))]],
  ["a table never announced", [open[0]!, encode.data(encode.insert(7, ["a", "b"]))]],
  ["a row outside of a transaction", [open[1]!, encode.data(encode.insert(1, ["a", "b"]))]],
] as const)("never passes over what it does not know: %s", (_, parts) => {
  const { feed } = decoder();
  let code = "";
  try {
    feed(...parts);
  } catch (error) {
    code = (error as TailraceError).code;
  }
  expect(code).toBe("source.protocol");
});
