import process from "node:process";
import { connect } from "node:net";
import { once } from "node:events";
import { Agent, request } from "undici";
import { expect, test } from "vitest";
import { forkHttpSink } from "../../bench/support/http-sink-process.ts";
import { startHttpSink } from "../../bench/support/http-sink.ts";

const ROWS = '{"id":"a","position":"1"}\n{"id":"b","position":"2"}\n';

test.each([
  [{ kind: "lines" }, ROWS, 2],
  [{ kind: "lines" }, ROWS.trimEnd(), 2],
  [{ kind: "marker", text: '"position":' }, `[${ROWS.trim().replace("\n", ",")}]`, 2],
  [{ kind: "header", name: "x-rows" }, "anything", 7],
] as const)("counts rows by %o", async (rows, body, expected) => {
  await using sink = await startHttpSink({ rows });
  const agent = new Agent({ connections: 1 });
  for (let at = 0; at < 3; at += 1) {
    const answer = await request(sink.url, { method: "POST", body, headers: { "x-rows": "7" }, dispatcher: agent });
    expect(answer.statusCode).toBe(200);
    await answer.body.dump();
  }
  expect(await sink.stats()).toMatchObject({
    requests: 3,
    rows: expected * 3,
    bodyBytes: body.length * 3,
    connections: 1,
  });
  await agent.close();
});

test("a request may arrive cut anywhere, and several at once", async () => {
  await using sink = await startHttpSink({ rows: { kind: "marker", text: '"position":' } });
  const one = `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${ROWS.length}\r\n\r\n${ROWS}`;
  const bytes = Buffer.from(one + one);
  const socket = connect(Number(new URL(sink.url).port), "127.0.0.1");
  await once(socket, "connect");
  socket.setNoDelay(true);
  for (let at = 0; at < bytes.length; at += 1) {
    socket.write(bytes.subarray(at, at + 1));
    await new Promise(setImmediate);
  }
  socket.write(one + one);
  expect(await sink.untilRows(8, 5000)).toMatchObject({ requests: 4, rows: 8 });
  socket.destroy();
});

test("in its own process: keeps requests, throttles, and ends", async () => {
  const sink = await forkHttpSink({ keepRequests: true });
  const before = process.hrtime.bigint();
  const agent = new Agent({ connections: 1 });
  const post = async (): Promise<void> => {
    await (await request(sink.url, { method: "POST", body: ROWS, dispatcher: agent })).body.dump();
  };
  await post();
  const [kept] = await sink.takeRequests();
  expect(kept?.body).toBe(ROWS);
  expect(kept?.firstByteNs).toBeGreaterThan(before);
  expect(kept?.firstByteNs).toBeLessThan(process.hrtime.bigint());
  expect(await sink.takeRequests()).toEqual([]);
  await sink.throttle(20);
  const start = performance.now();
  await post();
  await post();
  // 4 rows at 20 a second: the second answer may not come before 200 ms.
  expect(performance.now() - start).toBeGreaterThan(190);
  await expect(sink.untilRows(100, 20)).rejects.toThrow("6 of 100 rows");
  await agent.close();
  await sink[Symbol.asyncDispose]();
  expect(() => process.kill(sink.pid, 0)).toThrow("ESRCH");
});
