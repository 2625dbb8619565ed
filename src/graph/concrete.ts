import { check, LloydError } from '../gpu/errors.ts';
import type { Dim, Graph, GraphModel, Node, ShapeOptions, ValueInfo } from './graph.ts';
import { executeTwin } from './ops/execute-twin.ts';
import { operatorName, plannedOperators, planOperator } from './ops/operators.ts';
import type { OnnxTensor } from './ops/tensors.ts';
import { checkTensor, fromWords, type OnnxDType, type Value } from './ops/value.ts';
import { unfusedModel } from './passes/unfuse.ts';

/** An input or output whose shape is known. */
export interface Port {
  name: string;
  dtype: OnnxDType;
  shape: readonly number[];
}

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

/** How a graph is made concrete. */
export interface ConcreteOptions {
  shapes?: ShapeOptions;
  /** What the first dimension of an input is where it is a symbol without a value. */
  batch?: number;
  /** What every other symbol without a value is, where only the graph's structure is asked for. */
  assume?: number;
}

/**
 * Gives a graph's symbols their values, infers every shape and computes on the host what depends on constants alone.
 *
 * @throws LloydError for symbols without a value (all of them), unknown operators (all of them, with their nodes), a
 *   cycle or a value that nothing makes, names used twice, and whatever an operator does not take, with its node
 */
export function concreteGraph(model: GraphModel, options: ConcreteOptions = {}): ConcreteGraph {
  checkGraph(model.graph);
  const { graph, parameters } = unfusedModel(model);
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
  for (const node of needed) {
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

/** Puts a node's outputs among the values; whether they are all constants. */
export function inferNode(node: Node, graph: Graph, values: Map<string, Value>): boolean {
  const inputs = node.inputs.map((name) => {
    if (name === null) return null;
    const value = values.get(name);
    check(
      value,
      `${node.name} (${node.op}): an input must be the graph's, a parameter or made by an earlier node`,
      name,
      'put nodes in topological order; a cycle has none',
    );
    return value;
  });
  return located(node, () => {
    const plan = planOperator({
      operator: operatorName(node),
      opset: graph.opset,
      inputs,
      attributes: node.attributes,
      outputs: node.outputs.length,
    });
    const constant = inputs.every((value) => value === null || value.data);
    let made: Value[] = plan.outputs.map(({ dtype, dims, data, from }) => {
      if (data) return { dtype, dims, data };
      const source = from !== undefined ? inputs[from] : null;
      return { dtype, dims, ...(source?.data && { data: source.data }) };
    });
    if (constant && made.some(({ data }) => !data)) {
      made = executeTwin(plan, inputs).map(({ dtype, dims, data }) => fromWords(dtype, dims, data));
    }
    check(
      node.outputs.length <= made.length,
      `${node.op} has ${made.length} outputs here`,
      node.outputs.length,
    );
    for (const [i, name] of node.outputs.entries()) if (name !== '') values.set(name, made[i]);
    return node.outputs.every((name, i) => name === '' || made[i].data);
  });
}

/** What `work` throws, with the node it is about. */
export function located<T>({ name, op }: Node, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof LloydError) || name === '' || error.rule.startsWith(`${name} (`)) throw error;
    const rule = error.rule.startsWith(`${op}: `) ? error.rule.slice(op.length + 2) : error.rule;
    throw new LloydError(`${name} (${op}): ${rule}`, error.received, error.cure, { cause: error });
  }
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
    for (const name of node.inputs) if (name) needed.add(name);
    // ONNX's files leave an input out by an empty name.
    kept.push(node.inputs.includes('') ? { ...node, inputs: node.inputs.map((name) => name || null) } : node);
  }
  const taken = new Set(nodes.flatMap((node) => [...node.inputs, ...node.outputs]));
  return kept.reverse().map((node) => (node.outputs[0] === '' ? namedFirst(node, taken) : node));
}

/** A model without the nodes and constants on which no output depends. */
export function pruned({ graph, parameters }: GraphModel): GraphModel {
  const nodes = neededNodes(graph);
  const read = new Set<string | null>([...nodes.flatMap(({ inputs }) => inputs), ...graph.outputs]);
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

/** The inputs with every symbol a number. */
export function concreteInputs(
  { name, inputs }: Graph,
  { shapes = {}, batch, assume }: ConcreteOptions,
): Port[] {
  const known = new Set(
    inputs.flatMap((input) => [input.name, ...input.shape.filter((d) => typeof d === 'string')]),
  );
  for (const key of Object.keys(shapes)) {
    check(known.has(key), `${name}: shapes may name inputs and their symbols: ${[...known].join(', ')}`, key);
  }
  const missing: string[] = [];
  const ports = inputs.map((input): Port => {
    const given = shapes[input.name];
    const own = Array.isArray(given) ? given : null;
    check(
      own === null || own.length === input.shape.length,
      `${input.name}: its shape must have ${input.shape.length} sizes: ${shapeText(input)}`,
      own,
    );
    const shape = input.shape.map((dim, i) => {
      const size = own ? own[i] : (sizeOfDim(dim, i, shapes, batch) ?? assume);
      if (size === undefined) missing.push(`${String(dim)} of ${shapeText(input)}`);
      else {
        check(
          Number.isInteger(size) && size >= 0,
          `${input.name}: a size must be an integer of 0 or more`,
          size,
        );
        check(
          typeof dim === 'string' || dim === size,
          `${input.name} has the shape ${shapeText(input)}`,
          own,
          'give sizes only for its symbols',
        );
      }
      return size ?? 0;
    });
    return { name: input.name, dtype: input.dtype, shape };
  });
  check(
    missing.length === 0,
    `${name}: every symbol of an input's shape must have a value`,
    `none for ${[...new Set(missing)].join(', ')}`,
    'pass shapes: { symbol: size } or { input: [sizes] }; on the command line --shape symbol=size',
  );
  return ports;
}

function sizeOfDim(dim: Dim, at: number, shapes: ShapeOptions, batch?: number): number | undefined {
  if (typeof dim === 'number') return dim;
  const given = shapes[dim];
  return typeof given === 'number' ? given : at === 0 ? batch : undefined;
}

/** A shape as people write it. */
export const shapeText = ({ name, shape }: ValueInfo) => `${name} [${shape.join(', ')}]`;

/** Checks a model's constants, each by itself. */
export function checkConstants({ graph, parameters }: GraphModel): void {
  for (const [name, tensor] of parameters) checkTensor(`${graph.name}: ${name}`, tensor as OnnxTensor);
}
