// A real SMTP server (smtp-server), with users, mailboxes and a script of what goes wrong.
import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { AddressInfo, Socket } from "node:net";
import { join } from "node:path";
import { SMTPServer, type SMTPServerSession } from "smtp-server";
import { type Gate, gate } from "../../support/receiver-script.ts";

export interface ReceivedMail {
  readonly from: string;
  readonly to: string;
  /** Names in lower case; lines joined, encoded words decoded. */
  readonly headers: ReadonlyMap<string, string>;
  /** Texts by type, decoded. */
  readonly bodies: ReadonlyMap<string, string>;
  readonly secure: boolean;
}

export type Step = "connect" | "from" | "to" | "data";

/**
 * What happens at a step: a reply (`451 4.7.1 later`); `cut`: the connection breaks before it is done, and `cut-after` when it is done; `hang`: no
 * reply until {@link MailServer.release}.
 */
export type Trouble = string | null;

const TLS = join(import.meta.dirname, "..", "..", "fixtures", "tls");
export const CA = readFileSync(join(TLS, "ca.pem"), "utf8");

export class MailServer implements AsyncDisposable {
  readonly mails: ReceivedMail[] = [];
  password: string;
  /** Sessions that were begun. */
  sessions = 0;
  readonly #options: { readonly tls: boolean; readonly size: number };
  readonly #sockets = new Map<number, Socket>();
  #server!: SMTPServer;
  #port = 0;
  #trouble: (step: Step, address: string) => Trouble = () => null;
  #holding: Gate = gate();

  private constructor(password: string, options: { readonly tls: boolean; readonly size: number }) {
    this.password = password;
    this.#options = options;
  }

  /** `tls`: it offers STARTTLS. */
  static async start(password: string, { tls = true, size = 1_000_000 } = {}): Promise<MailServer> {
    const server = new MailServer(password, { tls, size });
    await server.up();
    return server;
  }

  get port(): number {
    return this.#port;
  }

  get connections(): number {
    return this.#server.connections.size;
  }

  /** From now on. */
  trouble(at: (step: Step, address: string) => Trouble): void {
    this.#trouble = at;
  }

  release(): void {
    this.#holding.open();
    this.#holding = gate();
  }

  async up(): Promise<void> {
    const tls = { key: readFileSync(join(TLS, "server.key")), cert: readFileSync(join(TLS, "server.pem")) };
    this.#server = new SMTPServer({
      ...(this.#options.tls ? tls : { hideSTARTTLS: true, logger: false }),
      size: this.#options.size,
      disableReverseLookup: true,
      allowInsecureAuth: true,
      closeTimeout: 1,
      onConnect: (session, done) => {
        this.sessions += 1;
        void this.#step("connect", "", session, done);
      },
      onAuth: ({ username, password }, _session, done) => {
        if (username === "user" && password === this.password) done(null, { user: username });
        else done(replyError(`535 5.7.8 Wrong password ${password ?? ""}`));
      },
      onMailFrom: ({ address }, session, done) => void this.#step("from", address, session, done),
      onRcptTo: ({ address }, session, done) => void this.#step("to", address, session, done),
      onData: (stream, session, done) => {
        const chunks: Buffer[] = [];
        stream.on("data", (chunk: Buffer) => chunks.push(chunk));
        stream.on("end", () => {
          if (stream.sizeExceeded) return done(replyError("552 5.3.4 Too large"));
          const [to] = session.envelope.rcptTo;
          const from = session.envelope.mailFrom === false ? "" : session.envelope.mailFrom.address;
          const mail = read(Buffer.concat(chunks).toString("latin1"), from, to!.address, session.secure);
          void this.#step(
            "data",
            to!.address,
            session,
            (error) => done(error),
            () => this.mails.push(mail),
          );
        });
      },
    });
    this.#server.on("error", () => {});
    this.#server.server.on("connection", (socket: Socket) => {
      const port = socket.remotePort ?? 0;
      this.#sockets.set(port, socket);
      socket.on("close", () => this.#sockets.delete(port));
    });
    this.#server.listen(this.#port, "127.0.0.1");
    await once(this.#server.server, "listening");
    this.#port = (this.#server.server.address() as AddressInfo).port;
  }

  async down(): Promise<void> {
    for (const socket of this.#sockets.values()) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.release();
    await this.down();
  }

  async #step(
    step: Step,
    address: string,
    session: SMTPServerSession,
    done: (error?: Error | null) => void,
    effect: () => void = () => {},
  ): Promise<void> {
    const trouble = this.#trouble(step, address);
    const cut = (): void => void this.#sockets.get(session.remotePort)?.resetAndDestroy();
    if (trouble === "cut") return cut();
    if (trouble === "hang") await this.#holding.opened;
    else if (trouble !== null && trouble !== "cut-after") return done(replyError(trouble));
    effect();
    if (trouble === "cut-after") return cut();
    done();
  }
}

function replyError(reply: string): Error {
  return Object.assign(new Error(reply.slice(4)), { responseCode: Number(reply.slice(0, 3)) });
}

function read(raw: string, from: string, to: string, secure: boolean): ReceivedMail {
  const { headers, body } = partOf(raw);
  const bodies = new Map<string, string>();
  const [, boundary] = /boundary="([^"]+)"/.exec(headers.get("content-type") ?? "") ?? [];
  const parts = boundary === undefined ? [raw] : body.split(`--${boundary}`).slice(1, -1);
  for (const text of parts) {
    const part = partOf(text.replace(/^\r\n/, ""));
    const type = (part.headers.get("content-type") ?? "").split(";")[0]!;
    bodies.set(type, decoded(part.body, part.headers.get("content-transfer-encoding") ?? "").replace(/\r\n$/, ""));
  }
  return { from, to, headers, bodies, secure };
}

function partOf(text: string): { headers: Map<string, string>; body: string } {
  const end = text.indexOf("\r\n\r\n");
  const lines = text
    .slice(0, end)
    .replaceAll(/\r\n[ \t]+/g, " ")
    .split("\r\n");
  const headers = lines.map((line): [string, string] => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon).toLowerCase(), words(line.slice(colon + 1).trim())];
  });
  return { headers: new Map(headers), body: text.slice(end + 4) };
}

function decoded(body: string, encoding: string): string {
  if (encoding === "base64") return Buffer.from(body, "base64").toString("utf8");
  if (encoding === "quoted-printable") return quoted(body.replaceAll("=\r\n", ""));
  return body;
}

/** RFC 2047: `=?UTF-8?Q?caf=C3=A9?=` */
function words(text: string): string {
  return text
    .replaceAll(/\?=\s+=\?/g, "?==?")
    .replaceAll(/=\?UTF-8\?([QB])\?([^?]*)\?=/gi, (_all, kind: string, word: string) =>
      kind.toUpperCase() === "B" ? Buffer.from(word, "base64").toString("utf8") : quoted(word.replaceAll("_", " ")),
    );
}

function quoted(text: string): string {
  const bytes = text.replaceAll(/=([0-9A-F]{2})/g, (_all, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return Buffer.from(bytes, "latin1").toString("utf8");
}
