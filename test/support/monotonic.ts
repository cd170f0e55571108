/** ms of the machine's monotonic clock, which all processes of one boot share. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint() / 1_000_000n);
}
