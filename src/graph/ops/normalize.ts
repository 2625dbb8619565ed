import { normalize } from '../../kernels/normalize.ts';
import { copyBox } from './copy-step.ts';
import { broadcastStrides } from './layout.ts';
import { type Node, type NodeSpec, openNode } from './node.ts';
import type { Operator } from './operator.ts';
import { type Operand, type Plan, type Step, step } from './plan.ts';
import { sizeOf } from './tensors.ts';
import { FLOATS, type Value } from './value.ts';

const INPUT = { input: 0 } as const;
const OUTPUT = { output: 0 } as const;

interface Normalization {
  groups: number;
  size: number;
  scaleInners: number;
  scaleCount: number;
  epsilon: number;
  scale: Operand;
  bias?: Operand | null;
  given?: { means: Operand; variances: Operand };
  centered?: boolean;
  statistics?: Operand;
}

function normalization(made: Normalization): Step {
  const {
    groups,
    size,
    scaleInners,
    scaleCount,
    epsilon,
    scale,
    bias,
    given,
    centered = true,
    statistics,
  } = made;
  return step(
    normalize,
    {
      GIVEN: Number(!!given),
      CENTERED: Number(centered),
      HAS_BIAS: Number(!!bias),
      STATISTICS: Number(!!statistics),
      // Given statistics ask for no sum; and a group this long is worth a workgroup.
      LANES: size >= 128 ? 64 : 1,
    },
    {
      ...{ input: INPUT, scale, bias: bias ?? scale, means: given?.means ?? scale },
      ...{ variances: given?.variances ?? scale, output: OUTPUT },
      statistics: statistics ?? { scratch: 'no statistics', count: 1 },
    },
    { groups, size, scaleInners: Math.max(1, scaleInners), scaleCount: Math.max(1, scaleCount), epsilon },
  );
}

/** X of rank 2 and more, and vectors of one element a channel. */
function openChannels(node: Node, names: readonly string[]): Value {
  const x = node.required(node.operator === 'InstanceNormalization' ? 'input' : 'X', FLOATS);
  node.ensure(x.dims.length >= 2, 'X must have the dims N, C and more', x.dims);
  for (const name of names) {
    const { dims } = node.required(name, FLOATS);
    node.ensure(
      dims.length === 1 && dims[0] === x.dims[1],
      `${name} must have one element for each of the ${x.dims[1]} channels`,
      dims,
    );
  }
  return x;
}

const like = ({ dtype, dims }: Value) => ({ dtype, dims: [...dims] });
const channelsOf = ({ dims }: Value) => ({ scaleInners: sizeOf(dims.slice(2)), scaleCount: dims[1] });

function batchNormalization(spec: NodeSpec): Plan {
  const names = [
    'scale',
    'B',
    spec.opset >= 14 ? 'input_mean' : 'mean',
    spec.opset >= 14 ? 'input_var' : 'var',
  ];
  const attributes = ['epsilon', 'momentum'];
  if (spec.opset < 9) attributes.push('spatial');
  if (spec.opset >= 14) attributes.push('training_mode');
  const node = openNode(spec, ['X', ...names], attributes);
  node.ensure(node.flag('spatial', true), 'spatial must be 1: a mean is that of a channel', 0);
  node.ensure(!node.flag('training_mode', false), 'training_mode must be 0: this is inference', 1);
  node.float('momentum', 0.9);
  const x = openChannels(node, names);
  const size = sizeOf(x.dims.slice(2));
  const made = normalization({
    groups: size === 0 ? 0 : x.dims[0] * x.dims[1],
    size,
    ...channelsOf(x),
    epsilon: node.float('epsilon', 1e-5),
    scale: { input: 1 },
    bias: { input: 2 },
    given: { means: { input: 3 }, variances: { input: 4 } },
  });
  return { outputs: [like(x)], steps: [made] };
}

function instanceNormalization(spec: NodeSpec): Plan {
  const node = openNode(spec, ['input', 'scale', 'B'], ['epsilon']);
  const x = openChannels(node, ['scale', 'B']);
  node.ensure(x.dims.length >= 3, 'input must have at least one spatial dimension', x.dims);
  const size = sizeOf(x.dims.slice(2));
  const made = normalization({
    groups: size === 0 ? 0 : x.dims[0] * x.dims[1],
    size,
    ...channelsOf(x),
    epsilon: node.float('epsilon', 1e-5),
    scale: { input: 1 },
    bias: { input: 2 },
  });
  return { outputs: [like(x)], steps: [made] };
}

/** Scale and bias are one a group of channels at opset 18, and one a channel from 21 on. */
function groupNormalization(spec: NodeSpec): Plan {
  const perGroup = spec.opset < 21;
  const attributes = ['epsilon', 'num_groups', ...(perGroup ? [] : ['stash_type'])];
  const node = openNode(spec, ['X', 'scale', 'bias'], attributes);
  const x = node.required('X', FLOATS);
  node.ensure(x.dims.length >= 3, 'X must have the dims N, C and at least one spatial one', x.dims);
  const [batch, channels] = x.dims;
  const groups = node.integer('num_groups', 0);
  node.ensure(
    groups >= 1 && channels % groups === 0,
    `num_groups must divide the ${channels} channels of X`,
    groups,
  );
  const scaleCount = perGroup ? groups : channels;
  for (const name of ['scale', 'bias']) {
    const { dims } = node.required(name, [x.dtype]);
    const what = perGroup ? 'groups' : 'channels';
    const fits = dims.length === 1 && dims[0] === scaleCount;
    node.ensure(fits, `${name} must have one element for each of the ${scaleCount} ${what}`, dims);
  }
  const spatial = sizeOf(x.dims.slice(2));
  const size = (channels / groups) * spatial;
  const made = normalization({
    ...{ groups: size === 0 ? 0 : batch * groups, size, scaleCount },
    scaleInners: perGroup ? size : spatial,
    epsilon: node.float('epsilon', 1e-5),
    scale: { input: 1 },
    bias: { input: 2 },
  });
  return { outputs: [like(x)], steps: [made] };
}

/** Layer normalization, and the one by root mean square, which has no mean and no bias. */
function layered(centered: boolean) {
  return (spec: NodeSpec): Plan => {
    const names = ['X', centered ? 'Scale' : 'scale', ...(centered ? ['B'] : [])];
    const node = openNode(spec, names, ['axis', 'epsilon', 'stash_type']);
    const x = node.required('X', FLOATS);
    node.ensure(x.dims.length > 0, 'X must have rank 1 or more', x.dims);
    const axis = node.axis(node.integer('axis', -1), x.dims.length);
    const inner = x.dims.slice(axis);
    const size = sizeOf(inner);
    const groups = sizeOf(x.dims.slice(0, axis));
    const steps: Step[] = [];
    /** Scale and bias broadcast to the normalized dims. */
    const spread = (name: string): Operand => {
      const { dims, dtype } = node.required(name, FLOATS);
      const rank = inner.length - dims.length;
      const fits = rank >= 0 && dims.every((own, i) => own === 1 || own === inner[rank + i]);
      node.ensure(fits, `${name} must broadcast to the normalized dims, [${inner}]`, dims);
      if (sizeOf(dims) === size) return { input: node.index(name) };
      const at = { scratch: name, count: size };
      const box = { dims: inner, inputStrides: broadcastStrides(dims, inner) };
      steps.push(copyBox(dtype, { input: node.index(name) }, at, box));
      return at;
    };
    const outputs: Value[] = [like(x)];
    const extra = centered ? (spec.outputs ?? 1) - 1 : 0;
    const statistics = extra > 0 ? { scratch: 'statistics', count: 2 * groups } : undefined;
    const scale = spread(names[1]);
    const bias = centered && node.has('B') ? spread('B') : null;
    steps.push(
      normalization({
        ...{ groups: size === 0 ? 0 : groups, size, scaleInners: 1, scaleCount: size, scale, bias, centered },
        epsilon: node.float('epsilon', 1e-5),
        ...(statistics && { statistics }),
      }),
    );
    for (let i = 0; i < extra; i++) {
      const dims = x.dims.map((own, d) => (d < axis ? own : 1));
      outputs.push({ dtype: 'float32', dims });
      const box = { dims: [groups], inputStrides: [1], inputOffset: i * groups };
      steps.push(copyBox('float32', statistics!, { output: i + 1 }, box));
    }
    return { outputs, steps };
  };
}

/** Normalizations. */
export const normalizeOperators = {
  BatchNormalization: { since: 7, plan: batchNormalization },
  InstanceNormalization: { since: 6, plan: instanceNormalization },
  GroupNormalization: { since: 18, plan: groupNormalization },
  // Part of ONNX from opset 17 on; ONNX Runtime's optimizer writes it into older graphs too.
  LayerNormalization: { since: 1, plan: layered(true) },
  RMSNormalization: { since: 23, plan: layered(false) },
} satisfies Readonly<Record<string, Operator>>;
