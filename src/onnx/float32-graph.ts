import type { GraphModel, Node, ValueInfo } from '../graph/graph.ts';
import { GraphWriter } from '../graph/graph-writer.ts';
import type { Attributes, OnnxTensor } from '../graph/ops/tensors.ts';
import { fromWords, toWords } from '../graph/ops/value.ts';

/** TensorProto.DataType of them. */
const [FLOAT, FLOAT16] = [1, 10];

/** A float16 tensor in float32, any other as it is. */
const widened = (tensor: OnnxTensor): OnnxTensor =>
  tensor.dtype === 'float16' ? fromWords('float32', tensor.dims, toWords('', tensor)) : tensor;

/** A graph of float16 in float32, which is what float16 is computed in. */
export function float32Graph({ graph, parameters }: GraphModel): GraphModel {
  const wide = (attributes: Attributes, op: string): Attributes =>
    Object.fromEntries(
      Object.entries(attributes).map(([name, value]) => {
        if (typeof value === 'object' && 'dtype' in value) return [name, widened(value as OnnxTensor)];
        return [name, op === 'Cast' && name === 'to' && value === FLOAT16 ? FLOAT : value];
      }),
    );
  const inputs = graph.inputs.map(
    (input): ValueInfo => (input.dtype === 'float16' ? { ...input, dtype: 'float32' } : input),
  );
  const nodes = graph.nodes.map((node): Node => ({ ...node, attributes: wide(node.attributes, node.op) }));
  return {
    graph: { ...graph, inputs, nodes },
    parameters: new Map([...parameters].map(([name, tensor]) => [name, widened(tensor)])),
  };
}

/** Such a graph with inputs and outputs of float16 again, between casts. */
export function castToFloat16(model: GraphModel, values: ReadonlySet<string>): GraphModel {
  const { graph, parameters } = model;
  const writer = new GraphWriter(graph.name, graph.opset, model);
  const inner = new Map([...values].map((name) => [name, writer.unique(`${name}/float32`)]));
  const own = <T extends string | null>(name: T): T => ((name && inner.get(name)) ?? name) as T;
  const given = new Set(graph.inputs.map(({ name }) => name));
  const cast = (from: string, output: string, to: number): Node => ({
    op: 'Cast',
    name: writer.unique(`${output}/cast`),
    inputs: [from],
    outputs: [output],
    attributes: { to },
  });
  const isHalf = (name: string) => values.has(name);
  const nodes = [
    ...[...given].filter(isHalf).map((name) => cast(name, own(name), FLOAT)),
    ...graph.nodes.map((node) => ({
      ...node,
      inputs: node.inputs.map(own),
      outputs: node.outputs.map(own),
    })),
    ...graph.outputs
      .filter((name) => isHalf(name) && !given.has(name))
      .map((name) => cast(own(name), name, FLOAT16)),
  ];
  const inputs = graph.inputs.map(
    (input): ValueInfo => (isHalf(input.name) ? { ...input, dtype: 'float16' } : input),
  );
  return {
    graph: { ...graph, inputs, nodes },
    parameters: new Map([...parameters].map(([name, tensor]) => [own(name), tensor])),
  };
}
