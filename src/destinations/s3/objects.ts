import { hash } from "node:crypto";
import type { Delivery } from "../../contracts/destination.ts";
import { TailraceError } from "../../contracts/errors.ts";
import { EnvelopeWriter, rfc3339 } from "../../kit/envelope.ts";
import type { Operations, Place } from "../../kit/vendor/definition.ts";
import { oneRequest } from "../../kit/vendor/operation.ts";
import { Outcomes, allDelivered } from "../../kit/vendor/outcomes.ts";
import type { S3Options, S3Settings } from "./settings.ts";

export const OBJECT_ROWS = 10_000;

/** One object a batch. Its name is made of the batch's rows: what is sent again is put over itself. */
export function objects({ target, settings, options }: Place<S3Settings, S3Options>): Operations {
  const { sync, mode } = target;
  const plain = options.format === "record";
  if (plain && mode !== "event" && mode !== "insert")
    throw new TailraceError("destination.config", "`format: record` is for the modes `event` and `insert`");
  const envelope = new EnvelopeWriter(sync);
  // Of rows that were read for no change: the same for every attempt.
  const opened = BigInt(Date.now()) * 1000n;

  const nameOf = (rows: readonly Delivery[]): string => {
    const [first, last] = [rows[0]!, rows.at(-1)!];
    const [year, month, day, hour] = rfc3339(first.committedAt ?? opened).split(/[-T:]/) as [
      string,
      string,
      string,
      string,
    ];
    const folder = options.path.replaceAll(
      /\{(\w+)\}/g,
      (_, name: string) => ({ sync, year, month, day, hour })[name]!,
    );
    const batch = hash("sha256", rows.map(({ id }) => id).join("\n"), "hex").slice(0, 16);
    return `${folder}${first.id}_${last.id}_${batch}.ndjson`;
  };

  const put = oneRequest({
    rows: OBJECT_ROWS,
    call: (rows) => ({
      method: "PUT",
      path: `${bucketPath(settings)}/${nameOf(rows).split("/").map(encodeURIComponent).join("/")}`,
      contentType: "application/x-ndjson",
      body: rows.map((row) => (plain ? row.record.json() : envelope.write(row)) + "\n").join(""),
    }),
    // An object is stored whole or not at all, and then it has a tag; an answer without one is not of S3.
    read: (answer, rows) =>
      answer.headers["etag"] === undefined ? new Outcomes(rows).whereSaid() : allDelivered(rows),
  });
  return { upsert: put, delete: put, create: put, event: put };
}

/** Before the object's name. */
export function bucketPath({ bucket, path_style: pathStyle }: S3Settings): string {
  return pathStyle ? `/${bucket}` : "";
}

export function originOf({ bucket, region, path_style: pathStyle }: S3Settings): string {
  return `https://${pathStyle ? "" : `${bucket}.`}s3.${region}.amazonaws.com`;
}
