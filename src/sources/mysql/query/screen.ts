// What in a query's text rules out following it, whatever its tables are.
import type { FunctionInfo } from "../../../kit/live-query/catalog.ts";
import type { Reason } from "../../../kit/live-query/reasons.ts";
import { functionKey } from "../../../kit/live-query/scope.ts";
import type { Screening } from "../../../kit/live-query/take-apart.ts";
import { type Node, type ParsedSelect, names, walk } from "../../../kit/live-query/tree.ts";
import { CLOCKS, CLOCKS_OF_NOTHING, FUNCTIONS, VOLATILE } from "./functions.ts";

const NOW =
  "as time passes its result changes without a change of any row, so it is compared on a schedule: put what depends on the time into the destination, or a column";

export function screen(parsed: ParsedSelect, place: ParsedSelect["place"]): Screening {
  const reasons: Reason[] = [];
  const functions = new Map<string, readonly FunctionInfo[]>();
  let timeDependent = false;
  walk({ SelectStmt: parsed.select }, (kind, node) => {
    if (kind !== "FuncCall") return;
    const funcname = node["funcname"] as Node[];
    const name = names(funcname)[0] ?? "";
    const location = place(typeof node["location"] === "number" ? node["location"] : undefined);
    const given = (node["args"] as readonly unknown[] | undefined)?.length ?? 0;
    if (CLOCKS.has(name) || (given === 0 && CLOCKS_OF_NOTHING.has(name))) {
      timeDependent = true;
      reasons.push({ construct: `${name}()`, advice: NOW, place: location });
    } else if (VOLATILE.has(name)) {
      const advice = "its result is another each time, or in each session: leave it out";
      reasons.push({ construct: `the volatile function ${name}`, advice, place: location });
    } else if (FUNCTIONS.has(name)) {
      functions.set(functionKey(funcname), FUNCTIONS.get(name)!);
    } else if (!name.startsWith("(")) {
      const advice = "what it reads cannot be seen: write its query out";
      reasons.push({ construct: `the function ${name}, which may read tables`, advice, place: location });
    }
  });
  return { reasons, timeDependent, functions };
}
