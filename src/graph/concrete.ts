import { check } from '../gpu/errors.ts';
import { type ConcreteOptions, concreteInputs, type Port } from './concrete-inputs.ts';
import { type Graph, type GraphModel, type Node, readsOf } from './graph.ts';
import { inferNode, plainNode, readNames } from './infer-node.ts';
import { operatorName, plannedOperators } from './ops/operators.ts';
import type { OnnxTensor } from './ops/tensors.ts';
import { checkTensor, type Value } from './ops/value.ts';
import { plainModel } from './passes/control-flow.ts';

/**
 * A graph whose shapes are all numbers: nodes that the outputs depend on, those left out whose results are constants.
 * Passes go from one to the next.
 */
export interface ConcreteGraph {
  name: string;
  opset: number;
  inputs: readonly Port[];
  outputs: readonly string[];
  nodes: readonly Node[];
  /** dtype and dims of every value, and the data of constants. */
  values: ReadonlyMap<string, Value>;
  /** Values that hold the elements of another one, in another shape or order: views, and what passes put in or leave out. */
  views: ReadonlyMap<string, string>;
}

/** Operators that move elements and change none. */
export const VIEWS = ['Reshape', 'Flatten', 'Squeeze', 'Unsqueeze', 'Transpose', 'Identity'];

/** The network's own value whose elements a value holds, whatever passes have made of the graph. */
export function originOf(views: ReadonlyMap<string, string>, name: string): string {
  let own = name;
  for (let next = views.get(own); next !== undefined; next = views.get(own)) own = next;
  return own;
}

/**
 * Gives a graph's symbols their values, infers every shape and computes on the host what depends on constants alone.
 *
 * @throws LloydError for symbols without a value (all of them), unknown operators (all of them, with their nodes), a
 *   cycle or a value that nothing makes, names used twice, and whatever an operator does not take, with its node
 */
export function concreteGraph(model: GraphModel, options: ConcreteOptions = {}): ConcreteGraph {
  checkGraph(model.graph);
  const { graph, parameters } = plainModel(model, options);
  const needed = neededNodes(graph);
  checkOperators(needed, graph);
  const inputs = concreteInputs(graph, options);
  const values = new Map<string, Value>(
    inputs.map(({ name, dtype, shape }) => [name, { dtype, dims: shape }]),
  );
  for (const [name, tensor] of parameters) {
    // An initializer may be listed as an input too: it is that input's default, and a constant here.
    if (!values.has(name)) values.set(name, tensor);
  }
  const nodes: Node[] = [];
  const read = readNames({ nodes: needed, outputs: graph.outputs });
  for (const each of needed) {
    const node = plainNode(each, values, read);
    const folded = inferNode(node, graph, values);
    if (!folded) nodes.push(node);
  }
  for (const name of graph.outputs) {
    check(values.has(name), `${graph.name}: an output must be made by a node`, name);
  }
  const views = new Map(
    nodes.flatMap(({ op, inputs, outputs }) =>
      VIEWS.includes(op) ? [[outputs[0], inputs[0]!] as const] : [],
    ),
  );
  return { name: graph.name, opset: graph.opset, inputs, outputs: graph.outputs, nodes, values, views };
}

function checkGraph(graph: Graph): void {
  check(Array.isArray(graph.nodes), `${graph.name}: nodes must be an array`, graph.nodes);
  check(Array.isArray(graph.inputs), `${graph.name}: inputs must be an array`, graph.inputs);
  check(
    Array.isArray(graph.outputs) && graph.outputs.length > 0,
    `${graph.name}: a network must have an output`,
    graph.outputs,
  );
  const made = new Set(graph.inputs.map(({ name }) => name));
  check(made.size === graph.inputs.length, `${graph.name}: inputs must have names of their own`, [...made]);
  for (const { name, outputs } of graph.nodes) {
    for (const output of outputs) {
      if (output === '') continue;
      check(!made.has(output), `${graph.name}: a value must be made once`, `${output}, again by ${name}`);
      made.add(output);
    }
  }
}

/** The nodes that the outputs depend on, in order. */
function neededNodes({ nodes, outputs }: Graph): Node[] {
  const needed = new Set<string>(outputs);
  const kept: Node[] = [];
  for (const node of nodes.toReversed()) {
    if (!node.outputs.some((name) => needed.has(name))) continue;
    for (const name of readsOf(node)) needed.add(name);
    // ONNX's files leave an input out by an empty name.
    kept.push(node.inputs.includes('') ? { ...node, inputs: node.inputs.map((name) => name || null) } : node);
  }
  const taken = new Set(nodes.flatMap((node) => [...node.inputs, ...node.outputs]));
  return kept.reverse().map((node) => (node.outputs[0] === '' ? namedFirst(node, taken) : node));
}

/** A model without the nodes and constants on which no output depends. */
export function pruned({ graph, parameters }: GraphModel): GraphModel {
  const nodes = neededNodes(graph);
  const read = new Set([...nodes.flatMap(readsOf), ...graph.outputs]);
  return {
    graph: { ...graph, nodes },
    parameters: new Map([...parameters].filter(([name]) => read.has(name))),
  };
}

/** A node whose first output nobody reads, an LSTM's for one: it goes by a name that nothing else has. */
function namedFirst(node: Node, taken: ReadonlySet<string | null>): Node {
  let own = `${node.name}/unread`;
  while (taken.has(own)) own = `${own}_`;
  return { ...node, outputs: [own, ...node.outputs.slice(1)] };
}

/** Why operators have no counterpart; others are only unknown. */
const REASONS: readonly (readonly [RegExp, string])[] = [
  [/^(If|Loop|Scan)$/, 'control flow depends on what the network is given'],
  [/^(NonMaxSuppression|Unique)$/, 'how many elements it gives depends on what the network is given'],
  [/Sequence|^Optional/, 'there are no sequences here'],
  [/String|Regex|^TfIdf|Tokenizer/, 'there are no strings on a GPU'],
  [/^Random|^Bernoulli|^Multinomial/, 'a network must compute the same each time'],
  [/^(DFT|STFT)$/, 'there are no complex numbers here'],
];

/** An operator by which a graph may name it, or why not. */
export function whyUnknown(node: Node, opset: number): string | null {
  const { domain = '' } = node;
  if (domain !== '' && domain !== 'ai.onnx' && domain !== 'com.microsoft')
    return `its domain ${domain} is unknown`;
  const entry = (plannedOperators as Record<string, { since: number; until?: number; domain?: string }>)[
    operatorName(node)
  ];
  if (!entry) {
    return REASONS.find(([pattern]) => pattern.test(node.op))?.[1] ?? 'there is no such operator here';
  }
  if (!entry.domain && (opset < entry.since || opset >= (entry.until ?? Infinity))) {
    return `it is there from opset ${entry.since}${entry.until ? ` to ${entry.until - 1}` : ''}, and the graph has ${opset}`;
  }
  return null;
}

function checkOperators(nodes: readonly Node[], { name, opset }: Graph): void {
  const unknown = nodes.flatMap((node) => {
    const why = whyUnknown(node, opset);
    return why ? [`${node.name} (${node.op}): ${why}`] : [];
  });
  check(
    unknown.length === 0,
    `${name}: every node must have an operator that runs here; ${unknown.length} of ${nodes.length} have not`,
    unknown.join('; '),
    'cut the network before them, or replace them',
  );
}

/** Checks a model's constants, each by itself. */
export function checkConstants({ graph, parameters }: GraphModel): void {
  for (const [name, tensor] of parameters) checkTensor(`${graph.name}: ${name}`, tensor as OnnxTensor);
}
