/** A peer cannot be run here; the message is one line, and says what to install. Not a failure of anything measured. */
export class PeerUnavailable extends Error {
  static readonly EXIT_STATUS = 3;
  override readonly name = "PeerUnavailable";
}
