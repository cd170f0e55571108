// `node mock-process.ts NAME`: the vendor's answers in a process of its own. Tells its parent the URL, and on request the rows written so far.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import process from "node:process";
import type { BenchVendor } from "./vendor.ts";

const { default: vendor } = (await import(`./${process.argv[2]}.ts`)) as { default: BenchVendor };
let rows = 0;
let requests = 0;
const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    const body = Buffer.concat(chunks).toString("utf8");
    const answer = vendor.answer({ method: request.method ?? "", url: request.url ?? "", body });
    rows += answer.rows;
    requests += 1;
    response.writeHead(answer.status, {
      "content-type": "application/json",
      "content-length": Buffer.byteLength(answer.body),
    });
    response.end(answer.body);
  });
});
server.listen(0, "127.0.0.1", () => process.send?.(`http://127.0.0.1:${(server.address() as AddressInfo).port}`));
process.on("message", () => process.send?.({ rows, requests }));
process.on("disconnect", () => process.exit());
