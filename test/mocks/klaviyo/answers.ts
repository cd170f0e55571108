// Klaviyo's errors: https://developers.klaviyo.com/en/docs/rate_limits_and_error_handling
import type { MockAnswer } from "../support/mock.ts";

/** Klaviyo's answer to too many requests. */
export function tooMany(seconds: number): MockAnswer {
  return {
    ...problem(429, "throttled", `Request was throttled. Expected available in ${seconds} second.`),
    headers: { "retry-after": String(seconds) },
  };
}

export function notFound(): MockAnswer {
  return problem(404, "not_found", "The path that you provided could not be found.");
}

export function problem(status: number, code: string, detail: string, pointer = "/data/"): MockAnswer {
  const id = "1d3ae0b3-4d3a-4a2f-8a0c-6f1f9a1f0b11";
  return {
    status,
    body: { errors: [{ id, status, code, title: detail, detail, source: { pointer }, links: {}, meta: {} }] },
  };
}

export function problems(all: readonly { code?: string; detail: string; pointer: string }[]): MockAnswer {
  return {
    status: 400,
    body: {
      errors: all.map(({ code = "invalid", detail, pointer }, at) => ({
        id: `1d3ae0b3-${at}`,
        status: 400,
        code,
        title: "Invalid input.",
        detail,
        source: { pointer },
        links: {},
        meta: {},
      })),
    },
  };
}
