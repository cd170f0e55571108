// How an error speaks of a name that is not known.

/** The candidate that was probably meant: a slip of at most two letters, or a beginning; null when none is near. */
export function closest(word: string, candidates: Iterable<string>): string | null {
  const wanted = fold(word);
  let best: string | null = null;
  let bestDistance = Infinity;
  for (const candidate of candidates) {
    const distance = near(wanted, fold(candidate));
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** Upper case and `-` for `_` are the commonest slips; they cost nothing here. */
function fold(word: string): string {
  return word.toLowerCase().replaceAll("-", "_");
}

function near(a: string, b: string): number {
  const allowed = Math.min(a.length, b.length) <= 3 ? 1 : 2;
  const distance = editDistance(a, b, allowed);
  if (distance <= allowed && distance < Math.max(a.length, b.length)) return distance;
  const short = a.length < b.length ? a : b;
  const long = a.length < b.length ? b : a;
  // Behind every slip of the hand, but before nothing.
  return short.length >= 3 && long.startsWith(short) ? 3 + (long.length - short.length) / 100 : Infinity;
}

/** Damerau-Levenshtein (swapped neighbours count once); anything above `limit` may come back as any greater number. */
export function editDistance(a: string, b: string, limit = Infinity): number {
  if (Math.abs(a.length - b.length) > limit) return Infinity;
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const substituted = at(last, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let cost = Math.min(at(last, j) + 1, at(row, j - 1) + 1, substituted);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, at(beforeLast, j - 2) + 1);
      }
      row.push(cost);
    }
    beforeLast = last;
    last = row;
  }
  return at(last, b.length);
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Infinity;
}

/** ` (did you mean X?)` for the candidate that is a likely slip of `name`; empty when none is. `quote`: around X. */
export function didYouMean(name: string, candidates: Iterable<string>, quote = ""): string {
  const best = closest(name, candidates);
  return best === null ? "" : ` (did you mean ${quote}${best}${quote}?)`;
}
