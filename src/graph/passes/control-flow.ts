import { check, LloydError } from '../../gpu/errors.ts';
import { type ConcreteOptions, knownValues } from '../concrete-inputs.ts';
import type { Graph, GraphModel, Node, Subgraph } from '../graph.ts';
import { inferNode } from '../infer-node.ts';
import { Names } from '../names.ts';
import type { Attributes, OnnxTensor } from '../ops/tensors.ts';
import { numbersOf, type Value } from '../ops/value.ts';
import { unfusedModel } from './unfuse.ts';

/** Nodes that the bodies of a model's loops may become: more are no network that anybody unrolls. */
const MOST_NODES = 2 ** 12;
/** Elements of a constant that a condition or a count may follow from: weights that are computed don't matter here. */
const MOST_ELEMENTS = 2 ** 10;

/**
 * A model of operators only, as far as its sizes say: {@link unfusedModel} of {@link flatModel}, and the model itself
 * where there is nothing to do.
 */
export function plainModel(model: GraphModel, options: ConcreteOptions = {}): GraphModel {
  return unfusedModel(flatModel(unfusedModel(model), options));
}

/**
 * A model in which an `If` whose condition follows from constants and sizes is that branch's nodes, and a `Loop` or `Scan`
 * that goes a known number of times its body's nodes so many times. Names within stay where nothing else has them. What
 * depends on what the network is given stays as it is, for its reader to refuse.
 *
 * @throws LloydError for `shapes` that contradict the model
 */
export function flatModel(model: GraphModel, options: ConcreteOptions = {}): GraphModel {
  return model.graph.nodes.some(({ subgraphs }) => subgraphs) ? new Flat(model, options).result() : model;
}

/**
 * Refuses a graph in which something depends on what the network is given.
 *
 * @throws LloydError with all such nodes
 */
export function checkFlat({ name, nodes }: Graph): void {
  const left = nodes.filter(({ subgraphs }) => subgraphs);
  check(
    left.length === 0,
    `${name}: constants and sizes must say which branch an If takes and how often a loop goes`,
    left.map((node) => `${node.name} (${node.op})`).join(', '),
    'pass shapes; readOnnx takes constants for inputs, too',
  );
}

/** Names that a subgraph's own values go by; those that it hasn't are the outer graph's. */
interface Scope {
  names: Map<string, string>;
  outer: Scope | null;
}

class Flat {
  private readonly values: Map<string, Value>;
  private readonly parameters: Map<string, OnnxTensor>;
  private readonly names: Names;
  private readonly nodeNames: Names;
  private nodes: Node[] = [];
  private unrolled = 0;

  constructor(
    private readonly model: GraphModel,
    options: ConcreteOptions,
  ) {
    const { inputs, nodes } = model.graph;
    this.values = knownValues(model, options);
    this.parameters = new Map(model.parameters);
    this.names = new Names([
      ...inputs.map(({ name }) => name),
      ...model.parameters.keys(),
      ...nodes.flatMap(({ outputs }) => outputs),
    ]);
    this.nodeNames = new Names(nodes.map(({ name }) => name));
  }

  result(): GraphModel {
    const { graph } = this.model;
    for (const node of graph.nodes) {
      const [nodes, parameters] = [this.nodes.length, this.parameters.size];
      if (this.add(node, null)) continue;
      // All of it or nothing: a subgraph that stays reads outer values by their names in the file.
      this.nodes.length = nodes;
      for (const name of [...this.parameters.keys()].slice(parameters)) this.parameters.delete(name);
      this.nodes.push(node);
    }
    return { graph: { ...graph, nodes: this.nodes }, parameters: this.parameters };
  }

  /** Adds a node, or what its subgraphs come to; false where that is not known. */
  private add(node: Node, scope: Scope | null): boolean {
    const own = scope ? this.within(node, scope) : node;
    if (!own.subgraphs) {
      this.nodes.push(own);
      this.infer(own);
      return true;
    }
    switch (own.op) {
      case 'If':
        return this.branch(own, scope);
      case 'Loop':
        return this.loop(own, scope);
      case 'Scan':
        return this.scan(own, scope);
      default:
        return false;
    }
  }

  private branch({ name, inputs, outputs, subgraphs }: Node, scope: Scope | null): boolean {
    const condition = this.number(inputs[0]);
    if (condition === undefined) return false;
    const body = subgraphs![condition ? 'then_branch' : 'else_branch'];
    const made = body && this.body(body, scope, [], outputs);
    if (!made) return false;
    this.rename(name, made, outputs);
    return true;
  }

  private loop({ name, inputs, outputs, subgraphs }: Node, scope: Scope | null): boolean {
    const { body } = subgraphs!;
    const [trips, condition, ...initial] = inputs;
    const count = trips ? this.number(trips) : Infinity;
    let goes = condition ? this.number(condition) : 1;
    if (!body || count === undefined || goes === undefined) return false;
    if (body.inputs.length !== initial.length + 2 || initial.includes(null)) return false;
    let carried = initial as string[];
    if (count < Infinity && count > MOST_NODES) return false;
    const pieces: string[][] = outputs.slice(carried.length).map(() => []);
    for (let i = 0; i < count && goes; i++) {
      const given = [
        this.constant(`${name}/iteration`, { dtype: 'int64', dims: [], data: BigInt64Array.of(BigInt(i)) }),
        this.constant(`${name}/condition`, { dtype: 'bool', dims: [], data: Uint8Array.of(1) }),
      ];
      const made = this.body(body, scope, [...given, ...carried]);
      goes = made ? this.number(made[0]) : undefined;
      if (!made || goes === undefined) return false;
      carried = made.slice(1, 1 + carried.length);
      for (const [k, list] of pieces.entries()) list.push(made[1 + carried.length + k]);
    }
    this.rename(name, carried, outputs);
    return pieces.every((list, k) => this.stack(name, list, 0, outputs[carried.length + k]));
  }

  private scan({ name, inputs, outputs, attributes, subgraphs }: Node, scope: Scope | null): boolean {
    const { body } = subgraphs!;
    // In opset 8 it has lengths first and batches second.
    if (this.model.graph.opset < 9) return false;
    const states = inputs.length - Number(attributes.num_scan_inputs);
    if (!body || !(states >= 0) || body.inputs.length !== inputs.length || inputs.includes(null))
      return false;
    const at = (key: string, i: number) => Number((attributes[key] as number[] | undefined)?.[i] ?? 0);
    const sequences = (inputs.slice(states) as string[]).map((value, i) => {
      const axis = at('scan_input_axes', i);
      return {
        value,
        axis,
        size: this.values.get(value)?.dims.at(axis),
        back: at('scan_input_directions', i),
      };
    });
    const [{ size: count } = { size: undefined }] = sequences;
    if (count === undefined || sequences.some(({ size }) => size !== count)) return false;
    let carried = inputs.slice(0, states) as string[];
    const pieces: string[][] = outputs.slice(states).map(() => []);
    for (let i = 0; i < count; i++) {
      const given = sequences.map(({ value, axis, back }) => {
        const place = BigInt64Array.of(BigInt(back ? count - 1 - i : i));
        const index = this.constant(`${name}/index`, { dtype: 'int64', dims: [], data: place });
        return this.node('Gather', `${name}/${value}`, [value, index], { axis });
      });
      const made = this.body(body, scope, [...carried, ...given]);
      if (!made) return false;
      carried = made.slice(0, states);
      for (const [k, list] of pieces.entries()) {
        if (at('scan_output_directions', k)) list.unshift(made[states + k]);
        else list.push(made[states + k]);
      }
    }
    this.rename(name, carried, outputs);
    return pieces.every((list, k) => this.stack(name, list, at('scan_output_axes', k), outputs[states + k]));
  }

  /**
   * A subgraph's nodes, for what it is given.
   *
   * @param outputs what its outputs are to be called where its nodes make them
   * @returns its outputs by name; null where something within is not known
   */
  private body(
    { inputs, outputs, nodes, parameters }: Subgraph,
    outer: Scope | null,
    given: readonly string[],
    wanted: readonly string[] = [],
  ): string[] | null {
    this.unrolled += 1 + nodes.length;
    if (this.unrolled > MOST_NODES) return null;
    const scope: Scope = { names: new Map(inputs.map((name, i) => [name, given[i]])), outer };
    for (const [name, tensor] of parameters) scope.names.set(name, this.constant(name, tensor));
    const made = new Set(nodes.flatMap((node) => node.outputs));
    for (const [i, name] of outputs.entries()) {
      if (wanted[i] && made.has(name) && !scope.names.has(name)) scope.names.set(name, wanted[i]);
    }
    return nodes.every((node) => this.add(node, scope)) ? outputs.map((name) => called(name, scope)) : null;
  }

  /** A node of a subgraph as the graph has it. */
  private within(node: Node, scope: Scope): Node {
    return {
      ...node,
      name: this.nodeNames.unique(node.name),
      inputs: node.inputs.map((name) => name && called(name, scope)),
      outputs: node.outputs.map((name) => {
        if (name === '' || scope.names.has(name)) return name && scope.names.get(name)!;
        const own = this.names.unique(name);
        scope.names.set(name, own);
        return own;
      }),
    };
  }

  private infer(node: Node): void {
    if (node.inputs.some((name) => name && !this.values.has(name))) return;
    try {
      inferNode(node, this.model.graph, this.values, MOST_ELEMENTS);
    } catch (error) {
      // Whoever runs the node says what is wrong with it.
      if (!(error instanceof LloydError)) throw error;
    }
  }

  /** The one number of a value that is known; undefined of others. */
  private number(name: string | null | undefined): number | undefined {
    const value = name ? this.values.get(name) : undefined;
    return value?.data?.length === 1 ? numbersOf(value as OnnxTensor)[0] : undefined;
  }

  private constant(name: string, tensor: OnnxTensor): string {
    const own = this.names.unique(name);
    this.parameters.set(own, tensor);
    this.values.set(own, tensor);
    return own;
  }

  private node(op: string, name: string, inputs: string[], attributes: Attributes = {}, output?: string) {
    const own = output ?? this.names.unique(name);
    const node = { op, name: this.nodeNames.unique(name), inputs, outputs: [own], attributes };
    this.nodes.push(node);
    this.infer(node);
    return own;
  }

  private rename(name: string, made: readonly string[], outputs: readonly string[]): void {
    for (const [i, own] of made.entries()) {
      if (outputs[i] && outputs[i] !== own) this.node('Identity', `${name}/output`, [own], {}, outputs[i]);
    }
  }

  /** What the rounds of a loop made, along an axis of its own; false of none, whose shape is not known. */
  private stack(name: string, pieces: readonly string[], axis: number, output: string): boolean {
    if (!output) return true;
    if (pieces.length === 0) return false;
    const axes = this.model.graph.opset < 13 ? null : BigInt64Array.of(BigInt(axis));
    const by = axes && this.constant(`${name}/axes`, { dtype: 'int64', dims: [1], data: axes });
    const parts = pieces.map((piece) =>
      by
        ? this.node('Unsqueeze', `${name}/piece`, [piece, by])
        : this.node('Unsqueeze', `${name}/piece`, [piece], { axes: [axis] }),
    );
    this.node('Concat', `${name}/stack`, parts, { axis }, output);
    return true;
  }
}

/** What a value of a subgraph is called outside. */
function called(name: string, scope: Scope): string {
  for (let at: Scope | null = scope; at; at = at.outer) {
    const own = at.names.get(name);
    if (own !== undefined) return own;
  }
  return name;
}
