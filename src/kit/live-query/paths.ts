// From every reference the shortest way to the model's key. Why that is enough: docs/decisions/006-live-queries.md.
import { binary } from "./tree.ts";
import {
  EQUAL,
  type Expression,
  type Graph,
  type Link,
  type TableReference,
  effective,
  encloses,
  mergedColumns,
  partOf,
  rejectsMissing,
  strict,
  textOf,
} from "./graph.ts";
import type { Functions } from "./scope.ts";
import { sameTexts } from "./text-class.ts";

/** How the keys are found that a changed row of a reference can affect. */
export interface Path {
  readonly reference: TableReference;
  /** What it is joined with; each of these is nearer to the key than it. */
  readonly through: ReadonlySet<TableReference>;
  readonly links: readonly Link[];
  /** By place in the key; places that are missing are not known from it. */
  readonly key: ReadonlyMap<number, Expression>;
}

export interface Paths {
  readonly found: readonly Path[];
  /** No condition leads from these to the key. */
  readonly unlinked: readonly TableReference[];
}

type Parts = ReadonlyMap<TableReference, ReadonlyMap<number, Expression>>;

export function findPaths(graph: Graph, functions: Functions): Paths {
  const constants = new Map<number, Expression>();
  for (const [place, part] of graph.key.entries()) if (part?.references.size === 0) constants.set(place, part);
  const parts = keyParts(graph, functions);
  const whole = graph.key.length - constants.size;
  const known = new Map<TableReference, Path>();
  const begin = (reference: TableReference) => {
    const key = new Map([...constants, ...(parts.get(reference) ?? [])]);
    known.set(reference, { reference, through: new Set(), links: [], key });
  };
  for (const reference of graph.references) if (parts.get(reference)?.size === whole) begin(reference);
  spread(graph, parts, known);
  // What is left finds part of the key at the best.
  if (known.size < graph.references.length) {
    for (const reference of graph.references) {
      if (!known.has(reference) && (parts.get(reference)?.size ?? 0) > 0) begin(reference);
    }
    spread(graph, parts, known);
  }
  return {
    found: [...known.values()],
    unlinked: graph.references.filter((reference) => !known.has(reference)),
  };
}

/**
 * Whether rows of the reference only matter where the link holds: it binds them where they stand, and cannot hold for a missing row of
 * another reference in their place.
 */
function binds(link: Link, reference: TableReference): boolean {
  const home = link.home();
  if (home === undefined || !standsWith(link, reference)) return false;
  return [...link.expression.references].every(
    (other) => other === reference || encloses(other.home, home) || rejectsMissing(link, other),
  );
}

function standsWith(link: Link, reference: TableReference): boolean {
  const home = link.home();
  if (home === undefined || !link.expression.references.has(reference)) return false;
  return effective(home) === effective(reference.home);
}

/** Takes reference after reference to those known, the one with the cheapest link first. */
function spread(graph: Graph, parts: Parts, known: Map<TableReference, Path>): void {
  for (;;) {
    let best: { readonly path: Path; readonly cost: number } | null = null;
    for (const link of graph.links) {
      for (const reference of link.expression.references) {
        if (known.has(reference) || !binds(link, reference)) continue;
        const others = [...link.expression.references].filter((other) => other !== reference);
        if (others.length === 0 || !others.every((other) => known.has(other))) continue;
        const path = pathOver(reference, others, link, graph, parts, known);
        const cost = path.through.size + (isEquality(link) ? 0 : 1000);
        if (!best || cost < best.cost) best = { path, cost };
      }
    }
    if (!best) return;
    known.set(best.path.reference, best.path);
  }
}

function pathOver(
  reference: TableReference,
  others: readonly TableReference[],
  link: Link,
  graph: Graph,
  parts: Parts,
  known: ReadonlyMap<TableReference, Path>,
): Path {
  const through = new Set(others);
  const links = new Set([link]);
  const key = new Map<number, Expression>();
  for (const other of others) {
    const path = known.get(other)!;
    for (const further of path.through) through.add(further);
    for (const further of path.links) links.add(further);
    for (const [place, part] of path.key) key.set(place, part);
  }
  for (const [place, part] of parts.get(reference) ?? []) key.set(place, part);
  // Other equalities with the same references: together they may be what an index is on.
  for (const other of graph.links) {
    const { references } = other.expression;
    if (!isEquality(other) || references.size < 2 || !binds(other, reference)) continue;
    if ([...references].every((one) => one === reference || through.has(one))) links.add(other);
  }
  return { reference, through, links: [...links], key };
}

export function isEquality(link: Link): boolean {
  return link.same !== null || binary(link.expression.node, EQUAL) !== null;
}

/** What of each reference is the same as which column of the key, wherever a row of it matters. */
function keyParts(graph: Graph, functions: Functions): Parts {
  const parts = new Map<TableReference, Map<number, Expression>>();
  for (const [place, part] of graph.key.entries()) {
    if (part === null || part.references.size === 0) continue;
    // By their texts: expressions that are this column of the key.
    const equals = new Map([[textOf(part), part]]);
    const add = (expression: Expression) => {
      const [reference] = expression.references;
      const ofReference = parts.get(reference!) ?? new Map<number, Expression>();
      parts.set(reference!, ofReference);
      if (ofReference.has(place)) return false;
      ofReference.set(place, expression);
      return true;
    };
    const merged = mergedColumns(part, graph.merged);
    if (merged && merged.length > 1) {
      for (const one of merged) {
        add(one);
        equals.set(textOf(one), one);
      }
    } else {
      // A row that may be missing changes the key by coming and going.
      if (![...part.references].every((reference) => effective(reference.home) === null)) continue;
      if (part.references.size === 1) add(part);
    }
    let grew = true;
    while (grew) {
      grew = false;
      for (const link of graph.links) {
        for (const [ours, theirs] of sides(link)) {
          const [reference] = ours.references;
          // `theirs` is the key's value even where a row is missing, or null, and then the link does not hold.
          if (ours.references.size !== 1 || !standsWith(link, reference!)) continue;
          if (!equals.has(textOf(theirs)) || !sameTexts(ours, theirs, functions)) continue;
          grew = add(ours) || grew;
          if (strict(ours.node, reference!)) equals.set(textOf(ours), ours);
        }
      }
    }
  }
  return parts;
}

function sides(link: Link): readonly (readonly [Expression, Expression])[] {
  let pair: readonly [Expression, Expression];
  if (link.same) {
    pair = [link.same.left, link.same.right];
  } else {
    const operands = binary(link.expression.node, EQUAL);
    if (!operands) return [];
    pair = [partOf(operands.left, link.expression), partOf(operands.right, link.expression)];
  }
  return [pair, [pair[1], pair[0]]];
}
