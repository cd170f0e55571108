import type { SourceHoldings } from "../../app/slots.ts";
import type { Paint } from "./paint.ts";
import { printable } from "./printable.ts";
import { table } from "./table.ts";
import { bytes } from "./units.ts";

export function renderHoldings(sources: readonly SourceHoldings[], paint: Paint): string {
  return sources
    .map(({ source, holdings, problem }) => {
      const title = `${paint("bold", `source ${source}`)}\n`;
      if (problem !== null) return `${title}${paint("red", printable(problem))}\n`;
      if (holdings.length === 0) return `${title}nothing is held\n`;
      return (
        title +
        table(
          [
            { title: "NAME" },
            { title: "KIND" },
            { title: "ACTIVE" },
            { title: "KEEPS", align: "right" },
            { title: "USED" },
            { title: "" },
          ],
          holdings.map(({ name, kind, active, retainedBytes, used, detail }) => [
            name,
            kind,
            active ? paint("green", "yes") : "no",
            retainedBytes === null ? "–" : bytes(retainedBytes),
            used ? "by this project" : paint("yellow", "not by this project"),
            detail,
          ]),
        )
      );
    })
    .join("\n");
}
