import { check } from '../gpu/errors.ts';
import { type Node, readsOf, type ValueInfo } from '../graph/graph.ts';
import { DAMAGED } from './refusals.ts';

/**
 * A graph's nodes in topological order: as they are where they have one already, else each as early as what it reads
 * allows.
 *
 * @throws LloydError for a value made twice, values that nothing makes (all of them), and a cycle
 */
export function sortNodes(
  graph: string,
  nodes: readonly Node[],
  inputs: readonly ValueInfo[],
  parameters: { has(name: string): boolean; keys(): Iterable<string> },
  outputs: readonly string[],
): Node[] {
  const made = new Set<string>(parameters.keys());
  const add = (name: string, by: string) => {
    check(!made.has(name), `${graph}: a value must be made once`, `${name}, again by ${by}`, DAMAGED);
    made.add(name);
  };
  for (const { name } of inputs) add(name, 'an input');
  const makers = new Map<string, number>();
  for (const [i, { name, outputs: own }] of nodes.entries()) {
    for (const output of own) {
      if (output === '') continue;
      add(output, name);
      makers.set(output, i);
    }
  }
  checkMade(graph, nodes, outputs, made);

  const waitsFor = new Int32Array(nodes.length);
  const readers = new Map<number, number[]>();
  let sorted = true;
  for (const [i, node] of nodes.entries()) {
    for (const maker of makersOf(node, makers)) {
      sorted &&= maker < i;
      waitsFor[i]++;
      const list = readers.get(maker);
      if (list) list.push(i);
      else readers.set(maker, [i]);
    }
  }
  if (sorted) return [...nodes];
  const order: number[] = [];
  for (const [i, count] of waitsFor.entries()) if (count === 0) order.push(i);
  for (let at = 0; at < order.length; at++) {
    for (const reader of readers.get(order[at]) ?? []) if (--waitsFor[reader] === 0) order.push(reader);
  }
  const stuck = nodes.filter((_, i) => waitsFor[i] > 0).map(({ name, op }) => `${name} (${op})`);
  check(stuck.length === 0, `${graph}: no value may depend on itself`, stuck, DAMAGED);
  return order.map((i) => nodes[i]);
}

/** Nodes whose outputs a node reads, each once. */
const makersOf = (node: Node, makers: ReadonlyMap<string, number>): Set<number> =>
  new Set(readsOf(node).flatMap((name) => (makers.has(name) ? [makers.get(name)!] : [])));

function checkMade(
  graph: string,
  nodes: readonly Node[],
  outputs: readonly string[],
  made: ReadonlySet<string>,
): void {
  const missing = nodes.flatMap(({ name, op, inputs }) =>
    inputs.flatMap((input) => (input === null || made.has(input) ? [] : [`${input} of ${name} (${op})`])),
  );
  for (const name of outputs) if (!made.has(name)) missing.push(`${name}, an output`);
  check(
    missing.length === 0,
    `${graph}: every value must be an input, a constant or made by a node; ${missing.length} are not`,
    missing,
    'is an initializer missing, or a file of external data?',
  );
}
