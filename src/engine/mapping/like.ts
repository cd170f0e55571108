/** `%` any text, `_` any one character, the rest itself. */
type Piece = string | typeof ANY_TEXT | typeof ANY_CHARACTER;
const ANY_TEXT = Symbol("%");
const ANY_CHARACTER = Symbol("_");

/**
 * Whether a text is like the pattern. `escape`: one character, or empty for none. null when the pattern ends with the
 * escape character. Takes time in proportion to text × pattern at worst.
 */
export function compileLike(pattern: string, escape: string, ignoreCase: boolean): ((text: string) => boolean) | null {
  const pieces = piecesOf(ignoreCase ? pattern.toLowerCase() : pattern, ignoreCase ? escape.toLowerCase() : escape);
  if (pieces === null) return null;
  return (text) => matches(ignoreCase ? text.toLowerCase() : text, pieces);
}

function piecesOf(pattern: string, escape: string): readonly Piece[] | null {
  const pieces: Piece[] = [];
  const characters = Array.from(pattern);
  for (let index = 0; index < characters.length; index++) {
    const character = characters[index]!;
    if (character === escape) {
      const next = characters[++index];
      if (next === undefined) return null;
      pieces.push(next);
    } else if (character === "%") pieces.push(ANY_TEXT);
    else if (character === "_") pieces.push(ANY_CHARACTER);
    else pieces.push(character);
  }
  return pieces;
}

function matches(text: string, pieces: readonly Piece[]): boolean {
  let at = 0;
  let piece = 0;
  // Only the last `%` is ever worth going back to: what earlier ones took is as little as could be.
  let lastAny = -1;
  let anyEnd = 0;
  while (at < text.length) {
    const wanted = pieces[piece];
    const width = widthAt(text, at);
    if (wanted === ANY_TEXT) {
      lastAny = piece++;
      anyEnd = at;
    } else if (wanted !== undefined && (wanted === ANY_CHARACTER || text.startsWith(wanted, at))) {
      piece++;
      at += width;
    } else if (lastAny >= 0) {
      piece = lastAny + 1;
      anyEnd += widthAt(text, anyEnd);
      at = anyEnd;
    } else return false;
  }
  while (pieces[piece] === ANY_TEXT) piece++;
  return piece === pieces.length;
}

/** Code units of the character there. */
function widthAt(text: string, at: number): number {
  return text.codePointAt(at)! > 0xffff ? 2 : 1;
}
