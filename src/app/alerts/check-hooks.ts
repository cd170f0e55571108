import { access, constants } from "node:fs/promises";
import { delimiter, isAbsolute, join } from "node:path";
import process from "node:process";
import { TailraceError } from "../../contracts/errors.ts";
import type { Finding } from "../../contracts/finding.ts";
import { AddressGuard } from "../../kit/address-guard.ts";
import type { Config, ConfiguredAlert } from "../config/config.ts";
import { programPath } from "./hooks/command.ts";

/** What can be said of a hook without telling it anything: whether its address is allowed, or its program there. */
export async function checkHook({ settings }: ConfiguredAlert, config: Config): Promise<readonly Finding[]> {
  const { type, command, url } = settings;
  if (type === "command") return checkProgram(programPath(command?.[0] ?? "", config.baseDirectory));
  const findings: Finding[] = [];
  const { origin, hostname, port, protocol } = new URL(url ?? "");
  const host = hostname.replace(/^\[(.*)\]$/, "$1");
  try {
    const guard = new AddressGuard(settings.allow_private);
    await guard.resolve(host, port === "" ? (protocol === "https:" ? 443 : 80) : Number(port));
  } catch (error) {
    const blocked = error instanceof TailraceError && error.code === "destination.blocked_address";
    findings.push({
      level: "error",
      code: blocked ? "alert.blocked_address" : "alert.unknown_host",
      message: blocked ? error.message : `${origin}: the host's address cannot be found.`,
      fix: blocked ? "If it is meant, add it to the alert's `allow_private`." : "Correct `url`, or look at DNS.",
    });
  }
  if (type === "webhook" && settings.secret === undefined)
    findings.push({
      level: "info",
      code: "alert.unsigned",
      message: "Alerts are not signed: the receiver cannot tell ours from anybody else's.",
      fix: "Set `secret: ${ALERT_SECRET}` and give the receiver the same; make one with `echo whsec_$(openssl rand -base64 32)`.",
    });
  return findings;
}

async function checkProgram(program: string): Promise<readonly Finding[]> {
  const places = isAbsolute(program)
    ? [program]
    : (process.env["PATH"] ?? "").split(delimiter).map((folder) => join(folder, program));
  for (const place of places) {
    const runs = await access(place, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (runs) return [];
  }
  return [
    {
      level: "error",
      code: "alert.command",
      message: `\`${program}\` is not there, or is not executable.`,
      fix: "Correct `command`, or make the file executable with `chmod +x`.",
    },
  ];
}
