import type { ConcreteGraph } from '../graph/concrete.ts';
import type { Node } from '../graph/graph.ts';

/** Operators whose first input and output are N x C x spatial dimensions. */
const SPATIAL = [
  ...['Conv', 'ConvTranspose', 'MaxPool', 'AveragePool', 'GlobalAveragePool', 'GlobalMaxPool'],
  ...[
    'BatchNormalization',
    'InstanceNormalization',
    'GroupNormalization',
    'LRN',
    'DepthToSpace',
    'SpaceToDepth',
  ],
];

/** Products with rows: what they sum over, and what they put out, is the last dimension. */
const PRODUCTS = ['Gemm', 'MatMul'];

/**
 * Which dimension of each value holds channels: that lies innermost on the GPU, so that a convolution, or a product,
 * reads vectors of it. A value that nothing says it of follows its readers, then what it is made from.
 */
export function channelAxes({ nodes, values }: ConcreteGraph): Map<string, number> {
  const axes = new Map<string, number>();
  const dimsOf = (name: string) => values.get(name)!.dims;
  const put = (name: string | null, axis: number | undefined) => {
    if (name === null || name === '' || axis === undefined || axes.has(name)) return;
    if (axis >= 0 && axis < dimsOf(name).length) axes.set(name, axis);
  };
  // What must be: before anything that only passes it on.
  for (const { op, inputs, outputs } of nodes) {
    if (SPATIAL.includes(op) && dimsOf(inputs[0]!).length >= 3) {
      put(inputs[0], 1);
      put(outputs[0], 1);
    } else if (PRODUCTS.includes(op)) {
      put(inputs[0], dimsOf(inputs[0]!).length - 1);
      put(outputs[0], dimsOf(outputs[0]).length - 1);
    }
  }
  // Between channels last and channels first: which is which, where no reader says so.
  for (const { op, inputs, outputs, attributes } of nodes) {
    const perm = op === 'Transpose' ? String(attributes.perm) : '';
    const [from, to] = perm === '0,3,1,2' ? [3, 1] : perm === '0,2,3,1' ? [1, 3] : [];
    if (from === undefined) continue;
    put(inputs[0], from);
    put(outputs[0], to);
  }
  for (const node of nodes.toReversed()) {
    for (const input of node.inputs) {
      if (input === null) continue;
      const axis = axes.get(node.outputs[0]);
      if (axis !== undefined) put(input, backward(node, axis, dimsOf(input), dimsOf(node.outputs[0])));
    }
  }
  for (const node of nodes) {
    for (const input of node.inputs) {
      const axis = input === null ? undefined : axes.get(input);
      if (axis === undefined) continue;
      for (const output of node.outputs) {
        if (output !== '') put(output, forward(node, axis, dimsOf(input!), dimsOf(output)));
      }
    }
  }
  return axes;
}

const permutation = ({ attributes }: Node, rank: number) =>
  Array.from(
    (attributes.perm as number[] | undefined) ?? Array.from({ length: rank }, (_, i) => rank - 1 - i),
  );

function forward(
  node: Node,
  axis: number,
  from: readonly number[],
  to: readonly number[],
): number | undefined {
  if (node.op === 'Transpose') return permutation(node, from.length).indexOf(axis);
  return from.length === to.length ? axis : sameAxis(from, axis, to);
}

function backward(
  node: Node,
  axis: number,
  from: readonly number[],
  to: readonly number[],
): number | undefined {
  if (node.op === 'Transpose') return permutation(node, from.length)[axis];
  // Of a broadcast operand the dimensions are counted from the last.
  const isView = ['Reshape', 'Flatten', 'Squeeze', 'Unsqueeze'].includes(node.op);
  if (!isView) return axis - (to.length - from.length);
  return sameAxis(to, axis, from);
}

/** The dimension of `to` that holds the same elements as `axis` of `from`, which is only reshaped. */
export function sameAxis(from: readonly number[], axis: number, to: readonly number[]): number | undefined {
  const product = (dims: readonly number[]) => dims.reduce((a, b) => a * b, 1);
  const before = product(from.slice(0, axis));
  for (let i = 0; i < to.length; i++) {
    if (to[i] === from[axis] && product(to.slice(0, i)) === before) return i;
  }
  return undefined;
}
