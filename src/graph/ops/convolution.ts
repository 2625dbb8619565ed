import { convolution } from '../../kernels/convolution.ts';
import { type Node, type NodeSpec, openNode } from './node.ts';
import type { Operator } from './operator.ts';
import { type Operand, type Plan, type Step, step } from './plan.ts';
import { product } from './product.ts';
import { sizeOf } from './tensors.ts';
import { FLOATS, type OnnxDType, type Value, wordTypeOf } from './value.ts';
import {
  extentOf,
  spatialParams,
  WINDOW_ATTRIBUTES,
  type Windows,
  windowAttributes,
  windowsOf,
} from './windows.ts';

export const CONVOLUTION_ATTRIBUTES = [...WINDOW_ATTRIBUTES, 'dilations', 'group'];

/** Sizes of a convolution, and what they are called in messages. */
export interface Convolution {
  node: Node;
  x: Value;
  w: Value;
  X: string;
  W: string;
  group: number;
  /** Spatial dimensions of x. */
  size: readonly number[];
  kernel: readonly number[];
}

/** Where the tensors of a convolution lie, in words of `dtype`: float32 or int32. */
export interface Places {
  dtype: OnnxDType;
  input: Operand;
  weights: Operand;
  bias: Operand | null;
  output: Operand;
}

/** Ranks and attributes, and what both kinds of convolution ask of them. */
export function openConvolution(
  node: Node,
  x: Value,
  w: Value,
  [X, W]: readonly [string, string] = ['X', 'W'],
): Convolution {
  const rank = x.dims.length;
  node.ensure(
    rank >= 3 && rank <= 5,
    `${X} must have rank 3 to 5: N, C and 1 to 3 spatial dimensions`,
    x.dims,
  );
  node.ensure(w.dims.length === rank, `${W} must have the rank of ${X}, ${rank}`, w.dims);
  const [size, kernel] = [x.dims.slice(2), w.dims.slice(2)];
  node.ensure(!kernel.includes(0), `the spatial dims of ${W} must not be 0`, w.dims);
  const shape = node.sized('kernel_shape', kernel.length, 1, kernel);
  node.ensure(
    shape.every((value, i) => value === kernel[i]),
    `kernel_shape must be the spatial dimensions of ${W}, [${kernel}]`,
    shape,
  );
  const group = node.integer('group', 1);
  const channels = x.dims[1];
  node.ensure(
    group >= 1 && channels % group === 0,
    `group must divide the ${channels} channels of ${X}`,
    group,
  );
  return { node, x, w, X, W, group, size, kernel };
}

export function checkBias({ node }: Convolution, bias: Value | null, outputs: number): void {
  node.ensure(
    !bias || (bias.dims.length === 1 && bias.dims[0] === outputs),
    `B must have one element for each of the ${outputs} output channels`,
    bias?.dims,
  );
}

function convolve(
  { x, group, size }: Convolution,
  { dtype, input, weights, bias, output }: Places,
  outputs: number,
  windows: Windows,
  TRANSPOSED: 0 | 1,
): Step {
  const groupOutputs = outputs / group;
  const OUTPUTS = groupOutputs === 1 ? 1 : 4;
  const groupTiles = Math.ceil(groupOutputs / OUTPUTS);
  return step(
    convolution,
    { TRANSPOSED, HAS_BIAS: Number(!!bias), OUTPUTS: `${OUTPUTS}u`, Element: wordTypeOf(dtype) },
    { input, weights, bias: bias ?? weights, output },
    {
      threads: x.dims[0] * group * groupTiles * sizeOf(windows.output),
      channels: x.dims[1],
      outputs,
      groupChannels: x.dims[1] / group,
      groupOutputs,
      groupTiles,
      ...spatialParams('input', size, 1),
      ...spatialParams('output', windows.output, 1),
      ...spatialParams('kernel', windows.kernel, 1),
      ...spatialParams('stride', windows.strides, 1),
      ...spatialParams('dilation', windows.dilations, 1),
      ...spatialParams('pad', windows.before, 0),
    },
  );
}

/** A convolution's output dims, and the one dispatch that computes it from wherever its tensors lie. */
export function forwardConvolution(shape: Convolution): {
  dims: number[];
  place(places: Places): Step;
} {
  const { node, x, w, X, W, group, size, kernel } = shape;
  const [outputs, groupChannels] = w.dims;
  node.ensure(outputs % group === 0, `group must divide the ${outputs} output channels of ${W}`, group);
  node.ensure(
    x.dims[1] === groupChannels * group,
    `${X} must have ${W}.dims[1] * group = ${groupChannels * group} channels`,
    x.dims[1],
  );
  const windows = windowsOf(node, size, kernel);
  const [batch, channels] = x.dims;
  const dims = [batch, outputs, ...windows.output];
  // A stride that is never taken reads as 1, so the sizes say whether every place is looked at.
  const places = sizeOf(size);
  const pointwise =
    kernel.every((taps) => taps === 1) && windows.output.every((count, i) => count === size[i]);
  const padded = [...windows.before, ...windows.after].some((pad) => pad > 0);
  if (!pointwise || padded || group > 1) {
    return { dims, place: (at) => convolve(shape, at, outputs, windows, 0) };
  }
  // A product of matrices a picture: weights x its channels.
  const sizes = {
    ...{ M: outputs, N: places, K: channels },
    ...{ aStrides: [channels, 1], bStrides: [places, 1], addendStrides: [1, 0] },
    pairs: Array.from({ length: batch }, (_, image) => [0, image * channels * places]),
  };
  return {
    dims,
    place: ({ dtype, input, weights, bias, output }) =>
      product({ a: weights, b: input, ...(bias && { addend: bias }), output }, { dtype, ...sizes }),
  };
}

/** The inputs of a convolution of floats. */
function openFloats(spec: NodeSpec, extra: readonly string[] = []) {
  const node = openNode(spec, ['X', 'W', 'B'], [...CONVOLUTION_ATTRIBUTES, ...extra]);
  const x = node.required('X', FLOATS);
  const shape = openConvolution(node, x, node.required('W', [x.dtype]));
  const bias = node.optional('B', [x.dtype]);
  const places: Places = {
    dtype: x.dtype,
    input: { input: 0 },
    weights: { input: 1 },
    bias: bias && { input: 2 },
    output: { output: 0 },
  };
  return { shape, bias, places };
}

function conv(spec: NodeSpec): Plan {
  const { shape, bias, places } = openFloats(spec);
  checkBias(shape, bias, shape.w.dims[0]);
  const { dims, place } = forwardConvolution(shape);
  return { outputs: [{ dtype: shape.x.dtype, dims }], steps: [place(places)] };
}

function convTranspose(spec: NodeSpec): Plan {
  const { shape, bias, places } = openFloats(spec, ['output_padding', 'output_shape']);
  const { node, x, w, group, size, kernel } = shape;
  const [channels, groupOutputs] = w.dims;
  node.ensure(x.dims[1] === channels, `X must have W.dims[0] = ${channels} channels`, x.dims[1]);
  checkBias(shape, bias, groupOutputs * group);
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
  const outputs = groupOutputs * group;
  return {
    outputs: [{ dtype: x.dtype, dims: [x.dims[0], outputs, ...output] }],
    steps: [convolve(shape, places, outputs, windows, 1)],
  };
}

/** Convolutions of floats. */
export const convolutionOperators = {
  Conv: { since: 1, plan: conv },
  ConvTranspose: { since: 1, plan: convTranspose },
} satisfies Readonly<Record<string, Operator>>;
