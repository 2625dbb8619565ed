// Seeded cases of every operator: dtypes, attributes, opsets, odd sizes, empty tensors, axes from either end.
import type { Attributes, OnnxTensor } from '../../src/graph/ops/tensors.ts';
import type { OnnxDType } from '../../src/graph/ops/value.ts';
import { int64, int64s, randomTensor } from './planned.ts';
import type { seeded } from './runtime.ts';

export type Random = ReturnType<typeof seeded>;

/** One node and what it reads. */
export interface OperatorCase {
  inputs: readonly (OnnxTensor | null)[];
  attributes?: Attributes;
  opset: number;
  outputs?: number;
}

const FLOATS: readonly OnnxDType[] = ['float32', 'float32', 'float32', 'float16'];
const WORDS: readonly OnnxDType[] = ['float32', 'int32', 'int64'];

/** A shape of any rank up to 5; now and then with a dimension of 0 or 1. */
export function anyDims(random: Random, low = 0, high = 5): number[] {
  return Array.from({ length: random.integer(low, high) }, () => random.pick([0, 1, 1, 2, 3, 4, 5, 2, 3]));
}
const fullDims = (random: Random, low = 0, high = 5) => anyDims(random, low, high).map((size) => size || 2);

/** A shape that broadcasts with another one. */
const broadcasting = (random: Random, dims: readonly number[]) =>
  dims.slice(random.integer(0, dims.length)).map((size) => (random.next() < 0.3 ? 1 : size));

const float32 = (random: Random, dims: readonly number[], scale = 1) =>
  randomTensor(random, 'float32', dims, scale);
const positive = (random: Random, dims: readonly number[], dtype: OnnxDType = 'float32'): OnnxTensor => {
  const tensor = randomTensor(random, dtype, dims, 1);
  if (dtype !== 'float32') return tensor;
  return { ...tensor, data: (tensor.data as Float32Array).map((x) => 0.2 + Math.abs(x)) } as OnnxTensor;
};
const nonZero = (tensor: OnnxTensor): OnnxTensor => {
  const one = tensor.dtype === 'int64' ? 3n : 3;
  return { ...tensor, data: (tensor.data as Int32Array).map((x) => x || (one as number)) } as OnnxTensor;
};
export const float32s = (...values: number[]): OnnxTensor => ({
  dtype: 'float32',
  dims: [values.length],
  data: Float32Array.from(values),
});
const axisOf = (random: Random, rank: number) => random.integer(-rank, rank - 1);
const subset = (random: Random, rank: number) =>
  Array.from({ length: rank }, (_, i) => i)
    .filter(() => random.next() < 0.5)
    .map((axis) => (random.next() < 0.3 ? axis - rank : axis))
    .sort(() => random.next() - 0.5);
const shuffled = <T>(random: Random, values: readonly T[]) => {
  const left = [...values];
  return values.map(() => left.splice(random.integer(0, left.length - 1), 1)[0]);
};

type Generator = (random: Random) => OperatorCase;

const unary =
  (
    attributes: (random: Random) => Attributes = () => ({}),
    { opsets = [18, 22], dtypes = FLOATS, scale = 3 } = {},
  ): Generator =>
  (random) => ({
    inputs: [randomTensor(random, random.pick(dtypes), anyDims(random), scale)],
    attributes: attributes(random),
    opset: random.pick(opsets),
  });
const someFloat = (random: Random, name: string): Attributes =>
  random.next() < 0.4 ? {} : { [name]: Math.fround(random.integer(1, 20) / 8) };

function pair(random: Random, dtype: OnnxDType): [OnnxTensor, OnnxTensor] {
  const dims = anyDims(random);
  const made: [OnnxTensor, OnnxTensor] = [
    randomTensor(random, dtype, dims),
    randomTensor(random, dtype, broadcasting(random, dims)),
  ];
  return random.next() < 0.5 ? made : [made[1], made[0]];
}
const binary =
  (dtypes: readonly OnnxDType[] = WORDS, opsets = [14, 18]): Generator =>
  (random) => ({ inputs: pair(random, random.pick(dtypes)), opset: random.pick(opsets) });
const divided =
  (attributes: (random: Random, dtype: OnnxDType) => Attributes = () => ({}), opsets = [14]): Generator =>
  (random) => {
    const dtype = random.pick(WORDS);
    const [a, b] = pair(random, dtype);
    return { inputs: [a, nonZero(b)], attributes: attributes(random, dtype), opset: random.pick(opsets) };
  };
const variadic =
  (dtypes: readonly OnnxDType[]): Generator =>
  (random) => {
    const dims = anyDims(random);
    const dtype = random.pick(dtypes);
    const inputs = Array.from({ length: random.integer(1, 4) }, () =>
      randomTensor(random, dtype, broadcasting(random, dims)),
    );
    return { inputs, opset: random.pick([13, 8].filter((opset) => opset > 8 || dtype === 'float32')) };
  };

const reduction =
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

const arg: Generator = (random) => {
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

const softmax: Generator = (random) => {
  const x = float32(random, anyDims(random, 1), 3);
  const attributes: Attributes = random.next() < 0.7 ? { axis: axisOf(random, x.dims.length) } : {};
  return { inputs: [x], attributes, opset: random.pick(x.dims.length > 1 ? [11, 12, 13] : [13]) };
};

const globalPool: Generator = (random) => ({
  inputs: [float32(random, fullDims(random, 3))],
  opset: random.pick([9, 22]),
});

/** Windows over one to three dimensions, none of them larger than what it slides over. */
function windows(random: Random, spatial: number) {
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

const conv: Generator = (random) => {
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

const convTranspose: Generator = (random) => {
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

const pool =
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

const matMul: Generator = (random) => {
  const [m, k, n] = [1, 2, 3].map(() => random.integer(1, 5));
  const dtype = random.pick(WORDS);
  const batch = anyDims(random, 0, 3).map((size) => size || 1);
  const a = random.next() < 0.15 ? [k] : [...broadcasting(random, batch), m, k];
  const b = random.next() < 0.15 ? [k] : [...broadcasting(random, batch), k, n];
  return { inputs: [randomTensor(random, dtype, a), randomTensor(random, dtype, b)], opset: 13 };
};

const gemm: Generator = (random) => {
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

const epsilon = (random: Random): Attributes => (random.next() < 0.5 ? {} : { epsilon: 0.01 });

const layerNorm =
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

const channelNorm =
  (rank: number, statistics: boolean, opsets: readonly number[]): Generator =>
  (random) => {
    const dims = fullDims(random, rank, 5);
    const c = [dims[1]];
    const inputs = [float32(random, dims), float32(random, c), float32(random, c)];
    if (statistics) inputs.push(float32(random, c), positive(random, c));
    return { inputs, attributes: epsilon(random), opset: random.pick(opsets) };
  };

const groupNorm: Generator = (random) => {
  const opset = random.pick([18, 21]);
  const num_groups = random.integer(1, 3);
  const channels = num_groups * random.integer(1, 3);
  const dims = [random.integer(1, 2), channels, ...fullDims(random, 1, 3)];
  const count = opset < 21 ? num_groups : channels;
  const inputs = [float32(random, dims), float32(random, [count]), float32(random, [count])];
  return { inputs, attributes: { num_groups, ...epsilon(random) }, opset };
};

/** Scales that are exact in binary: whatever order of roundings, ties stay ties. */
const SCALES = [1, 2, 0.5, 1.5, 3, 1];

const resize: Generator = (random) => {
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

const upsample: Generator = (random) => {
  const dims = [1, random.integer(1, 2), random.integer(1, 4), random.integer(1, 4)];
  const scales = float32s(1, 1, random.pick([1, 2, 3]), random.pick([1, 2, 3]));
  return {
    inputs: [float32(random, dims), scales],
    attributes: { mode: random.pick(['nearest', 'linear']) },
    opset: 9,
  };
};

const anyType = (random: Random, dims: readonly number[]) =>
  randomTensor(random, random.pick(['float32', 'int64', 'int32', 'bool', 'float16'] as const), dims);

const transpose: Generator = (random) => {
  const x = anyType(random, anyDims(random));
  const perm = shuffled(random, [...x.dims.keys()]);
  return { inputs: [x], attributes: random.next() < 0.8 && perm.length > 0 ? { perm } : {}, opset: 13 };
};

const slice: Generator = (random) => {
  const opset = random.pick([9, 10, 13]);
  const x = anyType(random, anyDims(random, 1));
  const axes = subset(random, x.dims.length);
  if (axes.length === 0) axes.push(0);
  const list = (low: number, high: number) => axes.map(() => random.integer(low, high));
  const [starts, ends] = [list(-6, 6), list(-6, 8)];
  if (opset < 10) {
    const some = x.dtype === 'bool' ? randomTensor(random, 'float32', x.dims) : x;
    return { inputs: [some], attributes: { starts, ends, axes }, opset };
  }
  const steps = axes.map(() => random.pick([1, 2, -1, -2, 3]));
  const lists = [starts, ends, axes, ...(random.next() < 0.7 ? [steps] : [])];
  return { inputs: [x, ...lists.map((each) => int64s(...each))], opset };
};

const split: Generator = (random) => {
  const opset = random.pick([11, 13, 18]);
  const dims = anyDims(random, 1);
  const axis = axisOf(random, dims.length);
  const at = axis < 0 ? axis + dims.length : axis;
  const outputs = random.integer(1, 3);
  const sizes = Array.from({ length: outputs }, () => random.integer(0, 3));
  const how = random.pick(['sizes', 'equal']);
  const even = random.integer(1, 2);
  dims[at] = how === 'sizes' ? sizes.reduce((a, b) => a + b) : outputs * even;
  if (how === 'equal' && opset >= 18 && outputs > 1 && even > 1 && random.next() < 0.5) dims[at]--;
  const x = float32(random, dims);
  if (how === 'equal')
    return {
      inputs: [x],
      attributes: { axis, ...(opset >= 18 && { num_outputs: outputs }) },
      opset,
      outputs,
    };
  if (opset < 13) return { inputs: [x], attributes: { axis, split: sizes }, opset, outputs };
  return { inputs: [x, int64s(...sizes)], attributes: { axis }, opset, outputs };
};

const concat: Generator = (random) => {
  const dims = anyDims(random, 1);
  const axis = axisOf(random, dims.length);
  const at = axis < 0 ? axis + dims.length : axis;
  const dtype = random.pick(['float32', 'int64', 'bool'] as const);
  const inputs = Array.from({ length: random.integer(1, 4) }, () =>
    randomTensor(
      random,
      dtype,
      dims.map((size, i) => (i === at ? random.integer(0, 3) : size)),
    ),
  );
  return { inputs, attributes: { axis }, opset: 13 };
};

const pad: Generator = (random) => {
  const opset = random.pick([9, 11, 13, 18, 19]);
  const dims = fullDims(random, 1, 4);
  const mode = random.pick(['constant', 'reflect', 'edge', ...(opset >= 19 ? ['wrap'] : [])]);
  const x = float32(random, dims);
  const all = dims.map((_, i) => i);
  const named = opset >= 18 && random.next() < 0.5 ? all.filter(() => random.next() < 0.6) : null;
  const axes = named?.length ? named : all;
  const most = (axis: number) => (mode === 'reflect' ? dims[axis] - 1 : mode === 'wrap' ? dims[axis] : 3);
  const pads = [...axes, ...axes].map((axis) => random.integer(0, Math.min(3, most(axis))));
  if (opset < 11) return { inputs: [x], attributes: { mode, pads, value: 1.5 }, opset };
  const value: OnnxTensor | null =
    random.next() < 0.5 ? ({ ...float32s(-2.5), dims: [] } as OnnxTensor) : null;
  const inputs = [x, int64s(...pads), value, ...(named?.length ? [int64s(...axes)] : [])];
  return { inputs, attributes: { mode }, opset };
};

const expand: Generator = (random) => {
  const dims = anyDims(random);
  const x = anyType(random, broadcasting(random, dims));
  return { inputs: [x, int64s(...dims.map((size) => (random.next() < 0.2 ? 1 : size)))], opset: 13 };
};

const tile: Generator = (random) => {
  const dims = anyDims(random, 1, 4);
  return { inputs: [float32(random, dims), int64s(...dims.map(() => random.integer(0, 3)))], opset: 13 };
};

const gather: Generator = (random) => {
  const x = anyType(random, fullDims(random, 1, 4));
  const axis = axisOf(random, x.dims.length);
  const size = x.dims[axis < 0 ? axis + x.dims.length : axis];
  const dims = anyDims(random, 0, 2);
  const count = dims.reduce((a, b) => a * b, 1);
  const data = BigInt64Array.from({ length: count }, () => BigInt(random.integer(-size, size - 1)));
  return { inputs: [x, { dtype: 'int64', dims, data }], attributes: { axis }, opset: 13 };
};

const blocks =
  (toDepth: boolean): Generator =>
  (random) => {
    const blocksize = random.integer(1, 3);
    const [n, c, h, w] = [1, 2, 3, 4].map(() => random.integer(1, 3));
    const dims = toDepth ? [n, c, h * blocksize, w * blocksize] : [n, c * blocksize ** 2, h, w];
    const mode: Attributes = toDepth ? {} : { mode: random.pick(['DCR', 'CRD']) };
    return { inputs: [float32(random, dims)], attributes: { blocksize, ...mode }, opset: 13 };
  };

const reshape: Generator = (random) => {
  const dims = anyDims(random);
  const x = anyType(random, dims);
  const opset = random.pick([13, 14]);
  const shape = [1, ...shuffled(random, dims)].slice(random.integer(0, 1));
  if (!dims.includes(0)) {
    const at = random.integer(0, shape.length - 1);
    if (shape.length > 0 && random.next() < 0.5) shape[at] = -1;
    else if (dims.length > 0 && shape[0] === dims[0]) shape[0] = 0;
    return { inputs: [x, int64s(...shape)], opset };
  }
  return { inputs: [x, int64s(...shape)], attributes: { allowzero: 1 }, opset: 14 };
};

const flatten: Generator = (random) => {
  const x = float32(random, anyDims(random, 1));
  const axis = random.integer(-x.dims.length, x.dims.length);
  return { inputs: [x], attributes: random.next() < 0.8 ? { axis } : {}, opset: random.pick([11, 13]) };
};

const squeeze: Generator = (random) => {
  const opset = random.pick([11, 13]);
  const x = anyType(random, anyDims(random));
  const ones = x.dims.flatMap((size, i) =>
    size === 1 && random.next() < 0.7 ? [i - random.integer(0, 1) * x.dims.length] : [],
  );
  if (ones.length === 0) return { inputs: [x], opset };
  if (opset < 13) return { inputs: [x], attributes: { axes: ones }, opset };
  return { inputs: [x, int64s(...ones)], opset };
};

const unsqueeze: Generator = (random) => {
  const opset = random.pick([11, 13]);
  const x = anyType(random, anyDims(random, 0, 3));
  const count = random.integer(1, 2);
  const rank = x.dims.length + count;
  const axes = shuffled(
    random,
    Array.from({ length: rank }, (_, i) => i),
  )
    .slice(0, count)
    .map((axis) => axis - random.integer(0, 1) * rank);
  if (opset < 13) return { inputs: [x], attributes: { axes }, opset };
  return { inputs: [x, int64s(...axes)], opset };
};

const shape: Generator = (random) => {
  const opset = random.pick([13, 15]);
  const attributes: Attributes =
    opset < 15
      ? {}
      : { start: random.integer(-6, 6), ...(random.next() < 0.5 && { end: random.integer(-6, 6) }) };
  return { inputs: [anyType(random, anyDims(random))], attributes, opset };
};

const constant: Generator = (random) => ({
  inputs: [],
  attributes: random.pick<Attributes>([
    { value: float32(random, anyDims(random)) },
    { value_float: 1.25 },
    { value_floats: [0.1, -2] },
    { value_int: -7 },
    { value_ints: [3, 0, -5] },
  ]),
  opset: 13,
});

const constantOfShape: Generator = (random) => ({
  inputs: [int64s(...anyDims(random))],
  attributes: random.pick<Attributes>([{}, { value: int64s(-3) }, { value: float32s(0.3) }]),
  opset: 13,
});

const range: Generator = (random) => {
  const [start, limit, delta] = [random.integer(-5, 5), random.integer(-9, 9), random.pick([1, 2, -1, -3])];
  if (random.next() < 0.5) return { inputs: [start, limit, delta].map(int64), opset: 13 };
  const scalar = (x: number) => ({ ...float32s(x), dims: [] }) as OnnxTensor;
  return { inputs: [start / 2, limit / 2, delta / 4].map(scalar), opset: 13 };
};

const clip: Generator = (random) => {
  const opset = random.pick([9, 11, 12, 13]);
  const dtype: OnnxDType = opset >= 12 ? random.pick(['float32', 'int32', 'int8'] as const) : 'float32';
  const x = randomTensor(random, dtype, anyDims(random));
  if (opset < 11)
    return {
      inputs: [x],
      attributes: random.pick<Attributes>([{}, { min: -0.5 }, { max: 0.5, min: -1 }]),
      opset,
    };
  const bound = (): OnnxTensor | null => (random.next() < 0.7 ? randomTensor(random, dtype, []) : null);
  const [low, high] = [bound(), bound()];
  return { inputs: high ? [x, low, high] : low ? [x, low] : [x], opset };
};

const cast: Generator = (random) => {
  const from = random.pick(['float32', 'int32', 'int64', 'bool', 'uint8', 'int8', 'float16'] as const);
  const to = random.pick([1, 6, 7, 9, 3, 2, 10]);
  const x = randomTensor(random, from, anyDims(random));
  // Floats beyond what an integer holds are whatever a machine makes of them.
  return {
    inputs: [x],
    attributes: { to: from === 'float32' && to === 2 ? 6 : to },
    opset: random.pick([13, 19]),
  };
};

const power: Generator = (random) => {
  const dims = anyDims(random);
  if (random.next() < 0.5) {
    const x = positive(random, dims);
    return { inputs: [x, float32(random, broadcasting(random, dims))], opset: random.pick([9, 13]) };
  }
  const exponent = {
    dtype: 'int64',
    dims: [],
    data: BigInt64Array.of(BigInt(random.integer(0, 4))),
  } as const;
  const small = randomTensor(random, random.pick(['int32', 'float32'] as const), dims);
  return { inputs: [small, exponent], opset: 13 };
};

const BOOLS: readonly OnnxDType[] = ['bool'];
const INTEGERS: readonly OnnxDType[] = ['int32', 'int64', 'uint8', 'int8'];

/** A case of every operator. */
export const operatorCases: Readonly<Record<string, Generator>> = {
  ...Object.fromEntries(
    ['Sigmoid', 'HardSwish', 'Tanh', 'Erf', 'Softplus', 'Softsign', 'Exp', 'Floor', 'Ceil'].map((name) => [
      name,
      unary(),
    ]),
  ),
  Round: unary(),
  Reciprocal: unary(undefined, { dtypes: ['float32'] }),
  Mish: unary(undefined, { dtypes: ['float32'] }),
  Sin: unary(undefined, { dtypes: ['float32'] }),
  Cos: unary(undefined, { dtypes: ['float32'] }),
  Atan: unary(undefined, { dtypes: ['float32'] }),
  IsNaN: (random) => {
    const x = float32(random, anyDims(random));
    for (let i = 0; i < x.data.length; i += 3) (x.data as Float32Array)[i] = Number.NaN;
    return { inputs: [x], opset: 13 };
  },
  Relu: unary(undefined, { dtypes: ['float32', 'int32', 'int8', 'float16'] }),
  Abs: unary(undefined, { dtypes: ['float32', 'int32', 'int64', 'int8'] }),
  Neg: unary(undefined, { dtypes: ['float32', 'int32', 'int64', 'int8'] }),
  Sign: unary(undefined, { dtypes: ['float32', 'int32', 'int64', 'int8'] }),
  LeakyRelu: unary((random) => someFloat(random, 'alpha'), { opsets: [9, 16] }),
  Elu: unary((random) => someFloat(random, 'alpha'), { opsets: [9, 22] }),
  Celu: unary((random) => someFloat(random, 'alpha'), { opsets: [12], dtypes: ['float32'] }),
  Selu: unary((random) => ({ ...someFloat(random, 'alpha'), ...someFloat(random, 'gamma') })),
  HardSigmoid: unary((random) => ({ ...someFloat(random, 'alpha'), ...someFloat(random, 'beta') })),
  ThresholdedRelu: unary((random) => someFloat(random, 'alpha'), { dtypes: ['float32'] }),
  Gelu: unary((random) => random.pick<Attributes>([{}, { approximate: 'tanh' }, { approximate: 'none' }]), {
    opsets: [20],
    dtypes: ['float32'],
  }),
  Log: (random) => ({ inputs: [positive(random, anyDims(random))], opset: 13 }),
  Sqrt: (random) => ({ inputs: [positive(random, anyDims(random))], opset: 13 }),
  PRelu: (random) => {
    const dims = anyDims(random);
    const inputs = [float32(random, dims), float32(random, broadcasting(random, dims))];
    return { inputs, opset: random.pick([9, 16]) };
  },
  Clip: clip,
  Cast: cast,
  CastLike: (random) => ({
    inputs: [
      randomTensor(random, random.pick(['float32', 'int32', 'bool'] as const), anyDims(random)),
      randomTensor(random, random.pick(['float32', 'int64', 'bool'] as const), [2]),
    ],
    opset: 15,
  }),
  Add: binary([...WORDS, 'float16']),
  Sub: binary(),
  Mul: binary(),
  Div: divided(),
  Mod: divided((random, dtype) => ({ fmod: dtype === 'float32' ? 1 : random.integer(0, 1) })),
  Pow: power,
  Min: variadic(WORDS),
  Max: variadic([...WORDS, 'int8']),
  Sum: variadic(['float32']),
  Mean: variadic(['float32']),
  ...Object.fromEntries(
    ['Equal', 'Less', 'Greater', 'LessOrEqual', 'GreaterOrEqual'].map((name) => [name, binary()]),
  ),
  ...Object.fromEntries(['And', 'Or', 'Xor'].map((name) => [name, binary(BOOLS)])),
  ...Object.fromEntries(
    ['BitwiseAnd', 'BitwiseOr', 'BitwiseXor'].map((name) => [name, binary(INTEGERS, [18])]),
  ),
  BitwiseNot: unary(undefined, { opsets: [18], dtypes: INTEGERS }),
  Not: unary(undefined, { opsets: [13], dtypes: BOOLS }),
  Where: (random) => {
    const dims = anyDims(random);
    const dtype = random.pick(['float32', 'int64', 'int32'] as const);
    const of = (type: OnnxDType) => randomTensor(random, type, broadcasting(random, dims));
    return { inputs: [of('bool'), of(dtype), of(dtype)], opset: random.pick([9, 16]) };
  },
  Transpose: transpose,
  Slice: slice,
  Split: split,
  Concat: concat,
  Pad: pad,
  Expand: expand,
  Tile: tile,
  Gather: gather,
  DepthToSpace: blocks(false),
  SpaceToDepth: blocks(true),
  Reshape: reshape,
  Flatten: flatten,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Identity: (random) => ({ inputs: [anyType(random, anyDims(random))], opset: 13 }),
  Dropout: (random) => {
    const x = float32(random, anyDims(random));
    const opset = random.pick([10, 12, 13]);
    const ratio = { ...float32s(0.3), dims: [] } as OnnxTensor;
    return { inputs: opset < 12 ? [x] : [x, ratio], outputs: opset < 12 ? 1 : random.integer(1, 2), opset };
  },
  Shape: shape,
  Size: (random) => ({ inputs: [anyType(random, anyDims(random))], opset: 13 }),
  Constant: constant,
  ConstantOfShape: constantOfShape,
  Range: range,
  ReduceSum: reduction(13),
  ReduceMean: reduction(18, ['float32']),
  ReduceMax: reduction(),
  ReduceMin: reduction(),
  ReduceProd: reduction(18, ['float32']),
  ReduceL1: reduction(18, ['float32', 'int32']),
  ReduceL2: reduction(18, ['float32']),
  ReduceSumSquare: reduction(18, ['float32', 'int32']),
  ReduceLogSum: reduction(18, ['float32'], (random, dtype, dims) => positive(random, dims, dtype)),
  ArgMax: arg,
  ArgMin: arg,
  GlobalAveragePool: globalPool,
  GlobalMaxPool: globalPool,
  Softmax: softmax,
  LogSoftmax: softmax,
  Conv: conv,
  ConvTranspose: convTranspose,
  MaxPool: pool(true),
  AveragePool: pool(false),
  MatMul: matMul,
  Gemm: gemm,
  BatchNormalization: channelNorm(2, true, [9, 14, 15]),
  InstanceNormalization: channelNorm(3, false, [9, 22]),
  GroupNormalization: groupNorm,
  LayerNormalization: layerNorm([17], true),
  RMSNormalization: layerNorm([23], false),
  Resize: resize,
  Upsample: upsample,
};
