import { expect, test } from "vitest";
import { databaseError, type Phase } from "./errors.ts";

const error = (code: string, more: object = {}) =>
  Object.assign(new Error("CANARY"), { severity: "ERROR", code, ...more });

test.each<[string, Phase, string]>([
  ["40001", "working", "destination.unavailable"],
  ["40P01", "committing", "destination.unavailable"],
  ["55P03", "working", "destination.unavailable"],
  ["53300", "connecting", "destination.unavailable"],
  ["57P01", "working", "destination.unavailable"],
  ["57P01", "committing", "destination.unknown"],
  ["08006", "working", "destination.unreachable"],
  ["08006", "committing", "destination.unknown"],
  ["40003", "committing", "destination.unknown"],
  ["23503", "committing", "destination.refused"],
  ["22P02", "working", "destination.refused"],
  ["42804", "working", "destination.refused"],
  ["21000", "working", "destination.refused"],
  ["28P01", "connecting", "destination.auth"],
  ["3D000", "connecting", "destination.config"],
  ["42501", "working", "destination.config"],
  ["42P10", "working", "destination.config"],
])("SQLSTATE %s while %s is %s", (state, phase, code) => {
  const mapped = databaseError(error(state), phase);
  expect(mapped.code).toBe(code);
  expect(mapped.message).not.toContain("CANARY");
});

test("a violation of the index that upserts go by is a race, of another one a refusal", () => {
  expect(databaseError(error("23505", { constraint: "t_pkey" }), "working", "t_pkey").code).toBe(
    "destination.unavailable",
  );
  expect(databaseError(error("23505", { constraint: "t_email_key" }), "working", "t_pkey").code).toBe(
    "destination.refused",
  );
});

test("a mistake of ours is not taken for a broken connection", () => {
  expect(databaseError(new TypeError("CANARY"), "working")).toMatchObject({ code: "internal.defect" });
  expect(databaseError(new TypeError("CANARY"), "working").message).not.toContain("CANARY");
});

test("a broken socket is an unknown outcome only while the commit is under way", () => {
  const reset = Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" });
  expect(databaseError(reset, "working").code).toBe("destination.unreachable");
  expect(databaseError(reset, "committing").code).toBe("destination.unknown");
  expect(databaseError(new Error("Connection terminated unexpectedly"), "committing").code).toBe("destination.unknown");
});
