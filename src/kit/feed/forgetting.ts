import { TailraceError } from "../../contracts/errors.ts";
import type { Log } from "../../contracts/log.ts";
import type { Mark, ModelFeed } from "./model-feed.ts";

/** Tells a feed what is needed no more: one call at a time, always with the newest mark; what fails is told again with the next one. */
export class Forgetting {
  #feed: ModelFeed;
  readonly #label: string;
  readonly #log: Log;
  #wanted: Mark = "";
  #told: Mark = "";
  #isTelling = false;

  constructor(feed: ModelFeed, label: string, log: Log) {
    this.#feed = feed;
    this.#label = label;
    this.#log = log;
  }

  renew(feed: ModelFeed): void {
    this.#feed = feed;
  }

  done(mark: Mark): void {
    if (mark > this.#wanted) this.#wanted = mark;
    if (this.#feed.forget !== undefined && !this.#isTelling && this.#wanted > this.#told) void this.#tell();
  }

  async #tell(): Promise<void> {
    this.#isTelling = true;
    try {
      while (this.#wanted > this.#told) {
        const mark = this.#wanted;
        await this.#feed.forget!(mark, NEVER);
        this.#told = mark;
      }
    } catch (error) {
      this.#log.warn(`what is done of ${this.#label} could not be forgotten at the source; it is tried again`, {
        error: TailraceError.from(error).message,
      });
    } finally {
      this.#isTelling = false;
    }
  }
}

/** It outlives the reading that it is about; the warehouse's own time limit ends it. */
const NEVER = new AbortController().signal;
