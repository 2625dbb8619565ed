import { pool } from '../../kernels/pool.ts';
import { stridesOf } from './layout.ts';
import { type Node, type NodeSpec, openNode } from './node.ts';
import type { Operator } from './operator.ts';
import { type Plan, step } from './plan.ts';
import { sizeOf } from './tensors.ts';
import { FLOATS, type OnnxDType, type Value, wordTypeOf } from './value.ts';
import { spatialParams, WINDOW_ATTRIBUTES, type Windows, windowsOf } from './windows.ts';

const OPERATIONS = { average: 0, max: 1, place: 2 } as const;

/** Reads the windows of a pool over X. */
function openPool(node: Node, x: Value): Windows {
  const rank = x.dims.length;
  node.ensure(rank >= 3 && rank <= 5, 'X must have rank 3 to 5: N, C and 1 to 3 spatial dimensions', x.dims);
  node.ensure(node.attribute('kernel_shape') !== undefined, 'kernel_shape must be given', 'none');
  const kernel = node.sized('kernel_shape', rank - 2, 1, []);
  const ceil = node.opset >= 10 && node.flag('ceil_mode', false);
  const windows = windowsOf(node, x.dims.slice(2), kernel, ceil);
  for (const [i, size] of kernel.entries()) {
    const pads = [windows.before[i], windows.after[i]];
    node.ensure(
      node.attribute('pads') === undefined || pads.every((pad) => pad < size),
      'pads must be smaller than the kernel, so that no window holds padding alone',
      pads,
    );
  }
  return windows;
}

function pooled(
  kind: keyof typeof OPERATIONS,
  x: Value,
  windows: Windows,
  { output = 0, countPads = false, indexStrides = stridesOf(x.dims).slice(2) } = {},
) {
  const { kernel, strides, dilations, before, after } = windows;
  const size = x.dims.slice(2);
  const Element = wordTypeOf(x.dtype) === 'f32' ? 'f32' : 'i32';
  return step(
    pool,
    { OP: OPERATIONS[kind], Element, IS_FLOAT: Number(Element === 'f32'), COUNT_PADS: Number(countPads) },
    { input: { input: 0 }, output: { output } },
    {
      count: x.dims[0] * x.dims[1] * sizeOf(windows.output),
      ...spatialParams('input', size, 1),
      ...spatialParams('output', windows.output, 1),
      ...spatialParams('kernel', kernel, 1),
      ...spatialParams('stride', strides, 1),
      ...spatialParams('dilation', dilations, 1),
      ...spatialParams('pad', before, 0),
      ...spatialParams(
        'end',
        size.map((own, i) => own + before[i] + after[i]),
        1,
      ),
      ...spatialParams('indexStride', indexStrides, 0),
    },
  );
}

function maxPool(spec: NodeSpec): Plan {
  const newer = spec.opset >= 10 ? ['ceil_mode', 'dilations'] : [];
  const node = openNode(spec, ['X'], [...WINDOW_ATTRIBUTES, 'storage_order', ...newer]);
  const bytes: readonly OnnxDType[] = spec.opset >= 12 ? ['int8', 'uint8'] : [];
  const x = node.required('X', [...FLOATS, ...bytes]);
  const columns = node.flag('storage_order', false);
  const windows = openPool(node, x);
  const dims = [...x.dims.slice(0, 2), ...windows.output];
  const outputs: Value[] = [{ dtype: x.dtype, dims }];
  const steps = [pooled('max', x, windows)];
  if ((spec.outputs ?? 1) > 1) {
    // Column-major: the first spatial dimension runs fastest.
    const size = x.dims.slice(2);
    const indexStrides = columns ? stridesOf([...size].reverse()).reverse() : stridesOf(size);
    outputs.push({ dtype: 'int64', dims });
    steps.push(pooled('place', x, windows, { output: 1, indexStrides }));
  }
  return { outputs, steps };
}

function averagePool(spec: NodeSpec): Plan {
  const newer = [...(spec.opset >= 10 ? ['ceil_mode'] : []), ...(spec.opset >= 19 ? ['dilations'] : [])];
  const node = openNode(spec, ['X'], [...WINDOW_ATTRIBUTES, 'count_include_pad', ...newer]);
  const x = node.required('X', FLOATS);
  const countPads = node.flag('count_include_pad', false);
  const windows = openPool(node, x);
  return {
    outputs: [{ dtype: x.dtype, dims: [...x.dims.slice(0, 2), ...windows.output] }],
    steps: [pooled('average', x, windows, { countPads })],
  };
}

/** Pools over windows. */
export const poolOperators = {
  MaxPool: { since: 1, plan: maxPool },
  AveragePool: { since: 1, plan: averagePool },
} satisfies Readonly<Record<string, Operator>>;
