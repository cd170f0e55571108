// The smallest thing that delivers: reads the slot and posts each row as JSON, by node:http with keep-alive.
// Run as a process with a Reading and a `to` URL as JSON. It knows the table, retries nothing and remembers nothing.
import { Agent, request } from "node:http";
import process from "node:process";
import { rfc3339 } from "../../src/kit/envelope.ts";
import { type Reading, framed, isInsert, openReplication } from "./replication.ts";

const { to, ...reading } = JSON.parse(process.argv[2]!) as Reading & { readonly to: string };
const COLUMNS = ["id", "name", "city", "amount", "active", "updated_at"];
const EPOCH_2000_US = 946_684_800_000_000n;

const agent = new Agent({ keepAlive: true, maxSockets: 8 });
let committedAt = "";
let lsn = "";
let posted = 0;
let answered = 0;

const take = framed((bytes, from) => {
  if (bytes[from + 5] !== 0x77) return;
  if (bytes[from + 30] === 0x42) {
    lsn = bytes.toString("hex", from + 31, from + 39);
    committedAt = rfc3339(bytes.readBigInt64BE(from + 39) + EPOCH_2000_US);
  } else if (isInsert(bytes, from)) post(values(bytes, from + 38));
});

/** The texts of a row; this table has no nulls. */
function values(bytes: Buffer, start: number): string[] {
  let at = start;
  return COLUMNS.map(() => {
    const end = at + 5 + bytes.readInt32BE(at + 1);
    const text = bytes.toString("utf8", at + 5, end);
    at = end;
    return text;
  });
}

// As many bytes as the engine's envelope has.
function post([id, name, city, amount, active, updatedAt]: string[]): void {
  const position = `${lsn}-00000001`;
  const body =
    `{"id":"latency-${position}","type":"upsert","sync":"latency","key":{"id":${id}},"position":"${position}",` +
    `"committed_at":"${committedAt}","record":{"id":${id},"name":"${name}","city":"${city}","amount":${amount},` +
    `"active":${active === "t"},"updated_at":"${updatedAt}"}}`;
  posted += 1;
  const call = request(to, {
    method: "POST",
    agent,
    headers: { "content-type": "application/json", "content-length": Buffer.byteLength(body) },
  });
  call.on("response", (response) => {
    response.resume().on("end", () => {
      answered += 1;
      if (answered === reading.rows) process.exit();
    });
  });
  call.on("error", (error) => {
    throw error;
  });
  call.end(body);
}

const socket = await openReplication(reading);
socket.on("data", take);
process.stdout.write("reading\n");
