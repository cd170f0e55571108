import { loadOptional } from "../../kit/optional-library.ts";

const LIBRARY = { title: "The Kafka client", package: "@platformatic/kafka", version: "2.12.1" };

/** @throws TailraceError `destination.config` where it is not installed. */
export async function loadLibrary() {
  return loadOptional(LIBRARY, "destination.config", () => import("@platformatic/kafka"));
}

export type Library = Awaited<ReturnType<typeof loadLibrary>>;
