import { Cron } from "croner";
import { closest } from "../../contracts/did-you-mean.ts";

export type Flawed = { readonly message: string; readonly fix: string };

/** What is wrong with a cron expression of five fields, to follow its name; null: nothing. */
export function flawOfCron(expression: string): Flawed | null {
  const fix = 'write minute, hour, day, month and weekday, such as `cron: "0 * * * *"` for each full hour.';
  try {
    const cron = new Cron(expression, { mode: "5-part", timezone: "UTC", paused: true });
    if (cron.nextRun() !== null) return null;
    return { message: "names a time that never comes", fix };
  } catch {
    return { message: "is no cron expression", fix };
  }
}

/** What is wrong with the name of a time zone, to follow the key; null: nothing. */
export function flawOfTimezone(timezone: string): Flawed | null {
  try {
    Intl.DateTimeFormat("en", { timeZone: timezone });
    return null;
  } catch {
    const near = closest(timezone, Intl.supportedValuesOf("timeZone"));
    const suggestion = near === null ? "" : `; did you mean \`${near}\`?`;
    return {
      message: `is no time zone${suggestion}`,
      fix: near === null ? "write its IANA name, such as `timezone: Europe/Berlin`." : `write \`timezone: ${near}\`.`,
    };
  }
}
