import type { StoredStatus } from "../../contracts/state.ts";
import type { Arrival } from "./inbox.ts";

export interface Totals {
  readonly changes: number;
  readonly accepted: number;
  readonly failures: number;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
}

/** What the demo shows while it runs: redrawn in place on a terminal, a line an arrival elsewhere. */
export class View {
  readonly #write: (text: string) => void;
  readonly #live: boolean;
  readonly #color: boolean;
  readonly #recent: Arrival[] = [];
  #drawn = 0;
  #printed = 0;

  constructor(options: { readonly write: (text: string) => void; readonly live: boolean; readonly color: boolean }) {
    this.#write = options.write;
    this.#live = options.live;
    this.#color = options.color;
  }

  say(text: string): void {
    this.#write(`${text}\n`);
  }

  arrived(arrival: Arrival): void {
    this.#recent.push(arrival);
    if (this.#recent.length > SHOWN) this.#recent.shift();
    // Elsewhere than on a terminal the first few tell the story.
    if (!this.#live && this.#printed < SHOWN) {
      this.#printed += 1;
      this.#write(`${this.#journey(arrival)}\n`);
    }
  }

  draw(totals: Totals, statuses: readonly StoredStatus[]): void {
    if (!this.#live) return;
    const lines = [
      this.#paint(
        "1",
        `${totals.changes} changes committed · ${totals.accepted} webhooks accepted (the receiver failed ${totals.failures} on purpose) · commit → accepted p50 ${ms(totals.p50Ms)}, p99 ${ms(totals.p99Ms)}`,
      ),
      "",
      ...statuses.map((status) => this.#sync(status)),
      "",
      ...this.#recent.map((arrival) => this.#journey(arrival)),
      "",
      this.#paint("2", "Ctrl-C ends it"),
    ];
    this.#write(
      `${this.#drawn > 0 ? `\u001B[${this.#drawn}A` : ""}${lines.map((line) => `\u001B[2K${line}\n`).join("")}`,
    );
    this.#drawn = lines.length;
  }

  #sync({ sync, report, state }: StoredStatus): string {
    const latency = report?.latency ? `p50 ${ms(report.latency.p50Ms)}  p99 ${ms(report.latency.p99Ms)}` : "";
    const phase = report?.phase ?? "starting";
    const colored = this.#paint(phase === "streaming" ? "32" : "33", phase.padEnd(12));
    return `  ${sync.padEnd(18)} ${colored} ${String(state.counts.delivered).padStart(7)} delivered  ${(report?.perSecond ?? 0).toFixed(0).padStart(5)}/s  ${latency}`;
  }

  #journey({ path, order, text, latencyMs, repeat }: Arrival): string {
    const took = this.#paint(latencyMs < 20 ? "32" : "33", `${latencyMs.toFixed(1).padStart(7)} ms`);
    return `  orders #${String(order).padEnd(6)} → ${path.padEnd(8)} ${took}  ${text}${repeat ? this.#paint("2", "  (sent again: the answer was lost)") : ""}`;
  }

  #paint(code: string, text: string): string {
    return this.#color ? `\u001B[${code}m${text}\u001B[0m` : text;
  }
}

const SHOWN = 12;

function ms(value: number | null): string {
  return value === null ? "–" : `${value.toFixed(1)} ms`;
}
