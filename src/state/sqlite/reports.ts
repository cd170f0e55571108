import type { StatusReport } from "../../contracts/state.ts";
import { checksum } from "../checksum.ts";
import type { Connection } from "./connection.ts";
import { corrupt } from "./sqlite-error.ts";

export interface StoredReport {
  readonly report: StatusReport;
  readonly reportedAtMs: number;
}

/** The rows of table `report`: the last that each sync said of itself. */
export class Reports {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  put(sync: string, { report, reportedAtMs }: StoredReport): void {
    const text = JSON.stringify(report);
    this.#connection.run(
      "INSERT OR REPLACE INTO report (sync, report, reported_at_ms, checksum) VALUES (?, ?, ?, ?)",
      sync,
      text,
      reportedAtMs,
      checksum("report", [sync, text, reportedAtMs]),
    );
  }

  all(): ReadonlyMap<string, StoredReport> {
    const reports = new Map<string, StoredReport>();
    for (const row of this.#connection.all("SELECT sync, report, reported_at_ms, checksum FROM report")) {
      const sync = String(row["sync"]);
      const text = String(row["report"]);
      const reportedAtMs = Number(row["reported_at_ms"]);
      if (checksum("report", [sync, text, reportedAtMs]) !== row["checksum"])
        throw corrupt(this.#connection.path, "a status report does not match its checksum");
      reports.set(sync, { report: JSON.parse(text) as StatusReport, reportedAtMs });
    }
    return reports;
  }

  forget(sync: string): void {
    this.#connection.run("DELETE FROM report WHERE sync = ?", sync);
  }
}
