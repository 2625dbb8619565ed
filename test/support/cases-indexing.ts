import type { Attributes, OnnxTensor } from '../../src/graph/ops/tensors.ts';
import type { OnnxDType } from '../../src/graph/ops/value.ts';
import { anyType } from './cases-moves.ts';
import { anyDims, axisOf, float32, fullDims, type Generator, type Random, subset } from './cases-of.ts';
import { int64, int64s, randomTensor } from './planned.ts';

const INDEXED: readonly OnnxDType[] = ['float32', 'float32', 'int64', 'int32', 'bool'];

/** Indices from either end, below `limit`. */
function indicesOf(
  random: Random,
  dims: readonly number[],
  limit: number | readonly number[],
  apart = false,
): OnnxTensor {
  const count = dims.reduce((product, size) => product * size, 1);
  const limits = typeof limit === 'number' ? [limit] : limit;
  const data = Int32Array.from({ length: count }, (_, i) => {
    const most = limits[i % limits.length];
    return random.integer(apart ? 0 : -most, most - 1);
  });
  if (random.next() < 0.5) return { dtype: 'int32', dims, data };
  return { dtype: 'int64', dims, data: BigInt64Array.from(data, BigInt) };
}

const asInt64 = (tensor: OnnxTensor): OnnxTensor =>
  tensor.dtype === 'int64'
    ? tensor
    : { dtype: 'int64', dims: tensor.dims, data: BigInt64Array.from(tensor.data as Int32Array, BigInt) };

/** Dims of indices into data: its own along no more elements, any number along the axis. */
const indexDims = (random: Random, dims: readonly number[], axis: number) =>
  dims.map((size, d) => (d === axis ? random.integer(1, 4) : random.integer(1, size)));

export const gatherElements: Generator = (random) => {
  const dims = fullDims(random, 1, 4);
  const axis = axisOf(random, dims.length);
  const at = axis < 0 ? axis + dims.length : axis;
  const x = randomTensor(random, random.pick(INDEXED), dims);
  const indices = indicesOf(random, indexDims(random, dims, at), dims[at]);
  return {
    inputs: [x, indices],
    attributes: random.next() < 0.2 && at === 0 ? {} : { axis },
    opset: random.pick([11, 13]),
  };
};

export const gatherND: Generator = (random) => {
  const dims = fullDims(random, 1, 4);
  const opset = random.pick([11, 12, 13]);
  const batch_dims = opset < 12 ? 0 : random.integer(0, dims.length - 1);
  const depth = random.integer(1, dims.length - batch_dims);
  const outer = [...dims.slice(0, batch_dims), ...fullDims(random, 0, 2)];
  const named = dims.slice(batch_dims, batch_dims + depth);
  return {
    inputs: [
      randomTensor(random, random.pick(INDEXED), dims),
      asInt64(indicesOf(random, [...outer, depth], named)),
    ],
    attributes: batch_dims > 0 ? { batch_dims } : {},
    opset,
  };
};

function reductionOf(random: Random, opset: number): Attributes {
  const names = opset < 16 ? [] : opset < 18 ? ['add', 'mul'] : ['add', 'mul', 'max', 'min'];
  return names.length > 0 && random.next() < 0.6 ? { reduction: random.pick(names) } : {};
}

export const scatterElements =
  (opsets: readonly number[]): Generator =>
  (random) => {
    const opset = random.pick(opsets);
    const attributes = reductionOf(random, opset);
    const dims = fullDims(random, 1, 4);
    const axis = axisOf(random, dims.length);
    const at = axis < 0 ? axis + dims.length : axis;
    const own = indexDims(random, dims, at);
    const dtype = attributes.reduction
      ? random.pick(['float32', 'int32', 'int64'] as const)
      : random.pick(INDEXED);
    const inputs = [
      randomTensor(random, dtype, dims),
      indicesOf(random, own, dims[at]),
      randomTensor(random, dtype, own),
    ];
    return { inputs, attributes: { ...attributes, axis }, opset };
  };

export const scatterND: Generator = (random) => {
  const opset = random.pick([11, 13, 16, 18]);
  const attributes = reductionOf(random, opset);
  const dims = fullDims(random, 1, 4);
  const depth = random.integer(1, dims.length);
  const outer = fullDims(random, 0, 2);
  const indices = asInt64(indicesOf(random, [...outer, depth], dims.slice(0, depth)));
  const dtype = attributes.reduction
    ? random.pick(['float32', 'int32', 'int64'] as const)
    : random.pick(INDEXED);
  // Products of many 64-bit integers leave the 32 bits that they are computed in.
  const kind = attributes.reduction === 'mul' && dtype === 'int64' ? 'float32' : dtype;
  const updates = randomTensor(random, kind, [...outer, ...dims.slice(depth)]);
  return { inputs: [randomTensor(random, kind, dims), indices, updates], attributes, opset };
};

export const topK: Generator = (random) => {
  const opset = random.pick([9, 10, 11]);
  const dims = fullDims(random, 1, 4);
  const axis = axisOf(random, dims.length);
  const k = random.integer(1, dims[axis < 0 ? axis + dims.length : axis]);
  const dtype: OnnxDType = opset < 11 ? 'float32' : random.pick(['float32', 'int64', 'int32'] as const);
  const own = randomTensor(random, dtype, dims);
  // Whole numbers tie.
  const x =
    dtype === 'float32' && random.next() < 0.5
      ? { ...own, data: (own.data as Float32Array).map(Math.round) }
      : own;
  if (opset < 10) return { inputs: [x as OnnxTensor], attributes: { axis, k }, opset, outputs: 2 };
  const attributes: Attributes =
    opset < 11 || random.next() < 0.3 ? { axis } : { axis, largest: random.integer(0, 1) };
  return { inputs: [x as OnnxTensor, int64s(k)], attributes, opset, outputs: 2 };
};

export const cumSum: Generator = (random) => {
  const dims = fullDims(random, 1, 4);
  if (random.next() < 0.3) dims[0] = random.integer(5, 20);
  const attributes = { exclusive: random.integer(0, 1), reverse: random.integer(0, 1) };
  const x = randomTensor(random, random.pick(['float32', 'int64', 'int32'] as const), dims);
  return { inputs: [x, int64(axisOf(random, dims.length))], attributes, opset: random.pick([11, 14]) };
};

export const trilu: Generator = (random) => {
  const x = anyType(random, anyDims(random, 2, 4));
  const own = x.dtype === 'float16' || x.dtype === 'int32' ? float32(random, x.dims) : x;
  return {
    inputs: random.next() < 0.3 ? [own] : [own, int64(random.integer(-3, 3))],
    attributes: random.next() < 0.3 ? {} : { upper: random.integer(0, 1) },
    opset: 14,
  };
};

export const oneHot: Generator = (random) => {
  // ONNX Runtime takes no scalar.
  const dims = anyDims(random, 1, 3);
  const depth = random.integer(1, 5);
  const values = randomTensor(random, random.pick(['float32', 'int64'] as const), [2]);
  const indices = asInt64(indicesOf(random, dims, depth + 1));
  const axis = random.next() < 0.3 ? {} : { axis: axisOf(random, dims.length + 1) };
  return { inputs: [indices, int64(depth), values], attributes: axis, opset: random.pick([9, 11]) };
};

export const eyeLike: Generator = (random) => ({
  inputs: [randomTensor(random, random.pick(['float32', 'int64', 'int32'] as const), fullDims(random, 2, 2))],
  attributes: random.pick<Attributes>([{}, { k: 1 }, { k: -2, dtype: 1 }, { dtype: 7 }]),
  opset: 9,
});

export const reverseSequence: Generator = (random) => {
  const dims = fullDims(random, 2, 4);
  const batch_axis = random.integer(0, 1);
  const lengths = Array.from({ length: dims[batch_axis] }, () => random.integer(1, dims[1 - batch_axis]));
  return {
    inputs: [randomTensor(random, random.pick(['float32', 'int64'] as const), dims), int64s(...lengths)],
    attributes: batch_axis === 1 && random.next() < 0.5 ? {} : { batch_axis, time_axis: 1 - batch_axis },
    opset: 10,
  };
};

export const centerCropPad: Generator = (random) => {
  const dims = fullDims(random, 1, 4);
  const axes = subset(random, dims.length);
  const named = axes.length > 0 ? axes : [...dims.keys()];
  const inputs = [float32(random, dims), int64s(...named.map(() => random.integer(1, 6)))];
  return { inputs, attributes: axes.length > 0 ? { axes } : {}, opset: 18 };
};

export const compress: Generator = (random) => {
  const dims = fullDims(random, 1, 4);
  const axis = axisOf(random, dims.length);
  const whole = random.next() < 0.3;
  const length = whole ? dims.reduce((a, b) => a * b, 1) : dims[axis < 0 ? axis + dims.length : axis];
  const condition = randomTensor(random, 'bool', [random.integer(1, length)]);
  return {
    inputs: [randomTensor(random, random.pick(INDEXED), dims), condition],
    attributes: whole ? {} : { axis },
    opset: random.pick([9, 11]),
  };
};

export const nonZero: Generator = (random) => {
  const dims = fullDims(random, 1, 4);
  const x = randomTensor(random, random.pick(['bool', 'int64', 'float32'] as const), dims);
  return { inputs: [x], opset: random.pick([9, 13]) };
};
