import { check } from '../gpu/errors.ts';
import type { Attributes } from '../graph/ops/tensors.ts';
import { type GraphBuilder, TO_THE_END, type Value } from './graph-builder.ts';
import { filterWeights } from './tensorflow.ts';

/** What TensorFlow says of windows over spatial dimensions. */
export interface Windows {
  strides: readonly number[];
  dilations?: readonly number[];
  /** `same`, `valid`, or what is padded before every spatial dimension, then behind each. */
  padding: string | readonly number[];
}

/** Channels are last unless told. */
interface Layout {
  channelsFirst?: boolean;
}

export interface Convolution extends Windows, Layout {
  /** Spatial sizes x inputs x outputs, or x multiplier of a depthwise one. */
  filter: Value;
  bias?: Value;
  depthwise?: boolean;
}

/** `work` on channels first, as ONNX has them; its result as TensorFlow has it. */
export function onChannelsFirst(
  b: GraphBuilder,
  name: string,
  value: Value,
  { channelsFirst }: Layout,
  work: (value: Value) => Value,
): Value {
  if (channelsFirst) return work(value);
  const rank = b.rank(value);
  const spatial = Array.from({ length: rank - 2 }, (_, i) => i + 1);
  if (rank === 2) return work(value);
  const first = b.transpose(`${name}/nchw`, value, [0, rank - 1, ...spatial]);
  return b.transpose(`${name}/nhwc`, work(first), [0, ...spatial.map((axis) => axis + 1), 1]);
}

/** ONNX's attributes of windows; `same` of stride 1 is the same padding for every size. */
function windowAttributes(name: string, kernel: readonly number[], windows: Windows): Attributes {
  const { strides, padding } = windows;
  const dilations = windows.dilations ?? kernel.map(() => 1);
  for (const list of [strides, dilations]) {
    check(
      list.length === kernel.length && list.every((step) => Number.isInteger(step) && step > 0),
      `${name}: strides and dilations must be ${kernel.length} whole numbers of 1 or more`,
      list,
    );
  }
  const common = {
    strides: [...strides],
    ...(dilations.some((step) => step !== 1) && { dilations: [...dilations] }),
  };
  if (typeof padding !== 'string') {
    check(
      padding.length === kernel.length * 2 && padding.every((pad) => Number.isInteger(pad) && pad >= 0),
      `${name}: explicit paddings must be ${kernel.length * 2} sizes`,
      padding,
    );
    return { ...common, pads: [...padding] };
  }
  check(
    padding === 'same' || padding === 'valid' || padding === 'causal',
    `${name}: padding must be same, valid, causal or explicit`,
    padding,
  );
  if (padding === 'valid') return common;
  const total = kernel.map((taps, i) => (taps - 1) * dilations[i]);
  // Keras's of one dimension: no step sees a later one.
  if (padding === 'causal') return { ...common, pads: [...total, ...total.map(() => 0)] };
  if (strides.some((step) => step !== 1)) return { ...common, auto_pad: 'SAME_UPPER' };
  return {
    ...common,
    pads: [...total.map((pad) => Math.floor(pad / 2)), ...total.map((pad) => Math.ceil(pad / 2))],
  };
}

export function convolve(b: GraphBuilder, name: string, value: Value, conv: Convolution): Value {
  const { filter, bias, depthwise = false } = conv;
  const { kernel, weights } = kernelOf(b, name, filter, depthwise);
  const attributes = windowAttributes(name, kernel, conv);
  const group = depthwise ? filter.dims!.at(-2)! : 1;
  return onChannelsFirst(b, name, value, conv, (x) =>
    b.add('Conv', name, bias ? [x, weights, bias] : [x, weights], { ...attributes, group }),
  );
}

function kernelOf(
  b: GraphBuilder,
  name: string,
  filter: Value,
  depthwise: boolean,
): { kernel: readonly number[]; weights: Value } {
  const { dims, data } = filter;
  const rank = b.rank(filter);
  check(
    rank >= 3 && rank <= 5,
    `${name}: its filter must have 1 to 3 spatial dimensions, inputs and outputs`,
    dims,
  );
  check(
    filter.exact,
    `${name}: its filter must have sizes that the inputs' shapes have no part in`,
    filter.name,
    'freeze the model',
  );
  const kernel = dims!.slice(0, -2);
  if (data) {
    const weights = b.once(`${filter.name} ${depthwise}`, () => {
      const made = filterWeights(data as Float32Array, dims!, depthwise);
      return b.floats(`${name}.weight`, made.dims, made.data);
    });
    return { kernel, weights };
  }
  // Computed by the network: the same order by nodes.
  const spatial = kernel.map((_, i) => i);
  const order = depthwise ? [rank - 2, rank - 1, ...spatial] : [rank - 1, rank - 2, ...spatial];
  const moved = b.transpose(`${name}/oihw`, filter, order);
  if (!depthwise) return { kernel, weights: moved };
  const [inner, outer] = dims!.slice(-2);
  return { kernel, weights: b.reshape(`${name}/grouped`, moved, [inner * outer, 1, ...kernel]) };
}

export interface TransposedConvolution extends Windows, Layout {
  /** Spatial sizes x outputs x inputs. */
  filter: Value;
  bias?: Value;
  /** Spatial sizes of the output: numbers, or one list that the network computes; Keras's rule without any. */
  size?: readonly number[] | Value;
}

/** The gradient of a convolution with regard to its input, as an operation. */
export function convolveTransposed(
  b: GraphBuilder,
  name: string,
  value: Value,
  conv: TransposedConvolution,
): Value {
  const { filter, bias, size, padding, strides } = conv;
  // Spatial x outputs x inputs becomes inputs x outputs x spatial: what a convolution's filter would.
  const { kernel, weights } = kernelOf(b, name, filter, false);
  const same = padding === 'same';
  check(same || padding === 'valid', `${name}: a transposed convolution pads 'same' or 'valid'`, padding);
  const common = windowAttributes(name, kernel, { ...conv, padding: 'valid' });
  const open = (x: Value, attributes: Attributes) =>
    b.add('ConvTranspose', name, bias ? [x, weights, bias] : [x, weights], { ...common, ...attributes });
  return onChannelsFirst(b, name, value, conv, (x) => {
    const asked = same ? { auto_pad: 'SAME_UPPER' } : {};
    if (size && !('name' in size)) return open(x, { ...asked, output_shape: [...size] });
    if (!size && same) return open(x, asked);
    if (!size) {
      // A stride beyond the kernel leaves places that no pixel reaches; they are there all the same.
      const beyond = kernel.map((taps, i) => Math.max(strides[i] - taps, 0));
      return open(x, beyond.some((pad) => pad > 0) ? { output_padding: beyond } : {});
    }
    return cut(b, name, open(x, {}), size, same);
  });
}

/** The middle, or the start, of a whole transposed convolution, of a size that is computed. */
function cut(b: GraphBuilder, name: string, whole: Value, size: Value, centred: boolean): Value {
  const spatial = Array.from({ length: b.rank(whole) - 2 }, (_, i) => i + 2);
  const axes = b.integers(`${name}/cut/axes`, spatial);
  const zero = b.integers(`${name}/cut/none`, [0]);
  const own = b.add('Shape', `${name}/cut/own`, [whole], { start: 2 });
  const asked = b.cast(`${name}/cut/size`, size, 'int64');
  const positive = (key: string, x: Value, y: Value) =>
    b.add('Max', `${name}/cut/${key}`, [b.add('Sub', `${name}/cut/${key}/all`, [x, y]), zero]);
  const surplus = positive('surplus', own, asked);
  const start = centred
    ? b.add('Div', `${name}/cut/start`, [surplus, b.integers(`${name}/cut/two`, [2])])
    : b.add('Mul', `${name}/cut/start`, [surplus, zero]);
  const missing = positive('missing', asked, own);
  // Nothing before any axis, and nothing after the images and channels.
  const others = b.integers(`${name}/cut/others`, Array(b.rank(whole) + 2).fill(0));
  const pads = b.add('Concat', `${name}/cut/pads`, [others, missing], { axis: 0 });
  const padded = b.add('Pad', `${name}/cut/padded`, [whole, pads]);
  const end = b.add('Add', `${name}/cut/end`, [start, asked]);
  return b.add('Slice', `${name}/cut`, [padded, start, end, axes]);
}

export interface Pool extends Windows, Layout {
  kernel: readonly number[];
}

/** A pool whose average leaves padding out. */
export function pool(
  b: GraphBuilder,
  op: 'MaxPool' | 'AveragePool',
  name: string,
  value: Value,
  { kernel, ...windows }: Pool,
): Value {
  const attributes = { kernel_shape: [...kernel], ...windowAttributes(name, kernel, windows) };
  return onChannelsFirst(b, name, value, windows, (x) => b.add(op, name, [x], attributes));
}

export interface Norm {
  gamma?: Value;
  beta?: Value;
  mean: Value;
  variance: Value;
  epsilon: number;
  /** -1 unless told. */
  axis?: number;
}

/** A batch norm of given statistics along one axis. */
export function batchNorm(b: GraphBuilder, name: string, value: Value, norm: Norm): Value {
  const { mean, variance, epsilon } = norm;
  const rank = b.rank(value);
  const axis = norm.axis === undefined || norm.axis < 0 ? rank + (norm.axis ?? -1) : norm.axis;
  check(axis >= 0 && axis < rank, `${name}: its axis must be one of ${rank}`, norm.axis);
  const filled = (key: string, given: Value | undefined, number: number) =>
    given ?? b.floats(`${name}.${key}`, mean.dims!, new Float32Array(mean.dims![0]).fill(number));
  const own = [filled('weight', norm.gamma, 1), filled('bias', norm.beta, 0), mean, variance];
  const work = (x: Value) => b.add('BatchNormalization', name, [x, ...own], { epsilon });
  if (axis === 1) return work(value);
  if (axis === rank - 1) return onChannelsFirst(b, name, value, {}, work);
  // ONNX's channels are the second axis.
  const others = Array.from({ length: rank }, (_, i) => i).filter((i) => i !== axis);
  const perm = [others[0], axis, ...others.slice(1)];
  const back = perm.map((_, i) => perm.indexOf(i));
  return b.transpose(`${name}/back`, work(b.transpose(`${name}/channels`, value, perm)), back);
}

export interface Resized extends Layout {
  mode: 'nearest' | 'linear';
  alignCorners?: boolean;
  halfPixelCenters?: boolean;
  /** Height and width, as numbers or a list that the network computes; or whole factors of them. */
  size?: readonly number[] | Value;
  factors?: readonly number[];
}

export function resize(b: GraphBuilder, name: string, value: Value, resized: Resized): Value {
  const { mode, alignCorners, halfPixelCenters, size, factors } = resized;
  const coordinates = alignCorners ? 'align_corners' : halfPixelCenters ? 'half_pixel' : 'asymmetric';
  const attributes = {
    mode,
    axes: [2, 3],
    coordinate_transformation_mode: coordinates,
    // Nearest to a half is the later one, or else the pixel that a place lies in.
    ...(mode === 'nearest' && {
      nearest_mode: coordinates === 'asymmetric' ? 'floor' : 'round_prefer_ceil',
    }),
  };
  const sizes =
    size && ('name' in size ? b.cast(`${name}/size`, size, 'int64') : b.integers(`${name}/size`, size));
  const scales = factors ? b.floats(`${name}/factors`, [factors.length], Float32Array.from(factors)) : null;
  const inputs = sizes ? [null, null, sizes] : [null, scales];
  return onChannelsFirst(b, name, value, resized, (x) => b.add('Resize', name, [x, ...inputs], attributes));
}

/** Zeros, or another number, before and behind some axes. */
export function pad(
  b: GraphBuilder,
  name: string,
  value: Value,
  pads: readonly (readonly [number, number])[],
  { mode = 'constant', fill }: { mode?: string; fill?: Value } = {},
): Value {
  if (pads.flat().every((size) => size === 0)) return b.add('Identity', name, [value]);
  // Of every axis: ONNX Runtime 1.30 moves transposes past a Pad as if it never named some (seen 2026-11).
  const list = b.integers(
    `${name}/pads`,
    [0, 1].flatMap((side) => pads.map((both) => both[side])),
  );
  return b.add('Pad', name, fill ? [value, list, fill] : [value, list], mode === 'constant' ? {} : { mode });
}

/** What is mirrored with its edge, which ONNX's Pad has no mode for. */
export function padSymmetric(
  b: GraphBuilder,
  name: string,
  value: Value,
  pads: readonly (readonly [number, number])[],
): Value {
  return pads.reduce((x, [before, after], axis) => {
    const own = `${name}/${axis}`;
    const parts = [x];
    if (before > 0) parts.unshift(b.slice(`${own}/before`, x, [axis], [before - 1], [-TO_THE_END], [-1]));
    if (after > 0) parts.push(b.slice(`${own}/after`, x, [axis], [-1], [-after - 1], [-1]));
    return parts.length === 1 ? x : b.add('Concat', own, parts, { axis });
  }, value);
}
