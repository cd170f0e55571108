import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** `up`: from the client to the server; `down`: from the server to the client. */
export type Direction = "up" | "down";

/** What happens to the bytes of one direction. */
export type Flow =
  | { readonly kind: "pass" }
  /** Taken from the sender, and never passed on. */
  | { readonly kind: "black-hole" }
  /** Not taken from the sender either: its buffers fill. Passed on later, when the flow changes. */
  | { readonly kind: "stall" }
  | { readonly kind: "throttle"; readonly bytesPerSecond: number }
  | { readonly kind: "delay"; readonly ms: number };

export interface ProxiedConnection {
  readonly id: number;
  readonly bytes: { readonly up: number; readonly down: number };
  readonly open: boolean;
  /** Resets both ends (TCP RST). */
  cut(): void;
  /** Ends one direction (FIN), the other goes on. */
  halfClose(direction: Direction): void;
  /** Overrides the proxy's flow for this connection. */
  flow(direction: Direction, flow: Flow): void;
}

/** A TCP proxy on 127.0.0.1 that misbehaves when told. */
export interface TcpProxy extends AsyncDisposable {
  readonly port: number;
  /** `url` with the proxy's host and port instead of its own. */
  through(url: string): string;
  /** Where new connections go; existing ones stay where they are. */
  target(address: Address): void;
  /** All that were ever made, in order. */
  readonly connections: readonly ProxiedConnection[];
  /** For existing and new connections. Both directions when none is named. */
  flow(flow: Flow, direction?: Direction): void;
  cutAll(): void;
  /** Closes the listening port: new connections are refused. Existing ones stay. */
  refuse(): Promise<void>;
  /** Listens again, on the same port. */
  accept(): Promise<void>;
}

export async function startTcpProxy(target: Address): Promise<TcpProxy> {
  let upstream = target;
  const flows: Record<Direction, Flow> = { up: { kind: "pass" }, down: { kind: "pass" } };
  const connections: Connection[] = [];
  // Half-open is kept as it is: closing one side is for the two ends to decide.
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const far = connect({ ...upstream, allowHalfOpen: true, noDelay: true });
    connections.push(new Connection(connections.length, client, far, flows));
  });
  const listen = async (port: number): Promise<void> => {
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
  };
  await listen(0);
  const { port } = server.address() as AddressInfo;
  const cutAll = (): void => {
    for (const connection of connections) connection.cut();
  };
  // `close` calls back only when every connection has ended; what matters here is the port.
  const refuse = (): Promise<void> => {
    if (server.listening) server.close();
    return Promise.resolve();
  };
  return {
    port,
    through: (url) => {
      const rewritten = new URL(url);
      rewritten.hostname = "127.0.0.1";
      rewritten.port = String(port);
      return rewritten.href;
    },
    target: (address) => {
      upstream = address;
    },
    connections,
    flow: (flow, direction) => {
      for (const way of direction === undefined ? (["up", "down"] as const) : [direction]) {
        flows[way] = flow;
        for (const connection of connections) connection.flow(way, flow);
      }
    },
    cutAll,
    refuse,
    accept: () => listen(port),
    [Symbol.asyncDispose]: async () => {
      await refuse();
      cutAll();
    },
  };
}

class Connection implements ProxiedConnection {
  readonly id: number;
  readonly bytes = { up: 0, down: 0 };
  readonly #client: Socket;
  readonly #server: Socket;
  readonly #pipes: Record<Direction, Pipe>;

  constructor(id: number, client: Socket, server: Socket, flows: Readonly<Record<Direction, Flow>>) {
    this.id = id;
    this.#client = client;
    this.#server = server;
    const counted = (direction: Direction) => (bytes: number) => {
      this.bytes[direction] += bytes;
    };
    this.#pipes = {
      up: new Pipe(client, server, flows.up, counted("up")),
      down: new Pipe(server, client, flows.down, counted("down")),
    };
    // A reset at one end is a reset at the other, as without a proxy.
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      socket.on("error", () => other.resetAndDestroy());
      socket.on("close", () => {
        if (!other.destroyed && !other.writableEnded) other.destroySoon();
      });
    }
  }

  get open(): boolean {
    return !this.#client.destroyed && !this.#server.destroyed;
  }

  cut(): void {
    this.#client.resetAndDestroy();
    this.#server.resetAndDestroy();
  }

  halfClose(direction: Direction): void {
    (direction === "up" ? this.#server : this.#client).end();
  }

  flow(direction: Direction, flow: Flow): void {
    this.#pipes[direction].set(flow);
  }
}

/** One direction of a connection. */
class Pipe {
  readonly #from: Socket;
  readonly #to: Socket;
  #flow: Flow;
  /** When the last bytes that are held back may leave, by `performance.now()`. */
  #freeAtMs = 0;
  /** In order; null: the end. What comes later waits behind them, also when they are late. */
  readonly #held: { readonly chunk: Buffer | null; readonly atMs: number }[] = [];

  constructor(from: Socket, to: Socket, flow: Flow, count: (bytes: number) => void) {
    this.#from = from;
    this.#to = to;
    this.#flow = flow;
    from.on("data", (chunk: Buffer) => {
      count(chunk.length);
      this.#pass(chunk);
    });
    from.on("end", () => this.#end());
    to.on("drain", () => this.#resume());
    if (flow.kind === "stall") from.pause();
  }

  set(flow: Flow): void {
    this.#flow = flow;
    if (flow.kind === "stall") this.#from.pause();
    else this.#resume();
  }

  #pass(chunk: Buffer): void {
    const flow = this.#flow;
    if (flow.kind === "black-hole") return;
    const nowMs = performance.now();
    const free = Math.max(nowMs, this.#freeAtMs);
    if (flow.kind === "throttle") this.#freeAtMs = free + (chunk.length * 1000) / flow.bytesPerSecond;
    else if (flow.kind === "delay") this.#freeAtMs = Math.max(this.#freeAtMs, nowMs + flow.ms);
    if (this.#freeAtMs <= nowMs && this.#held.length === 0) {
      if (!this.#write(chunk)) this.#from.pause();
      return;
    }
    if (flow.kind === "throttle") this.#from.pause();
    this.#hold(chunk);
  }

  #hold(chunk: Buffer | null): void {
    this.#held.push({ chunk, atMs: this.#freeAtMs });
    if (this.#held.length === 1) this.#wait();
  }

  #wait(): void {
    setTimeout(() => this.#release(), Math.max(0, this.#held[0]!.atMs - performance.now()));
  }

  #release(): void {
    while (this.#held.length > 0 && this.#held[0]!.atMs <= performance.now()) {
      const { chunk } = this.#held.shift()!;
      if (chunk === null) this.#to.end();
      else this.#write(chunk);
    }
    if (this.#held.length > 0) this.#wait();
    this.#resume();
  }

  #write(chunk: Buffer): boolean {
    return this.#to.writable ? this.#to.write(chunk) : true;
  }

  #resume(): void {
    if (this.#flow.kind !== "stall" && !this.#to.writableNeedDrain) this.#from.resume();
  }

  #end(): void {
    if (this.#flow.kind === "black-hole") return;
    if (this.#held.length === 0) this.#to.end();
    else this.#hold(null);
  }
}
