import type { GraphModel, Node, ValueInfo } from '../graph/graph.ts';
import { GraphWriter } from '../graph/graph-writer.ts';
import type { Attributes, OnnxTensor } from '../graph/ops/tensors.ts';
import { fromWords, toWords } from '../graph/ops/value.ts';

/** TensorProto.DataType of them. */
const [FLOAT, FLOAT16] = [1, 10];

/** Whether a model has values of float16: what it is given and knows, or casts to. */
export const hasFloat16 = ({ graph, parameters }: GraphModel): boolean =>
  [...graph.inputs, ...parameters.values()].some(({ dtype }) => dtype === 'float16') ||
  graph.nodes.some(({ op, attributes }) => op === 'Cast' && attributes.to === FLOAT16);

const retyped = (
  inputs: readonly ValueInfo[],
  isHalf: (input: ValueInfo) => boolean,
  dtype: 'float32' | 'float16',
) => inputs.map((input) => (isHalf(input) ? { ...input, dtype } : input));

/** A graph of float16 in float32, which is what float16 is computed in. */
export function float32Graph({ graph, parameters }: GraphModel): GraphModel {
  const widened = (value: unknown) => {
    const tensor = value as OnnxTensor;
    return tensor.dtype === 'float16' ? fromWords('float32', tensor.dims, toWords('', tensor)) : tensor;
  };
  const all = (entries: Iterable<readonly [string, unknown]>, isCast = false) =>
    [...entries].map(
      ([name, value]) => [name, isCast && value === FLOAT16 ? FLOAT : widened(value)] as const,
    );
  const nodes = graph.nodes.map((node) => ({
    ...node,
    attributes: Object.fromEntries(all(Object.entries(node.attributes), node.op === 'Cast')) as Attributes,
  }));
  const inputs = retyped(graph.inputs, ({ dtype }) => dtype === 'float16', 'float32');
  return {
    graph: { ...graph, inputs, nodes },
    parameters: new Map(all(parameters)) as GraphModel['parameters'],
  };
}

/** Such a graph with those of its inputs and outputs in float16 again, between casts. */
export function castToFloat16(model: GraphModel, halves: ReadonlySet<string>): GraphModel {
  const { graph, parameters } = model;
  const writer = new GraphWriter(graph.name, graph.opset, model);
  const inner = new Map<string | null, string>();
  const own = <T extends string | null>(name: T): T => (inner.get(name) ?? name) as T;
  const isHalf = (name: string) => halves.has(name) && !inner.has(name);
  const inputs = retyped(graph.inputs, ({ name }) => isHalf(name), 'float16');
  for (const { name, dtype } of inputs)
    if (dtype === 'float16') inner.set(name, writer.node('Cast', `${name}/float32`, [name], { to: FLOAT }));
  const outputs = graph.outputs.filter(isHalf);
  for (const name of outputs) inner.set(name, writer.unique(`${name}/float32`));
  writer.nodes.push(
    ...graph.nodes.map((node) => ({ ...node, inputs: node.inputs.map(own), outputs: node.outputs.map(own) })),
    ...outputs.map((name): Node => {
      const [op, attributes] = ['Cast', { to: FLOAT16 }] as const;
      return { op, name: writer.unique(`${name}/cast`), inputs: [own(name)], outputs: [name], attributes };
    }),
  );
  return {
    graph: { ...graph, inputs, nodes: writer.nodes },
    parameters: new Map([...parameters].map(([name, tensor]) => [own(name), tensor])),
  };
}
