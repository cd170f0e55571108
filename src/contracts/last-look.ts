// For what time alone takes away: a lease.

const looks = new Set<() => void>();

/** `look` aborts what must not be sent any more, and returns at once. Gives back what ends it. */
export function onLastLook(look: () => void): () => void {
  looks.add(look);
  return () => void looks.delete(look);
}

/**
 * For a client, at the moment when it writes a request, before it asks its signal. The engine has asked the lease before it handed the
 * request over; but then it may have waited for a connection, and a process that was frozen meanwhile goes on with that before any timer
 * has its turn. Nothing needs to be handed down from the lease: what is aborted here aborts every signal that was made of it.
 */
export function lastLook(): void {
  for (const look of looks) look();
}
