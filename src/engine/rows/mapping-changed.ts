import { TailraceError } from "../../contracts/errors.ts";

/** What a sync stops with before rows that were sent are sent again because something else is made of them now. */
export function mappingChanged(sync: string, rows: number, why: string): TailraceError {
  const them = rows === 1 ? "the row that was sent is" : `all ${rows} rows that were sent are`;
  return new TailraceError(
    "delivery.mapping_changed",
    `${why}: ${them} to be sent again. \`tailrace resume ${sync} --approve-resend\` sends ${rows === 1 ? "it" : "them"}`,
  );
}
