const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 } as const;

export type Style = keyof typeof CODES;
export type Paint = (style: Style, text: string) => string;

/** Colours, or none: the text as it is. */
export function painter(color: boolean): Paint {
  return color ? (style, text) => `\u001B[${CODES[style]}m${text}\u001B[0m` : (_, text) => text;
}

export const LEVEL_STYLES = { error: "red", warning: "yellow", info: "cyan" } as const;
