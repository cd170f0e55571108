// The connection beneath a client of the driver.
import type { Socket } from "node:net";
import type { Connection } from "mysql2/promise";

/** Cuts the connection: what is under way rejects at once. The driver's own `destroy` lets a statement that waits go on. */
export function cut(connection: Connection): void {
  (connection as unknown as { connection: { stream: Socket } }).connection.stream.destroy();
}
