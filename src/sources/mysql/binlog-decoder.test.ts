// MySQL's forms, from what a MySQL 9.7 has sent; with no server at hand.
import { readFileSync } from "node:fs";
import { crc32 } from "node:zlib";
import { describe, expect, test } from "vitest";
import { relationWith } from "../../../test/support/syncs.ts";
import { BinlogDecoder } from "./binlog-decoder.ts";
import { formatGtidSet } from "./gtid-set.ts";
import { parsePosition, positionAt } from "./position.ts";
import type { TableShape } from "./table-shape.ts";
import { decoderFor } from "./values/decoders.ts";
import { EVENT } from "./wire/events.ts";
import type { TableMap } from "./wire/table-map.ts";

interface Fixture {
  readonly events: readonly string[];
  readonly json: readonly string[];
}
const FIXTURE = JSON.parse(
  readFileSync(new URL("../../../test/fixtures/mysql-9.7-events.json", import.meta.url), "utf8"),
) as Fixture;
const events = FIXTURE.events.map((hex) => Buffer.from(hex, "hex"));
const RELATION = relationWith({ id: "int", j: "json" });
const PLACE = { epoch: 1, file: 3, offset: 4, ordinal: 0, begun: 77, gtid: "" };

function shapeOf(map: TableMap): TableShape {
  const facts = { unsigned: false, charset: "utf8mb4", members: [], typeName: "" };
  return {
    decoders: map.columns.map((column) => decoderFor(column, facts)),
    places: [0, 1],
    full: RELATION,
    keyed: RELATION,
  };
}

function decoderAt(place = PLACE): BinlogDecoder {
  return new BinlogDecoder({
    mariadb: false,
    from: { by: "place", epoch: 1, place },
    after: positionAt(place),
    checksums: true,
    tables: {
      has: (_, table) => table === "v",
      relationOf: () => RELATION,
      touchedBy: () => [],
      watched: () => null,
      redefinedBy: () => [],
    },
  });
}

/** An event of the server's with other contents. */
function event(type: number, body: Buffer, flags = 0, endPosition = 99_999_999): Buffer {
  const whole = Buffer.alloc(19 + body.length + 4);
  whole.writeUInt32LE(1_700_000_000, 0);
  whole[4] = type;
  whole.writeUInt32LE(1, 5);
  whole.writeUInt32LE(whole.length, 9);
  whole.writeUInt32LE(endPosition, 13);
  whole.writeUInt16LE(flags, 17);
  body.copy(whole, 19);
  whole.writeUInt32LE(crc32(whole.subarray(0, -4)), whole.length - 4);
  return whole;
}

const XID = Buffer.alloc(8);

function read(decoder: BinlogDecoder, bytes: Buffer): void {
  let map = decoder.read(bytes, 0, bytes.length);
  for (;;) {
    if (map !== null) decoder.provide(shapeOf(map));
    if (!decoder.holdsMore) return;
    map = decoder.next();
  }
}

/** With the ends of transactions, which the fixture leaves out. */
function readAll(decoder: BinlogDecoder): void {
  for (const [i, bytes] of events.entries()) {
    if (i > 0 && bytes[4] === EVENT.gtid)
      read(decoder, event(EVENT.xid, XID, 0, bytes.readUInt32LE(13) - bytes.length));
    read(decoder, bytes);
  }
}

describe("events of MySQL", () => {
  test("rows, JSON in the server's own form, and a compressed transaction", () => {
    const decoder = decoderAt();
    readAll(decoder);
    const changes = decoder.take();
    expect(changes.map(({ after }) => after![1])).toEqual(FIXTURE.json);
    expect(changes.map(({ after }) => after![0])).toEqual([...changes.keys()].slice(0, -1).map(String).concat("100"));
    expect(changes.every(({ op, before }) => op === "insert" && before === null)).toBe(true);
    expect(changes[0]!.transaction).toMatchObject({
      id: "6e6c21c2-e819-11f1-a8bf-02fc00000001:620",
      committedAt: 1_795_533_531_398_319n,
    });
    const positions = changes.map(({ position }) => position);
    expect(positions).toEqual([...new Set(positions)].sort());
    expect(parsePosition(positions[1]!)).toMatchObject({ file: 3, begun: 77, gtid: "6e6c21c2_621" });
    expect(decoder.end > positions.at(-1)!).toBe(true);
    expect(formatGtidSet(decoder.seen.set)).toBe("6e6c21c2-e819-11f1-a8bf-02fc00000001:620-630");
  });

  test("read anew from a row, the ones before are not handed on, and the others have the same positions", () => {
    const first = decoderAt();
    readAll(first);
    const positions = first.take().map(({ position }) => position);
    const again = decoderAt(parsePosition(positions[0]!));
    readAll(again);
    expect(again.take().map(({ position }) => position)).toEqual(positions.slice(1));
  });

  test("what it cannot read is an error, and never skipped", () => {
    const code = (bytes: Buffer): string => {
      try {
        read(decoderAt(), bytes);
        return "read";
      } catch (error) {
        return (error as { code: string }).code;
      }
    };
    expect(code(event(EVENT.partialUpdateRows, XID))).toBe("source.gap.unreadable");
    expect(code(event(EVENT.taggedGtid, XID))).toBe("source.gap.unreadable");
    expect(code(event(EVENT.incident, XID))).toBe("source.gap.unreadable");
    expect(code(event(99, XID))).toBe("source.protocol");
    // Unless the server says that it may be.
    expect(code(event(99, XID, 0x80))).toBe("read");
    const damaged = Buffer.from(events[0]!);
    damaged[30]! ^= 1;
    expect(code(damaged)).toBe("source.unreachable");
    expect(code(events[0]!.subarray(0, -1))).toBe("source.protocol");
  });

  test("offsets go on beyond 4 GB, though events tell 32 bits of them", () => {
    const decoder = decoderAt({ ...PLACE, offset: 1_000_000_000 });
    for (let end = 1_900_000_000; end < 9_500_000_000; end += 900_000_000) {
      if (end === 1_900_000_000) read(decoder, event(EVENT.gtid, events[0]!.subarray(19, -4), 0, end));
      else read(decoder, event(EVENT.rowsQuery, XID, 0, end % 2 ** 32));
    }
    read(decoder, event(EVENT.xid, XID, 0, 9_900_000_000 % 2 ** 32));
    expect(parsePosition(decoder.end)).toMatchObject({ offset: 9_900_000_000, ordinal: 0, gtid: "6e6c21c2_620" });
  });
});
