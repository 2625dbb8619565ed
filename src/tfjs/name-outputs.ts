import { check } from '../gpu/errors.ts';
import type { GraphModel, Node } from '../graph/graph.ts';

/** An output by the name that tfjs has for it. */
export interface Output {
  name: string;
  /** The tensor's name in the graph. */
  value: string;
}

interface Options {
  /** The network's. */
  name: string;
  logits?: boolean;
  /** What tensors are called that outputs end in when their softmax is left out. */
  titles: ReadonlyMap<string, string>;
}

/** What may follow a softmax without changing whose logits an output are. */
const VIEWS = ['Identity', 'Reshape', 'Squeeze', 'Unsqueeze', 'Flatten'];

/** Gives outputs their names, and leaves out constants that nobody reads. */
export function nameOutputs(
  { graph, parameters }: GraphModel,
  outputs: readonly Output[],
  { name, logits, titles }: Options,
): GraphModel {
  check(outputs.length > 0, `${name}: a network must have an output`, 'none');
  const nodes = [...graph.nodes];
  const producers = new Map(nodes.flatMap((node) => node.outputs.map((own) => [own, node] as const)));
  const ends = outputs.map(({ name: own, value }) => {
    const found = logits ? withoutSoftmax(value, producers, nodes) : null;
    if (!found) return { name: own, value };
    // Behind a view the tensor before the softmax is no output of tfjs's.
    return { name: found.viewed ? own : (titles.get(found.value) ?? found.value), value: found.value };
  });
  const used = new Set<string>();
  for (const [i, end] of ends.entries()) {
    if (used.has(end.name)) end.name = outputs[i].name;
    used.add(end.name);
  }
  const renamed = new Map<string, string>();
  const copies: Node[] = [];
  const inputs = new Set(graph.inputs.map((input) => input.name));
  for (const { name: own, value } of ends) {
    // An input, a constant and what is an output already keep their names.
    if (inputs.has(value) && value === own) continue;
    if (inputs.has(value) || parameters.has(value) || renamed.has(value)) {
      copies.push({ op: 'Identity', name: own, inputs: [value], outputs: [own], attributes: {} });
    } else renamed.set(value, own);
  }
  for (const value of [...producers.keys(), ...parameters.keys()]) {
    if (!used.has(value) || renamed.has(value)) continue;
    let other = `${value}#`;
    while (producers.has(other) || parameters.has(other) || used.has(other)) other += '#';
    renamed.set(value, other);
  }
  const called = <N extends string | null>(value: N): N =>
    value === null ? value : ((renamed.get(value) ?? value) as N);
  const finished = [...nodes, ...copies].map((node, i) => ({
    ...node,
    inputs: node.inputs.map(called),
    outputs: i < nodes.length ? node.outputs.map(called) : node.outputs,
  }));
  const needed = neededOnly(
    finished,
    ends.map((end) => end.name),
  );
  const read = new Set(needed.flatMap((node) => node.inputs));
  const kept = [...parameters].map(([key, tensor]) => [called(key), tensor] as const);
  return {
    graph: { ...graph, nodes: needed, outputs: ends.map((end) => end.name) },
    parameters: new Map(kept.filter(([key]) => read.has(key))),
  };
}

function neededOnly(nodes: readonly Node[], outputs: readonly string[]): Node[] {
  const needed = new Set<string | null>(outputs);
  const kept = nodes.toReversed().filter((node) => {
    if (!node.outputs.some((output) => needed.has(output))) return false;
    for (const input of node.inputs) needed.add(input);
    return true;
  });
  return kept.reverse();
}

/** The value that a softmax at the end is computed of, through views that are repeated for it; null without one. */
function withoutSoftmax(
  value: string,
  producers: ReadonlyMap<string, Node>,
  nodes: Node[],
): { value: string; viewed: boolean } | null {
  const views: Node[] = [];
  let node = producers.get(value);
  while (node && VIEWS.includes(node.op)) {
    views.push(node);
    node = producers.get(node.inputs[0]!);
  }
  if (node?.op !== 'Softmax') return null;
  const viewed = views.some(({ op }) => op !== 'Identity');
  const from = views.reduceRight((own, view) => {
    if (view.op === 'Identity') return own;
    const made = `${view.name}/logits`;
    nodes.push({ ...view, name: made, inputs: [own, ...view.inputs.slice(1)], outputs: [made] });
    return made;
  }, node.inputs[0]!);
  return { value: from, viewed };
}
