/** One line of JSON for machines. Keys are snake_case on the command line, whatever they are inside. */
export function jsonLine(value: unknown): string {
  return `${JSON.stringify(snakeCased(value))}\n`;
}

function snakeCased(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(snakeCased);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      snakeCased(inner),
    ]),
  );
}
