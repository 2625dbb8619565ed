import type { Attributes, OnnxTensor } from '../../src/graph/ops/tensors.ts';
import {
  anyDims,
  axisOf,
  broadcasting,
  float32,
  float32s,
  fullDims,
  type Generator,
  type Random,
  shuffled,
  subset,
} from './cases-of.ts';
import { int64, int64s, randomTensor } from './planned.ts';

export const anyType = (random: Random, dims: readonly number[]) =>
  randomTensor(random, random.pick(['float32', 'int64', 'int32', 'bool', 'float16'] as const), dims);

export const transpose: Generator = (random) => {
  const x = anyType(random, anyDims(random));
  const perm = shuffled(random, [...x.dims.keys()]);
  return { inputs: [x], attributes: random.next() < 0.8 && perm.length > 0 ? { perm } : {}, opset: 13 };
};

export const slice: Generator = (random) => {
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

export const split: Generator = (random) => {
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

export const concat: Generator = (random) => {
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

export const pad: Generator = (random) => {
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

export const expand: Generator = (random) => {
  const dims = anyDims(random);
  const x = anyType(random, broadcasting(random, dims));
  return { inputs: [x, int64s(...dims.map((size) => (random.next() < 0.2 ? 1 : size)))], opset: 13 };
};

export const tile: Generator = (random) => {
  const dims = anyDims(random, 1, 4);
  return { inputs: [float32(random, dims), int64s(...dims.map(() => random.integer(0, 3)))], opset: 13 };
};

export const gather: Generator = (random) => {
  const x = anyType(random, fullDims(random, 1, 4));
  const axis = axisOf(random, x.dims.length);
  const size = x.dims[axis < 0 ? axis + x.dims.length : axis];
  const dims = anyDims(random, 0, 2);
  const count = dims.reduce((a, b) => a * b, 1);
  const data = BigInt64Array.from({ length: count }, () => BigInt(random.integer(-size, size - 1)));
  return { inputs: [x, { dtype: 'int64', dims, data }], attributes: { axis }, opset: 13 };
};

export const blocks =
  (toDepth: boolean): Generator =>
  (random) => {
    const blocksize = random.integer(1, 3);
    const [n, c, h, w] = [1, 2, 3, 4].map(() => random.integer(1, 3));
    const dims = toDepth ? [n, c, h * blocksize, w * blocksize] : [n, c * blocksize ** 2, h, w];
    const mode: Attributes = toDepth ? {} : { mode: random.pick(['DCR', 'CRD']) };
    return { inputs: [float32(random, dims)], attributes: { blocksize, ...mode }, opset: 13 };
  };

export const reshape: Generator = (random) => {
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

export const flatten: Generator = (random) => {
  const x = float32(random, anyDims(random, 1));
  const axis = random.integer(-x.dims.length, x.dims.length);
  return { inputs: [x], attributes: random.next() < 0.8 ? { axis } : {}, opset: random.pick([11, 13]) };
};

export const squeeze: Generator = (random) => {
  const opset = random.pick([11, 13]);
  const x = anyType(random, anyDims(random));
  const ones = x.dims.flatMap((size, i) =>
    size === 1 && random.next() < 0.7 ? [i - random.integer(0, 1) * x.dims.length] : [],
  );
  if (ones.length === 0) return { inputs: [x], opset };
  if (opset < 13) return { inputs: [x], attributes: { axes: ones }, opset };
  return { inputs: [x, int64s(...ones)], opset };
};

export const unsqueeze: Generator = (random) => {
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

export const shape: Generator = (random) => {
  const opset = random.pick([13, 15]);
  const attributes: Attributes =
    opset < 15
      ? {}
      : { start: random.integer(-6, 6), ...(random.next() < 0.5 && { end: random.integer(-6, 6) }) };
  return { inputs: [anyType(random, anyDims(random))], attributes, opset };
};

export const constant: Generator = (random) => ({
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

export const constantOfShape: Generator = (random) => ({
  inputs: [int64s(...anyDims(random))],
  attributes: random.pick<Attributes>([{}, { value: int64s(-3) }, { value: float32s(0.3) }]),
  opset: 13,
});

export const range: Generator = (random) => {
  const [start, limit, delta] = [random.integer(-5, 5), random.integer(-9, 9), random.pick([1, 2, -1, -3])];
  if (random.next() < 0.5) return { inputs: [start, limit, delta].map(int64), opset: 13 };
  const scalar = (x: number) => ({ ...float32s(x), dims: [] }) as OnnxTensor;
  return { inputs: [start / 2, limit / 2, delta / 4].map(scalar), opset: 13 };
};
