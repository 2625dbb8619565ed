import { convolution } from '../../kernels/convolution.ts';
import { type Node, type NodeSpec, openNode } from './node.ts';
import type { Operator } from './operator.ts';
import { type Plan, type Step, step } from './plan.ts';
import { product } from './product.ts';
import { sizeOf } from './tensors.ts';
import { FLOATS, type Value } from './value.ts';
import {
  extentOf,
  spatialParams,
  WINDOW_ATTRIBUTES,
  type Windows,
  windowAttributes,
  windowsOf,
} from './windows.ts';

const INPUT = { input: 0 } as const;
const OUTPUT = { output: 0 } as const;

interface Operands {
  node: Node;
  x: Value;
  w: Value;
  bias: Value | null;
  group: number;
  /** Spatial dimensions of x. */
  size: readonly number[];
  kernel: readonly number[];
}

/** Inputs, their ranks, and what both kinds of convolution ask of them. */
function openConvolution(spec: NodeSpec, extra: readonly string[] = []): Operands {
  const node = openNode(spec, ['X', 'W', 'B'], [...WINDOW_ATTRIBUTES, 'dilations', 'group', ...extra]);
  const x = node.required('X', FLOATS);
  const w = node.required('W', [x.dtype]);
  const bias = node.optional('B', [x.dtype]);
  const rank = x.dims.length;
  node.ensure(rank >= 3 && rank <= 5, 'X must have rank 3 to 5: N, C and 1 to 3 spatial dimensions', x.dims);
  node.ensure(w.dims.length === rank, `W must have the rank of X, ${rank}`, w.dims);
  const [size, kernel] = [x.dims.slice(2), w.dims.slice(2)];
  node.ensure(!kernel.includes(0), 'the spatial dims of W must not be 0', w.dims);
  const shape = node.sized('kernel_shape', kernel.length, 1, kernel);
  node.ensure(
    shape.every((value, i) => value === kernel[i]),
    `kernel_shape must be the spatial dimensions of W, [${kernel}]`,
    shape,
  );
  const group = node.integer('group', 1);
  const channels = x.dims[1];
  node.ensure(group >= 1 && channels % group === 0, `group must divide the ${channels} channels of X`, group);
  return { node, x, w, bias, group, size, kernel };
}

function checkBias({ node, bias }: Operands, outputs: number): void {
  node.ensure(
    !bias || (bias.dims.length === 1 && bias.dims[0] === outputs),
    `B must have one element for each of the ${outputs} output channels`,
    bias?.dims,
  );
}

function convolve(
  { x, bias, group, size }: Operands,
  outputs: number,
  windows: Windows,
  TRANSPOSED: 0 | 1,
): Plan {
  const { kernel, strides, dilations, before, output } = windows;
  const groupOutputs = outputs / group;
  const OUTPUTS = groupOutputs === 1 ? 1 : 4;
  const groupTiles = Math.ceil(groupOutputs / OUTPUTS);
  const made: Step = step(
    convolution,
    { TRANSPOSED, HAS_BIAS: Number(!!bias), OUTPUTS: `${OUTPUTS}u` },
    { input: INPUT, weights: { input: 1 }, bias: { input: bias ? 2 : 1 }, output: OUTPUT },
    {
      threads: x.dims[0] * group * groupTiles * sizeOf(output),
      channels: x.dims[1],
      outputs,
      groupChannels: x.dims[1] / group,
      groupOutputs,
      groupTiles,
      ...spatialParams('input', size, 1),
      ...spatialParams('output', output, 1),
      ...spatialParams('kernel', kernel, 1),
      ...spatialParams('stride', strides, 1),
      ...spatialParams('dilation', dilations, 1),
      ...spatialParams('pad', before, 0),
    },
  );
  return { outputs: [{ dtype: x.dtype, dims: [x.dims[0], outputs, ...output] }], steps: [made] };
}

function conv(spec: NodeSpec): Plan {
  const operands = openConvolution(spec);
  const { node, x, w, bias, group, size, kernel } = operands;
  const [outputs, groupChannels] = w.dims;
  node.ensure(outputs % group === 0, `group must divide the ${outputs} output channels of W`, group);
  node.ensure(
    x.dims[1] === groupChannels * group,
    `X must have W.dims[1] * group = ${groupChannels * group} channels`,
    x.dims[1],
  );
  checkBias(operands, outputs);
  const windows = windowsOf(node, size, kernel);
  // A stride that is never taken reads as 1, so the sizes say whether every place is looked at.
  const places = sizeOf(size);
  const pointwise =
    kernel.every((taps) => taps === 1) && windows.output.every((count, i) => count === size[i]);
  const padded = [...windows.before, ...windows.after].some((pad) => pad > 0);
  if (!pointwise || padded || group > 1) return convolve(operands, outputs, windows, 0);
  // A product of matrices a picture: weights x its channels.
  const [batch, channels] = x.dims;
  const made = product(
    { a: { input: 1 }, b: INPUT, ...(bias && { addend: { input: 2 } }), output: OUTPUT },
    {
      ...{ dtype: x.dtype, M: outputs, N: places, K: channels },
      ...{ aStrides: [channels, 1], bStrides: [places, 1], addendStrides: [1, 0] },
      pairs: Array.from({ length: batch }, (_, image) => [0, image * channels * places]),
    },
  );
  return { outputs: [{ dtype: x.dtype, dims: [batch, outputs, ...windows.output] }], steps: [made] };
}

function convTranspose(spec: NodeSpec): Plan {
  const operands = openConvolution(spec, ['output_padding', 'output_shape']);
  const { node, x, w, group, size, kernel } = operands;
  const [channels, groupOutputs] = w.dims;
  node.ensure(x.dims[1] === channels, `X must have W.dims[0] = ${channels} channels`, x.dims[1]);
  checkBias(operands, groupOutputs * group);
  const { strides, dilations, autoPad, pads } = windowAttributes(node, kernel);
  const added = node.sized(
    'output_padding',
    size.length,
    0,
    size.map(() => 0),
  );
  for (const [i, value] of added.entries()) {
    node.ensure(
      value < Math.max(strides[i], dilations[i]),
      'output_padding must be smaller than the stride or the dilation',
      added,
    );
  }
  const same = autoPad.startsWith('SAME');
  const asked = node.sized(
    'output_shape',
    size.length,
    1,
    same ? size.map((own, i) => own * strides[i]) : [],
  );
  const before: number[] = [];
  const output = size.map((length, i) => {
    const full = (length - 1) * strides[i] + added[i] + extentOf(kernel[i], dilations[i]);
    node.ensure(
      full < 2 ** 31,
      `the output of dimension ${i + 2} before padding is taken off must fit int32`,
      full,
    );
    if (asked.length > 0) {
      const total = Math.max(0, full - asked[i]);
      before.push(autoPad === 'SAME_UPPER' ? Math.floor(total / 2) : Math.ceil(total / 2));
      return asked[i];
    }
    before.push(pads[i]);
    const left = full - pads[i] - pads[i + size.length];
    node.ensure(left >= 1, `pads must leave an output of 1 or more along dimension ${i + 2}`, pads);
    return left;
  });
  const windows = { kernel, strides, dilations, before, after: [], output };
  return convolve(operands, groupOutputs * group, windows, 1);
}

/** Convolutions of floats. */
export const convolutionOperators = {
  Conv: { since: 1, plan: conv },
  ConvTranspose: { since: 1, plan: convTranspose },
} satisfies Readonly<Record<string, Operator>>;
