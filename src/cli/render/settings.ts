import type { ConnectorSettings, ConnectorSummary, Setting } from "../../app/settings.ts";
import type { DestinationGuide } from "../../contracts/destination.ts";
import type { Paint } from "./paint.ts";
import { pairs, table } from "./table.ts";
import { wrapped } from "./wrap.ts";

export function renderTypes(types: readonly ConnectorSummary[]): string {
  return table(
    [{ title: "TYPE" }, { title: "" }],
    types.map(({ type, title }) => [type, title]),
  );
}

export function renderSettings({ type, title, settings, options, guide }: ConnectorSettings, paint: Paint): string {
  const about = guide === null ? "" : `${renderGuide({ ...guide, type }, paint)}\n`;
  const head = `${paint("bold", type)}  ${title}\n\n${about}${renderKeys(settings, paint)}`;
  if (options === null || options.length === 0) return head;
  return `${head}\n${paint("bold", "options")} of a sync\n\n${renderKeys(options, paint)}`;
}

function renderGuide({ type, summary, objects }: DestinationGuide & { type: string }, paint: Paint): string {
  const rows = objects.map(({ name, match, modes, deletes, batch }) => [
    name,
    match,
    modes.join(", "),
    deletes.join(", "),
    batch,
  ]);
  const titles = ["OBJECT", "FOUND BY", "MODES", "ON_DELETE", "REQUESTS"].map((title) => ({ title }));
  return `${wrapped(summary, 80)}\n\n${table(titles, rows)}\n${paint("dim", `More: docs/destinations/${type}.md`)}\n`;
}

function renderKeys(settings: readonly Setting[], paint: Paint): string {
  return pairs(
    settings.map(({ key, value, required, default: otherwise, secret, description }) => {
      const notes = [
        value,
        ...(required ? [paint("yellow", "required")] : []),
        ...(otherwise === null ? [] : [`default ${otherwise}`]),
        ...(secret ? ["secret"] : []),
      ];
      return [key, `${paint("dim", notes.join(", "))}${description === "" ? "" : `\n${wrapped(description, 80)}`}`];
    }),
    "  ",
  );
}
