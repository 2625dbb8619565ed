import type { Graph, GraphModel, Node, ValueInfo } from './graph.ts';
import { Names } from './names.ts';
import type { Attributes, OnnxTensor } from './ops/tensors.ts';

/** A graph under construction: names are made unique, constants kept. */
export class GraphWriter {
  readonly inputs: ValueInfo[] = [];
  readonly nodes: Node[] = [];
  readonly parameters = new Map<string, OnnxTensor>();
  private readonly names = new Names();

  /** @param model whose names are taken and whose constants are kept, where its graph is written anew */
  constructor(
    private readonly title: string,
    private readonly opset: number,
    model?: GraphModel,
  ) {
    if (!model) return;
    const { inputs, nodes } = model.graph;
    for (const [name, tensor] of model.parameters) this.parameters.set(name, tensor);
    for (const name of [...model.parameters.keys(), ...inputs.map((info) => info.name)]) this.names.add(name);
    this.take(nodes);
  }

  private take(nodes: readonly Node[]): void {
    for (const { name, outputs, subgraphs = {} } of nodes) {
      for (const own of [name, ...outputs]) this.names.add(own);
      for (const body of Object.values(subgraphs)) {
        for (const own of body.parameters.keys()) this.names.add(own);
        this.take(body.nodes);
      }
    }
  }

  /** A name that nothing has yet: this one, or this one with a number. */
  unique(name: string): string {
    return this.names.unique(name);
  }

  input(info: ValueInfo): string {
    const name = this.unique(info.name);
    this.inputs.push({ ...info, name });
    return name;
  }

  constant(name: string, tensor: OnnxTensor): string {
    const own = this.unique(name);
    this.parameters.set(own, tensor);
    return own;
  }

  /** A list of 64-bit integers, as shapes and axes are. */
  integers(name: string, values: readonly (number | bigint)[]): string {
    return this.constant(name, {
      dtype: 'int64',
      dims: [values.length],
      data: BigInt64Array.from(values, BigInt),
    });
  }

  /** Float32 numbers: a list, unless `dims` say more. */
  floats(name: string, data: Float32Array, dims: readonly number[] = [data.length]): string {
    return this.constant(name, { dtype: 'float32', dims, data });
  }

  /** A float32 scalar. */
  scalar(name: string, value: number): string {
    return this.floats(name, Float32Array.of(value), []);
  }

  /** Adds a node of one output, which is called as the node is. */
  node(
    op: string,
    name: string,
    inputs: readonly (string | null)[],
    attributes: Attributes = {},
    domain = '',
  ): string {
    return this.add(op, name, inputs, attributes, 1, domain)[0];
  }

  /** Adds a node of several outputs: the first called as the node is, the others `name:1`, ... */
  several(
    op: string,
    name: string,
    inputs: readonly (string | null)[],
    attributes: Attributes,
    count: number,
  ): string[] {
    return this.add(op, name, inputs, attributes, count, '');
  }

  private add(
    op: string,
    name: string,
    inputs: readonly (string | null)[],
    attributes: Attributes,
    count: number,
    domain: string,
  ): string[] {
    const own = this.unique(name);
    const outputs = Array.from({ length: count }, (_, i) => (i === 0 ? own : this.unique(`${own}:${i}`)));
    this.nodes.push({ op, name: own, inputs, outputs, attributes, ...(domain && { domain }) });
    return outputs;
  }

  model(outputs: readonly string[]): GraphModel {
    const graph: Graph = {
      name: this.title,
      opset: this.opset,
      inputs: this.inputs,
      outputs: [...outputs],
      nodes: this.nodes,
    };
    return { graph, parameters: this.parameters };
  }
}
