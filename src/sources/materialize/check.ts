// What a person should know before a sync reads a model. Changes nothing.
import type { TailraceError } from "../../contracts/errors.ts";
import type { Finding } from "../../contracts/finding.ts";
import type { ModelPlace } from "./model-place.ts";
import type { Sessions } from "./sessions.ts";
import { asSourceError } from "./source-error.ts";
import { duplicates, NOW } from "./statements.ts";

export async function checkModels(
  places: readonly ModelPlace[],
  sessions: Sessions,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  try {
    await sessions.rows(NOW, signal);
  } catch (error) {
    signal.throwIfAborted();
    throw asSourceError(error, "Materialize");
  }
  const findings: Finding[] = [];
  for (const place of places) {
    try {
      await place.incarnation(signal);
      findings.push(...(await checkKey(place, sessions, signal)));
    } catch (error) {
      signal.throwIfAborted();
      const failure = asSourceError(error, place.label);
      if (failure.code !== "source.model" && failure.code !== "source.config") throw failure;
      findings.push(refused(place, failure));
    }
  }
  return findings;
}

async function checkKey(place: ModelPlace, sessions: Sessions, signal: AbortSignal): Promise<Finding[]> {
  const { columns, key } = await place.relation(signal);
  const names = key.map((index) => columns[index]!.name);
  const { rows } = await place.guard(signal, () => sessions.rows(duplicates(place.from, names), signal));
  const count = rows[0]![0];
  if (count === "0") return [];
  return [
    {
      level: "error",
      code: "materialize.duplicate_key",
      message: `${count} keys (${names.join(", ")}) are of more than one row.`,
      fix: "Correct the data or the SQL, or give the model a key that tells its rows apart.",
      subject: place.model.name,
    },
  ];
}

function refused({ model, from }: ModelPlace, failure: TailraceError): Finding {
  const isRight = failure.code === "source.config";
  return {
    level: "error",
    code: isRight ? "materialize.privileges" : "materialize.model",
    message: failure.message,
    fix: isRight
      ? `GRANT USAGE ON CLUSTER … TO ROLE; GRANT USAGE ON SCHEMA … TO ROLE; GRANT SELECT ON ${model.kind === "table" ? from : "…"} TO ROLE;`
      : failure.hint,
    subject: model.name,
  };
}
