import type { Attributes, OnnxTensor } from '../../src/graph/ops/tensors.ts';
import type { OnnxDType } from '../../src/graph/ops/value.ts';
import {
  anyDims,
  axisOf,
  broadcasting,
  float32,
  float32s,
  fullDims,
  type Generator,
  positive,
  type Random,
  subset,
  WORDS,
} from './cases-of.ts';
import { someFloat } from './cases-pointwise.ts';
import { int64s, randomTensor } from './planned.ts';

export const reduction =
  (inputSince = 18, dtypes: readonly OnnxDType[] = WORDS, values = randomTensor): Generator =>
  (random) => {
    const opset = random.pick([9, 11, 13, 18, 20]);
    const x = values(random, random.pick(dtypes), fullDims(random));
    const axes = subset(random, x.dims.length);
    const attributes: Attributes = random.next() < 0.5 ? { keepdims: random.integer(0, 1) } : {};
    if (opset < inputSince)
      return { inputs: [x], attributes: { ...attributes, ...(axes.length > 0 && { axes }) }, opset };
    if (axes.length === 0 && random.next() < 0.5) attributes.noop_with_empty_axes = random.integer(0, 1);
    return {
      inputs: [x, axes.length > 0 || random.next() < 0.5 ? int64s(...axes) : null],
      attributes,
      opset,
    };
  };

export const arg: Generator = (random) => {
  const dims = fullDims(random, 1);
  const x = {
    ...float32(random, dims),
    data: random.ties(
      dims.reduce((a, b) => a * b, 1),
      1,
      3,
    ),
  } as OnnxTensor;
  const opset = random.pick([11, 13]);
  const attributes: Attributes = { axis: axisOf(random, dims.length), keepdims: random.integer(0, 1) };
  if (opset > 11 && random.next() < 0.5) attributes.select_last_index = 1;
  return { inputs: [x], attributes, opset };
};

export const softmax: Generator = (random) => {
  const x = float32(random, anyDims(random, 1), 3);
  const attributes: Attributes = random.next() < 0.7 ? { axis: axisOf(random, x.dims.length) } : {};
  return { inputs: [x], attributes, opset: random.pick(x.dims.length > 1 ? [11, 12, 13] : [13]) };
};

export const globalPool: Generator = (random) => ({
  inputs: [float32(random, fullDims(random, 3))],
  opset: random.pick([9, 22]),
});

/** Windows over one to three dimensions, none of them larger than what it slides over. */
export function windows(random: Random, spatial: number) {
  const each = (low: number, high: number) =>
    Array.from({ length: spatial }, () => random.integer(low, high));
  const kernel = each(1, 3);
  const dilations = random.next() < 0.4 ? each(1, 2) : kernel.map(() => 1);
  const size = kernel.map((taps, i) => (taps - 1) * dilations[i] + random.integer(1, spatial > 2 ? 3 : 5));
  const strides = each(1, 3);
  const attributes: Attributes = { strides };
  if (dilations.some((step) => step > 1)) attributes.dilations = dilations;
  const padding = random.pick(['pads', 'pads', 'SAME_UPPER', 'SAME_LOWER', 'VALID', 'none']);
  if (padding === 'pads') attributes.pads = [...kernel, ...kernel].map((taps) => random.integer(0, taps - 1));
  else if (padding !== 'none') attributes.auto_pad = padding;
  if (padding.startsWith('SAME')) {
    // ONNX Runtime takes padding below 0 from windows further apart than they are wide, and has none for dilated ones.
    attributes.strides = kernel.map((taps) => random.integer(1, taps));
    delete attributes.dilations;
  }
  return { kernel, size, attributes };
}

export const conv: Generator = (random) => {
  const { kernel, size, attributes } = windows(random, random.pick([1, 2, 2, 3]));
  const group = random.integer(1, 3);
  const [perGroup, outputs] = [random.integer(1, 3), group * random.integer(1, 3)];
  const inputs = [
    float32(random, [random.integer(1, 2), group * perGroup, ...size]),
    float32(random, [outputs, perGroup, ...kernel]),
    ...(random.next() < 0.5 ? [float32(random, [outputs])] : []),
  ];
  return { inputs, attributes: { ...attributes, group }, opset: random.pick([9, 11, 22]) };
};

export const convTranspose: Generator = (random) => {
  const spatial = random.pick([1, 2, 2, 3]);
  const each = (low: number, high: number) =>
    Array.from({ length: spatial }, () => random.integer(low, high));
  const [kernel, strides, size] = [each(1, 3), each(1, 3), each(1, 4)];
  const group = random.integer(1, 2);
  const [perGroup, channels] = [random.integer(1, 3), group * random.integer(1, 2)];
  const attributes: Attributes = { strides, group };
  const how = random.pick(['pads', 'none', 'output_padding', 'SAME_UPPER', 'SAME_LOWER', 'output_shape']);
  if (how === 'pads' || how === 'output_padding') {
    attributes.pads = [...kernel, ...kernel].map((taps, i) =>
      Math.min(
        random.integer(0, taps - 1),
        Math.floor((strides[i % spatial] * (size[i % spatial] - 1) + taps - 1) / 2),
      ),
    );
  }
  if (how === 'output_padding')
    attributes.output_padding = strides.map((step) => random.integer(0, step - 1));
  if (how.startsWith('SAME')) {
    attributes.auto_pad = how;
    attributes.strides = kernel.map((taps) => random.integer(1, taps));
  }
  if (how === 'output_shape') {
    attributes.output_shape = size.map((length, i) =>
      Math.max(1, strides[i] * (length - 1) + kernel[i] - random.integer(0, kernel[i] - 1)),
    );
  }
  const inputs = [
    float32(random, [random.integer(1, 2), channels, ...size]),
    float32(random, [channels, perGroup, ...kernel]),
    ...(random.next() < 0.5 ? [float32(random, [perGroup * group])] : []),
  ];
  return { inputs, attributes, opset: random.pick([11, 22]) };
};

export const pool =
  (max: boolean): Generator =>
  (random) => {
    const { kernel, size, attributes } = windows(random, random.pick([1, 2, 2, 3]));
    const opset = random.pick([9, 11, 19, 22]);
    if (opset < (max ? 10 : 19)) delete attributes.dilations;
    if (opset >= 10 && !attributes.auto_pad && random.next() < 0.5) attributes.ceil_mode = 1;
    if (!max && random.next() < 0.5) attributes.count_include_pad = 1;
    const outputs = max && random.next() < 0.5 ? 2 : 1;
    if (outputs > 1 && random.next() < 0.5) attributes.storage_order = 1;
    return {
      inputs: [float32(random, [random.integer(1, 2), random.integer(1, 3), ...size])],
      attributes: { ...attributes, kernel_shape: kernel },
      opset,
      outputs,
    };
  };

export const matMul: Generator = (random) => {
  const [m, k, n] = [1, 2, 3].map(() => random.integer(1, 5));
  const dtype = random.pick(WORDS);
  const batch = anyDims(random, 0, 3).map((size) => size || 1);
  const a = random.next() < 0.15 ? [k] : [...broadcasting(random, batch), m, k];
  const b = random.next() < 0.15 ? [k] : [...broadcasting(random, batch), k, n];
  return { inputs: [randomTensor(random, dtype, a), randomTensor(random, dtype, b)], opset: 13 };
};

export const gemm: Generator = (random) => {
  const [m, k, n] = [1, 2, 3].map(() => random.integer(1, 5));
  const [transA, transB] = [random.integer(0, 1), random.integer(0, 1)];
  const opset = random.pick([9, 11, 13]);
  const c = random.pick([[n], [m, 1], [1, n], [1], [], [m, n]]);
  const inputs = [float32(random, transA ? [k, m] : [m, k]), float32(random, transB ? [n, k] : [k, n])];
  if (opset < 11 || random.next() < 0.7) inputs.push(float32(random, c));
  return {
    inputs,
    attributes: { transA, transB, ...someFloat(random, 'alpha'), ...someFloat(random, 'beta') },
    opset,
  };
};

export const epsilon = (random: Random): Attributes => (random.next() < 0.5 ? {} : { epsilon: 0.01 });

export const layerNorm =
  (opsets: readonly number[], withBias: boolean): Generator =>
  (random) => {
    const dims = fullDims(random, 1, 4);
    const axis = axisOf(random, dims.length);
    const inner = dims.slice(axis < 0 ? axis + dims.length : axis);
    const inputs = [float32(random, dims), float32(random, inner)];
    if (withBias && random.next() < 0.6) inputs.push(float32(random, inner));
    return {
      inputs,
      attributes: { axis, ...epsilon(random) },
      opset: random.pick(opsets),
      outputs: withBias ? random.pick([1, 1, 3]) : 1,
    };
  };

export const channelNorm =
  (rank: number, statistics: boolean, opsets: readonly number[]): Generator =>
  (random) => {
    const dims = fullDims(random, rank, 5);
    const c = [dims[1]];
    const inputs = [float32(random, dims), float32(random, c), float32(random, c)];
    if (statistics) inputs.push(float32(random, c), positive(random, c));
    return { inputs, attributes: epsilon(random), opset: random.pick(opsets) };
  };

export const groupNorm: Generator = (random) => {
  const opset = random.pick([18, 21]);
  const num_groups = random.integer(1, 3);
  const channels = num_groups * random.integer(1, 3);
  const dims = [random.integer(1, 2), channels, ...fullDims(random, 1, 3)];
  const count = opset < 21 ? num_groups : channels;
  const inputs = [float32(random, dims), float32(random, [count]), float32(random, [count])];
  return { inputs, attributes: { num_groups, ...epsilon(random) }, opset };
};

/** Scales that are exact in binary: whatever order of roundings, ties stay ties. */
export const SCALES = [1, 2, 0.5, 1.5, 3, 1];

export const resize: Generator = (random) => {
  const rank = random.integer(1, 4);
  const dims = Array.from({ length: rank }, () => random.integer(1, 5));
  const opset = random.pick([10, 11, 13, 18, 19]);
  const scales = dims.map((size) => Math.max(random.pick(SCALES), size === 1 ? 1 : 0.5));
  if (rank > 2) scales.fill(1, 0, rank - 2);
  // ONNX Runtime interpolates no vector, and has cubics of two dimensions and four.
  const cubic = opset > 10 && (rank === 2 || rank === 4) ? ['cubic'] : [];
  const mode = random.pick(['nearest', ...(rank >= 2 ? ['linear', ...cubic] : [])]);
  if (opset === 10) {
    return { inputs: [float32(random, dims), float32s(...scales)], attributes: { mode }, opset };
  }
  const attributes: Attributes = {
    mode,
    coordinate_transformation_mode: random.pick([
      ...['half_pixel', 'pytorch_half_pixel', 'align_corners', 'asymmetric'],
      ...(opset >= 19 ? ['half_pixel_symmetric'] : []),
    ]),
  };
  if (mode === 'nearest')
    attributes.nearest_mode = random.pick(['round_prefer_floor', 'round_prefer_ceil', 'floor', 'ceil']);
  if (mode === 'cubic' && random.next() < 0.5) attributes.cubic_coeff_a = -0.5;
  if (mode === 'cubic' && random.next() < 0.3) attributes.exclude_outside = 1;
  const halfPixel = attributes.coordinate_transformation_mode === 'half_pixel';
  if (mode !== 'nearest' && halfPixel && opset >= 18 && rank >= 2 && random.next() < 0.4)
    attributes.antialias = 1;
  const roi = opset < 13 ? float32s() : null;
  if (random.next() < 0.5)
    return { inputs: [float32(random, dims), roi, float32s(...scales)], attributes, opset };
  const sizes = dims.map((size, i) => Math.floor(size * scales[i]));
  const exact = dims.every((size, i) => sizes[i] === size * scales[i]);
  if (!exact) return { inputs: [float32(random, dims), roi, float32s(...scales)], attributes, opset };
  const none = opset < 13 ? float32s() : null;
  return { inputs: [float32(random, dims), roi, none, int64s(...sizes)], attributes, opset };
};

export const upsample: Generator = (random) => {
  const dims = [1, random.integer(1, 2), random.integer(1, 4), random.integer(1, 4)];
  const scales = float32s(1, 1, random.pick([1, 2, 3]), random.pick([1, 2, 3]));
  const x = float32(random, dims);
  const mode = random.pick(['nearest', 'linear']);
  return random.pick([7, 9]) === 7
    ? { inputs: [x], attributes: { mode, scales: scales.data as Float32Array }, opset: 7 }
    : { inputs: [x, scales], attributes: { mode }, opset: 9 };
};
