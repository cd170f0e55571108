// Bulk API 2.0: https://developer.salesforce.com/docs/atlas.en-us.api_asynch.meta/api_asynch/bulk_api_2_0_ingest.htm
import type { MockAnswer, MockRequest } from "../support/mock.ts";
import type { SalesforceObject, Texts } from "./object.ts";

type State = "Open" | "UploadComplete" | "InProgress" | "JobComplete" | "Aborted";

interface Job {
  readonly id: string;
  readonly object: string;
  readonly operation: string;
  readonly externalIdFieldName: string;
  state: State;
  csv: string;
  looks: number;
  readonly succeeded: string[];
  readonly failed: string[];
}

/** Jobs in the order of their closing; one in eight takes another look. */
export class IngestJobs {
  readonly all = new Map<string, Job>();
  /** A job stops by itself after so many records, as one that somebody aborts. */
  abortAfter = Infinity;
  readonly #objectOf: (name: string) => SalesforceObject | undefined;

  constructor(objectOf: (name: string) => SalesforceObject | undefined) {
    this.#objectOf = objectOf;
  }

  answer({ method, body, headers }: MockRequest, [id, part]: readonly string[]): MockAnswer {
    if (id === undefined) return this.#create(body);
    const job = this.all.get(id);
    if (job === undefined) return refused(404, "NOT_FOUND", "The requested resource does not exist");
    if (part === "batches") {
      if (headers["content-type"] !== "text/csv" || job.state !== "Open")
        return refused(400, "INVALIDBATCH", "upload refused");
      job.csv = body;
      return { status: 201 };
    }
    if (part === "successfulResults") return { status: 200, body: `${job.succeeded.join("\n")}\n` };
    if (part === "failedResults") return { status: 200, body: `${job.failed.join("\n")}\n` };
    if (method === "PATCH") {
      if (job.state !== "Open") return refused(400, "INVALIDJOBSTATE", "Job state transition is not allowed");
      job.state = "UploadComplete";
    } else if (job.state === "UploadComplete" || job.state === "InProgress") {
      job.looks += 1;
      if (job.looks > (this.all.size % 8 === 2 ? 1 : 0)) this.#do(job);
      else job.state = "InProgress";
    }
    const { csv: _csv, looks: _looks, succeeded, failed, ...info } = job;
    const counts = { numberRecordsProcessed: succeeded.length + failed.length, numberRecordsFailed: failed.length };
    return { status: 200, body: { ...info, ...counts, jobType: "V2Ingest", contentType: "CSV" } };
  }

  #create(body: string): MockAnswer {
    const wanted = JSON.parse(body) as Pick<Job, "object" | "operation" | "externalIdFieldName"> & {
      lineEnding: string;
    };
    if (
      this.#objectOf(wanted.object)?.fields[wanted.externalIdFieldName]?.externalId !== true ||
      wanted.operation !== "upsert"
    )
      return refused(400, "INVALIDJOB", "externalIdFieldName");
    const id = `750${String(this.all.size + 1).padStart(15, "0")}`;
    const { object, operation, externalIdFieldName } = wanted;
    this.all.set(id, {
      id,
      object,
      operation,
      externalIdFieldName,
      state: "Open",
      csv: "",
      looks: 0,
      succeeded: [],
      failed: [],
    });
    return { status: 200, body: { id, state: "Open", contentUrl: `services/data/v62.0/jobs/ingest/${id}/batches` } };
  }

  #do(job: Job): void {
    const object = this.#objectOf(job.object)!;
    const [header = [], ...rows] = parseCsv(job.csv);
    const columns = header.map(quoted).join(",");
    job.succeeded.push(`"sf__Id","sf__Created",${columns}`);
    job.failed.push(`"sf__Id","sf__Error",${columns}`);
    job.state = rows.length > this.abortAfter ? "Aborted" : "JobComplete";
    const seen = new Set<string>();
    // Not in the order of the upload.
    for (const cells of rows.slice(0, this.abortAfter).toReversed()) {
      const values: Texts = {};
      for (const [at, name] of header.entries()) {
        const text = cells[at] ?? "";
        if (text === "#N/A") values[name] = null;
        else if (text !== "") values[name] = text;
      }
      const echoed = header.map((_, at) => quoted(cells[at] ?? "")).join(",");
      const key = object.folded(job.externalIdFieldName, values[job.externalIdFieldName] ?? "");
      const saved = seen.has(key)
        ? {
            statusCode: "DUPLICATE_VALUE",
            message: `Duplicate external id specified: ${key}`,
            fields: [job.externalIdFieldName],
          }
        : object.upsert(job.externalIdFieldName, values);
      seen.add(key);
      if ("id" in saved) job.succeeded.push(`${quoted(saved.id)},${quoted(String(saved.created))},${echoed}`);
      else
        job.failed.push(`"",${quoted(`${saved.statusCode}:${saved.message}:${saved.fields.join(",")} --`)},${echoed}`);
    }
  }
}

function refused(status: number, errorCode: string, message: string): MockAnswer {
  return { status, body: [{ errorCode, message }] };
}

function quoted(text: string): string {
  return `"${text.replaceAll('"', '""')}"`;
}

/** Character by character, so that it shares no mistake with the writer. */
function parseCsv(text: string): string[][] {
  const rows: string[][] = [];
  let [cell, row, inQuotes]: [string, string[], boolean] = ["", [], false];
  for (let at = 0; at < text.length; at++) {
    const letter = text[at]!;
    if (inQuotes) {
      if (letter !== '"') cell += letter;
      else if (text[at + 1] === '"') cell += text[++at];
      else inQuotes = false;
    } else if (letter === '"') inQuotes = true;
    else if (letter === "," || letter === "\n") {
      row.push(cell);
      cell = "";
      if (letter === "\n") {
        rows.push(row);
        row = [];
      }
    } else cell += letter;
  }
  return rows;
}
