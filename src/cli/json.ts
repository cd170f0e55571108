/** One line of JSON for machines. Keys are snake_case on the command line, whatever they are inside. */
export function jsonLine(value: unknown): string {
  return `${JSON.stringify(snakeCased(value))}\n`;
}

/** Something whose keys are not ours, as a row's columns: they stay as they are. */
export class AsIs {
  readonly value: unknown;

  constructor(value: unknown) {
    this.value = value;
  }
}

function snakeCased(value: unknown): unknown {
  if (value instanceof AsIs) return value.value;
  if (Array.isArray(value)) return value.map(snakeCased);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      snakeCased(inner),
    ]),
  );
}
