// The connection beneath a client of the driver.
import type { Socket } from "node:net";
import type pg from "pg";

/** Cuts the connection: what is under way rejects at once, and the server ends the session. */
export function destroy(client: pg.ClientBase): void {
  socketOf(client).destroy();
}

/** Whether the connection was cut or has failed. */
export function isCut(client: pg.ClientBase): boolean {
  return socketOf(client).destroyed;
}

/** What has arrived on the connection so far. */
export function bytesRead(client: pg.ClientBase): number {
  return socketOf(client).bytesRead;
}

/** Nothing is read from the connection any more: the other side waits. */
export function pause(client: pg.ClientBase): void {
  socketOf(client).pause();
}

export function resume(client: pg.ClientBase): void {
  socketOf(client).resume();
}

function socketOf(client: pg.ClientBase): Socket {
  return (client as unknown as { connection: { stream: Socket } }).connection.stream;
}
