// The bare protocol read: counts the rows that arrive and does nothing with them.
// Run as a process with a Reading as JSON; prints when the last row had arrived, in ms since the epoch.
import process from "node:process";
import { type Reading, framed, isInsert, openReplication } from "./replication.ts";

const reading = JSON.parse(process.argv[2]!) as Reading;
let rows = 0;
const take = framed((bytes, from) => {
  if (isInsert(bytes, from)) rows += 1;
});
const socket = await openReplication(reading);
socket.on("data", (chunk: Buffer) => {
  take(chunk);
  if (rows < reading.rows) return;
  process.stdout.write(`${performance.timeOrigin + performance.now()}\n`, () => process.exit());
});
