import { isIP } from "node:net";
import { TailraceError } from "../../contracts/errors.ts";
import { lastLook } from "../../contracts/last-look.ts";
import type { AddressGuard } from "../../kit/address-guard.ts";
import type { Secret } from "../../kit/vendor/auth/secret.ts";
import type { Library } from "./library.ts";
import type { Message } from "./message.ts";
import { connectionError } from "./replies.ts";
import type { SmtpSettings } from "./settings.ts";

/** Many servers end a connection that has brought so many. */
const MAILS_EACH = 100;

type Connection = InstanceType<Library["SMTPConnection"]>;
type SendInfo = { readonly accepted: readonly string[] };

/** Connections to the mail server, each used by one mail at a time and kept for the next. */
export class Connections implements AsyncDisposable {
  readonly #settings: SmtpSettings;
  readonly #library: () => Promise<Library>;
  readonly #guard: AddressGuard;
  readonly #password: Secret | null;
  readonly #ca: string | undefined;
  readonly #open = new Set<Connection>();
  readonly #idle: Connection[] = [];
  readonly #mails = new WeakMap<Connection, number>();

  constructor(options: {
    readonly settings: SmtpSettings;
    readonly library: () => Promise<Library>;
    readonly guard: AddressGuard;
    readonly password: Secret | null;
    readonly ca: string | undefined;
  }) {
    this.#settings = options.settings;
    this.#library = options.library;
    this.#guard = options.guard;
    this.#password = options.password;
    this.#ca = options.ca;
  }

  /** Whether it can be signed in to. @throws TailraceError what is wrong. */
  async check(signal: AbortSignal): Promise<void> {
    this.#keep(await this.#connection(signal));
  }

  /**
   * Sends one mail, at most once. @throws TailraceError what went wrong before the mail was begun; else nodemailer's error, or `signal.reason`.
   */
  async send({ envelope, bytes }: Message, signal: AbortSignal): Promise<SendInfo> {
    const connection = await this.#connection(signal);
    lastLook();
    if (signal.aborted) {
      this.#keep(connection);
      throw signal.reason;
    }
    try {
      const info = await exchange<SendInfo>(connection, signal, (done) =>
        connection.send(envelope, bytes, (error, result) => done(error, result)),
      );
      this.#keep(connection);
      return info;
    } catch (error) {
      // Whatever state the session is in, nobody else meets it.
      connection.close();
      throw error;
    }
  }

  #keep(connection: Connection): void {
    const mails = (this.#mails.get(connection) ?? 0) + 1;
    this.#mails.set(connection, mails);
    if (mails < MAILS_EACH) this.#idle.push(connection);
    else connection.quit();
  }

  async #connection(signal: AbortSignal): Promise<Connection> {
    signal.throwIfAborted();
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop())
      if (this.#open.has(idle)) return idle;
    const addresses = await this.#addresses();
    for (const address of addresses.slice(0, -1)) {
      try {
        return await this.#connect(address, signal);
      } catch (error) {
        if (!(error instanceof TailraceError) || error.code !== "destination.unreachable") throw error;
      }
    }
    return this.#connect(addresses.at(-1)!, signal);
  }

  async #connect(address: string, signal: AbortSignal): Promise<Connection> {
    const { SMTPConnection } = await this.#library();
    const connection = new SMTPConnection(this.#options(address));
    this.#open.add(connection);
    const gone = (): void => void this.#open.delete(connection);
    // An idle one ends by an error as well.
    connection.on("error", gone);
    connection.on("end", gone);
    try {
      await exchange<void>(connection, signal, (done) => connection.connect((error) => done(error ?? null)));
      await this.#signIn(connection, signal);
      return connection;
    } catch (error) {
      connection.close();
      if (signal.aborted) throw error;
      throw connectionError(error);
    }
  }

  async #signIn(connection: Connection, signal: AbortSignal): Promise<void> {
    const { user } = this.#settings;
    if (user === undefined || this.#password === null) return;
    const pass = await this.#password.value();
    try {
      await exchange<void>(connection, signal, (done) => connection.login({ user, pass }, (error) => done(error)));
    } catch (error) {
      const known = connectionError(error);
      if (known.code === "destination.auth" && (await this.#password.refused(pass)))
        throw new TailraceError("destination.unavailable", `${known.message}; the password is read anew`);
      throw known;
    }
  }

  #options(address: string) {
    const { host, port, security, timeout_ms: timeoutMs } = this.#settings;
    const connectMs = Math.min(timeoutMs, 10_000);
    const name = isIP(host) === 0 ? { servername: host } : {};
    return {
      host: address,
      port,
      secure: security === "tls",
      requireTLS: security === "starttls",
      ignoreTLS: security === "none",
      ...name,
      tls: { ...name, ...(this.#ca !== undefined && { ca: this.#ca }) },
      connectionTimeout: connectMs,
      greetingTimeout: connectMs,
      socketTimeout: timeoutMs,
      logger: false,
      allowInternalNetworkInterfaces: true,
    };
  }

  /** Those that the guard permits; at least one. */
  async #addresses(): Promise<readonly string[]> {
    const { host, port } = this.#settings;
    try {
      return (await this.#guard.resolve(host, port)).map(({ address }) => address);
    } catch (error) {
      if (error instanceof TailraceError) throw error;
      throw new TailraceError("destination.unreachable", `${host}: the host name could not be resolved`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const connection of this.#open) connection.close();
    this.#idle.length = 0;
  }
}

/** One step of a session: its own answer, or the end of the connection. */
function exchange<T>(
  connection: Connection,
  signal: AbortSignal,
  begin: (done: (error: unknown, result: T) => void) => void,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const settle = (act: () => void): void => {
      connection.off("error", failed);
      connection.off("end", ended);
      signal.removeEventListener("abort", aborted);
      act();
    };
    const failed = (error: unknown): void => settle(() => reject(error));
    const ended = (): void => failed(Object.assign(new Error("closed"), { code: "ECONNECTION" }));
    const aborted = (): void => {
      failed(signal.reason);
      connection.close();
    };
    connection.on("error", failed);
    connection.on("end", ended);
    signal.addEventListener("abort", aborted, { once: true });
    begin((error, result) => settle(() => (error === null || error === undefined ? resolve(result) : reject(error))));
  });
}
