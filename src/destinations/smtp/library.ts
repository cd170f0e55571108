import { loadOptional } from "../../kit/optional-library.ts";

const LIBRARY = { title: "nodemailer", package: "nodemailer", version: "10.6.1" };

/** @throws TailraceError `destination.config` where it is not installed. */
export async function loadLibrary() {
  const [connection, composer] = await loadOptional(LIBRARY, "destination.config", () =>
    Promise.all([import("nodemailer/lib/smtp-connection"), import("nodemailer/lib/mail-composer")]),
  );
  return { SMTPConnection: connection.default, MailComposer: composer.default };
}

export type Library = Awaited<ReturnType<typeof loadLibrary>>;
