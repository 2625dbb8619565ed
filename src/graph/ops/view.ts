import { type NodeSpec, openNode } from './node.ts';
import type { Operator } from './operator.ts';
import type { Plan, PlannedOutput } from './plan.ts';
import { sizeOf } from './tensors.ts';
import { ANY, FLOATS, fromWords, type Value } from './value.ts';

type Node = ReturnType<typeof openNode>;

/** The first input with other dims: the same elements in the same order. */
const viewed = ({ dtype }: Value, dims: readonly number[]): Plan => ({
  outputs: [{ dtype, dims, from: 0 }],
  steps: [],
});

function reshape(spec: NodeSpec): Plan {
  const node = openNode(spec, ['data', 'shape'], spec.opset >= 14 ? ['allowzero'] : []);
  const data = node.required('data', ANY);
  const shape = node.integers('shape');
  node.ensure(shape, 'shape must be given', 'none');
  const zero = node.flag('allowzero', false);
  const unknown = shape!.filter((size) => size === -1).length;
  node.ensure(
    unknown <= 1 && shape!.every((size) => size >= -1),
    'shape must be sizes and at most one -1',
    shape,
  );
  node.ensure(
    !(zero && unknown && shape!.includes(0)),
    'shape must not hold both 0 and -1 with allowzero',
    shape,
  );
  const dims = shape!.map((size, i) => {
    if (size !== 0 || zero) return size;
    node.ensure(
      i < data.dims.length,
      `shape[${i}] is 0, which copies a dimension that data must have`,
      data.dims,
    );
    return data.dims[i];
  });
  const total = sizeOf(data.dims);
  const at = dims.indexOf(-1);
  if (at >= 0) {
    const others = sizeOf(dims.filter((size) => size !== -1));
    node.ensure(
      others > 0 ? total % others === 0 : total === 0,
      `shape must hold the ${total} elements of data`,
      shape,
    );
    dims[at] = others > 0 ? total / others : 0;
  }
  node.ensure(sizeOf(dims) === total, `shape must hold the ${total} elements of data`, shape);
  return viewed(data, dims);
}

function flatten(spec: NodeSpec): Plan {
  const node = openNode(spec, ['input'], ['axis']);
  const input = node.required('input', ANY);
  const rank = input.dims.length;
  const asked = node.integer('axis', 1);
  // Here an axis may also be the rank: it lies between dimensions.
  node.ensure(asked >= -rank && asked <= rank, `axis must be from ${-rank} to ${rank}`, asked);
  const axis = asked < 0 ? asked + rank : asked;
  return viewed(input, [sizeOf(input.dims.slice(0, axis)), sizeOf(input.dims.slice(axis))]);
}

/** Squeeze's and Unsqueeze's axes: an attribute up to opset 12. */
function openAxes(spec: NodeSpec): { node: Node; axes: number[] | null } {
  const attribute = spec.opset < 13;
  const node = openNode(spec, attribute ? ['data'] : ['data', 'axes'], attribute ? ['axes'] : []);
  return { node, axes: attribute ? node.list('axes') : node.integers('axes') };
}

function squeeze(spec: NodeSpec): Plan {
  const { node, axes } = openAxes(spec);
  const data = node.required('data', ANY);
  const { dims } = data;
  const dropped = axes ? node.axes(axes, dims.length) : dims.flatMap((size, i) => (size === 1 ? [i] : []));
  for (const axis of dropped) node.ensure(dims[axis] === 1, `axis ${axis} must have the size 1`, dims);
  return viewed(
    data,
    dims.filter((_, i) => !dropped.includes(i)),
  );
}

function unsqueeze(spec: NodeSpec): Plan {
  const { node, axes } = openAxes(spec);
  const data = node.required('data', ANY);
  node.ensure(axes, 'axes must be given', 'none');
  const rank = data.dims.length + axes!.length;
  const added = node.axes(axes!, rank);
  const rest = [...data.dims];
  return viewed(
    data,
    Array.from({ length: rank }, (_, i) => (added.includes(i) ? 1 : rest.shift()!)),
  );
}

function identity(spec: NodeSpec): Plan {
  const input = openNode(spec, ['input']).required('input', ANY);
  return viewed(input, input.dims);
}

/** In inference nothing is dropped. */
function dropout(spec: NodeSpec): Plan {
  const attribute = spec.opset < 12;
  const node = attribute
    ? openNode(spec, ['data'], ['ratio'])
    : openNode(spec, ['data', 'ratio', 'training_mode'], ['seed']);
  const data = node.required('data', FLOATS);
  if (attribute) node.float('ratio', 0.5);
  else {
    const training = node.numbers('training_mode', ['bool'])?.[0];
    const ratio = node.has('ratio') && training ? node.numbers('ratio', FLOATS)![0] : 0.5;
    node.ensure(!training || ratio === 0, 'training_mode must be false: this is inference', true);
  }
  const outputs: PlannedOutput[] = [...viewed(data, data.dims).outputs];
  if ((spec.outputs ?? 1) > 1) {
    // Before opset 10 the mask had the dtype of the data.
    const dtype = spec.opset < 10 ? data.dtype : 'bool';
    outputs.push(fromWords(dtype, data.dims, new Uint8Array(sizeOf(data.dims)).fill(1)));
  }
  return { outputs, steps: [] };
}

/** Operators that change nothing but dims. */
export const viewOperators = {
  Reshape: { since: 5, plan: reshape },
  Flatten: { since: 1, plan: flatten },
  Squeeze: { since: 1, plan: squeeze },
  Unsqueeze: { since: 1, plan: unsqueeze },
  Identity: { since: 1, plan: identity },
  Dropout: { since: 7, plan: dropout },
} satisfies Readonly<Record<string, Operator>>;
