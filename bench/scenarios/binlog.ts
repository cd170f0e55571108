// How fast a binary log is read, beside the library that reads it and does nothing else.
import { MARIADB_INSTALLED, mariadbDatabase } from "../../test/support/mariadb.ts";
import { mysqlSource, startBinlogServer, tableModel } from "../../test/support/mysql-source.ts";
import type { BinlogReading } from "../floor/binlog.ts";
import { startFloor } from "../floor/run.ts";
import { figure } from "../support/report.ts";
import type { Measured, Scenario, Setting } from "./scenario.ts";

const PER_TRANSACTION = 100;

export const binlog: Scenario = {
  name: "binlog",
  summary: "rows a second out of MariaDB's binary log; floor: the same log read by the library @vlasky/zongji alone",
  run,
};

const TABLE = `CREATE TABLE rows_in (
  id bigint PRIMARY KEY, name varchar(60), email varchar(80), plan enum('free', 'pro', 'team'), amount decimal(12,2),
  score double, active tinyint(1), created datetime(6), updated timestamp(3) NULL, note text
)`;

async function run({ quick, say }: Setting): Promise<Measured> {
  if (!MARIADB_INSTALLED) throw new Error("MariaDB is not installed (Debian: apt-get install mariadb-server)");
  const rows = quick ? 50_000 : 1_000_000;
  const rounds = quick ? 1 : 5;
  await using server = await startBinlogServer();
  await using database = await mariadbDatabase(server);
  await database.sql(TABLE);
  const [place] = await database.rows("SHOW MASTER STATUS");
  await using source = mysqlSource(database.url);
  const checkpoint = await source.open([tableModel("rows_in")], [], new AbortController().signal);
  say(`writing ${rows} rows, ${PER_TRANSACTION} a transaction`);
  for (let from = 1; from <= rows; from += PER_TRANSACTION) {
    await database.sql(
      `INSERT INTO rows_in SELECT seq, CONCAT('name of ', seq), CONCAT('user', seq, '@example.com'), seq % 3 + 1, seq / 7,
         seq / 3, seq % 2, TIMESTAMPADD(MICROSECOND, seq * 1003, '2026-01-01'), TIMESTAMPADD(SECOND, seq, '2026-01-01'),
         REPEAT('note ', seq % 20) FROM seq_${from}_to_${from + PER_TRANSACTION - 1}`,
    );
  }
  const reading = {
    port: server.port,
    database: database.name,
    table: "rows_in",
    file: place!["File"]!,
    offset: Number(place!["Position"]),
    rows,
    checkpoint,
  };
  const perSecond = { library: [] as number[], source: [] as number[] };
  const rssMb: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    for (const reader of ["library", "source"] as const) {
      await using process = startFloor("binlog.ts", { ...reading, reader } satisfies BinlogReading);
      const [beganMs, endedMs, rss] = (await process.line()).split(" ").map(Number);
      perSecond[reader].push((rows / (endedMs! - beganMs!)) * 1000);
      if (reader === "source") rssMb.push(rss! / 1_048_576);
      say(`  ${reader}: ${Math.round(perSecond[reader].at(-1)!)} rows/s`);
    }
  }
  return {
    figures: [
      figure("rows out of the binary log", Math.max(...perSecond.source), "rows/s", {
        floor: Math.max(...perSecond.library),
        required: [{ of: "ratio", is: ">=", than: 0.7 }],
      }),
      figure("memory of the reader", Math.max(...rssMb), "MB"),
    ],
    method: [
      `${rows.toLocaleString("en-US")} rows of 10 columns in transactions of ${PER_TRANSACTION}, read from the start to the last row by a process that does nothing else; the two readers take`,
      `turns, ${rounds} rounds each; of each its quietest round. The library makes numbers, Dates and objects of the values, and does not verify checksums; the source makes their texts and positions, and verifies.`,
    ],
    detail: { perSecond, rssMb },
  };
}
