import type { ConnectorSettings, ConnectorSummary, Setting } from "../../app/settings.ts";
import type { Paint } from "./paint.ts";
import { pairs, table } from "./table.ts";
import { wrapped } from "./wrap.ts";

export function renderTypes(types: readonly ConnectorSummary[]): string {
  return table(
    [{ title: "TYPE" }, { title: "" }],
    types.map(({ type, title }) => [type, title]),
  );
}

export function renderSettings({ type, title, settings, options }: ConnectorSettings, paint: Paint): string {
  const head = `${paint("bold", type)}  ${title}\n\n${renderKeys(settings, paint)}`;
  if (options === null || options.length === 0) return head;
  return `${head}\n${paint("bold", "options")} of a sync\n\n${renderKeys(options, paint)}`;
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
