import type { Attributes, OnnxTensor } from './ops/tensors.ts';
import type { OnnxDType } from './ops/value.ts';

/** A size that is known, or the name of one that the caller gives: see {@link ShapeOptions}. */
export type Dim = number | string;

/** An input of a graph: ONNX's logical shape, whatever lies on the GPU. */
export interface ValueInfo {
  name: string;
  dtype: OnnxDType;
  shape: readonly Dim[];
}

/** One operation, by ONNX's names and semantics (https://onnx.ai/onnx/operators/). */
export interface Node {
  /** ONNX's operator: `Conv`, `Relu`, ... */
  op: string;
  /** '' or left out for ONNX's own operators. */
  domain?: string;
  /** Unique in the graph; a precision plan and an error name the node by it. */
  name: string;
  /** Values by name; null leaves an optional one out. */
  inputs: readonly (string | null)[];
  /** Values that it makes; '' is one that nobody reads. */
  outputs: readonly string[];
  attributes: Attributes;
  /**
   * Graphs in attributes, by the attribute's name, as far as they can be read; the attributes hold their bytes, which are
   * what is written.
   */
  subgraphs?: Readonly<Record<string, Subgraph>>;
}

/** A graph in an attribute: its nodes may read values of the graph that its node is in. */
export interface Subgraph {
  /** What a Loop or Scan hands in, by place. */
  inputs: readonly string[];
  outputs: readonly string[];
  nodes: readonly Node[];
  parameters: ReadonlyMap<string, OnnxTensor>;
}

/** The values that a node reads, those in its subgraphs among them. */
export function readsOf({ inputs, subgraphs }: Node): string[] {
  const read = inputs.filter((name) => name !== null && name !== '') as string[];
  if (!subgraphs) return read;
  const outer = Object.values(subgraphs).flatMap((body) => {
    const own = new Set([
      ...body.inputs,
      ...body.parameters.keys(),
      ...body.nodes.flatMap(({ outputs }) => outputs),
    ]);
    return [...body.nodes.flatMap(readsOf), ...body.outputs].filter((name) => !own.has(name));
  });
  return [...read, ...outer];
}

/** A network as ONNX has it, nodes in topological order; constants are the model's parameters, by name. */
export interface Graph {
  name: string;
  /** Version of ONNX's default operators that the nodes follow, 9 to 23. */
  opset: number;
  inputs: readonly ValueInfo[];
  /** Names of inputs, parameters or nodes' outputs. */
  outputs: readonly string[];
  nodes: readonly Node[];
}

/** A graph with its constants: weights in ONNX's layouts, shapes and axes as int64. */
export interface GraphModel {
  graph: Graph;
  parameters: ReadonlyMap<string, OnnxTensor>;
}

/** What symbols of a graph's inputs stand for: by symbol (`batch: 1`), or a whole shape by the input's name. */
export type ShapeOptions = Readonly<Record<string, number | readonly number[]>>;
