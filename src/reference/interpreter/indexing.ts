// Operators whose elements name others' places: https://onnx.ai/onnx/operators/.
import { axisOf, type Call, type Definition } from './call.ts';
import { coordinatesOf, elementAt, integers, make, placeOf, sizeOf, stored, type Value } from './value.ts';

const replaced = <T>(list: readonly T[], at: number, value: T) =>
  list.map((own, i) => (i === at ? value : own));

const gatherElements: Definition = (call) => {
  const [x, indices] = [call.input(0), call.input(1)];
  const axis = axisOf(call.integer('axis', 0), x.dims.length);
  return [
    make(x.dtype, indices.dims, (at, place) =>
      elementAt(x, replaced(at, axis, axisOf(indices.data[place], x.dims[axis]))),
    ),
  ];
};

/** The coordinates that a row of indices names. */
const rowAt = (indices: Value, row: number, dims: readonly number[]) => {
  const depth = indices.dims.at(-1)!;
  return Array.from(indices.data.subarray(row * depth, (row + 1) * depth), (at, i) => axisOf(at, dims[i]));
};

const gatherND: Definition = (call) => {
  const [x, indices] = [call.input(0), call.input(1)];
  const batch = call.integer('batch_dims', 0);
  const outer = indices.dims.slice(0, -1);
  const dims = [...outer, ...x.dims.slice(batch + indices.dims.at(-1)!)];
  return [
    make(x.dtype, dims, (at) => {
      const named = rowAt(indices, placeOf(at.slice(0, outer.length), outer), x.dims.slice(batch));
      return elementAt(x, [...at.slice(0, batch), ...named, ...at.slice(outer.length)]);
    }),
  ];
};

function joined(call: Call, dtype: string, old: number, update: number): number {
  switch (call.text('reduction', 'none')) {
    case 'add':
      return stored(dtype, old + update);
    case 'mul':
      return stored(dtype, dtype.startsWith('float') ? old * update : Math.imul(old, update));
    case 'max':
      return Math.max(old, update);
    case 'min':
      return Math.min(old, update);
    default:
      return update;
  }
}

const scatterElements: Definition = (call) => {
  const [x, indices, updates] = [call.input(0), call.input(1), call.input(2)];
  const axis = axisOf(call.integer('axis', 0), x.dims.length);
  const data = Float64Array.from(x.data);
  for (const [i, index] of indices.data.entries()) {
    const at = coordinatesOf(i, indices.dims);
    const to = placeOf(replaced(at, axis, axisOf(index, x.dims[axis])), x.dims);
    data[to] = joined(call, x.dtype, data[to], updates.data[i]);
  }
  return [{ ...x, data }];
};

const scatterND: Definition = (call) => {
  const [x, indices, updates] = [call.input(0), call.input(1), call.input(2)];
  const depth = indices.dims.at(-1)!;
  const size = sizeOf(x.dims.slice(depth));
  const data = Float64Array.from(x.data);
  for (let row = 0; row < sizeOf(indices.dims.slice(0, -1)); row++) {
    const start = placeOf(rowAt(indices, row, x.dims), x.dims.slice(0, depth)) * size;
    for (let i = 0; i < size; i++) {
      data[start + i] = joined(call, x.dtype, data[start + i], updates.data[row * size + i]);
    }
  }
  return [{ ...x, data }];
};

/** Of equal elements the first comes first. */
const topK: Definition = (call) => {
  const x = call.input(0);
  const axis = axisOf(call.integer('axis', -1), x.dims.length);
  const k = call.opset < 10 ? call.integer('k', 0) : call.input(1).data[0];
  const sign = call.integer('largest', 1) === 1 ? -1 : 1;
  const dims = replaced(x.dims, axis, k);
  const orders = new Map<string, number[]>();
  const placeAt = (at: readonly number[]) => {
    const key = `${replaced(at, axis, 0)}`;
    const valueAt = (i: number) => elementAt(x, replaced(at, axis, i));
    if (!orders.has(key)) {
      const order = Array.from({ length: x.dims[axis] }, (_, i) => i);
      orders.set(
        key,
        order.sort((i, j) => sign * (valueAt(i) - valueAt(j)) || i - j),
      );
    }
    return orders.get(key)![at[axis]];
  };
  return [
    make(x.dtype, dims, (at) => elementAt(x, replaced(at, axis, placeAt(at)))),
    make('int64', dims, placeAt),
  ];
};

const cumSum: Definition = (call) => {
  const x = call.input(0);
  const axis = axisOf(call.input(1).data[0], x.dims.length);
  const exclusive = call.integer('exclusive', 0) === 1;
  const reverse = call.integer('reverse', 0) === 1;
  return [
    make(x.dtype, x.dims, (at) => {
      let sum = 0;
      for (let i = 0; i < x.dims[axis]; i++) {
        const before = reverse ? i > at[axis] : i < at[axis];
        if (before || (i === at[axis] && !exclusive)) sum += elementAt(x, replaced(at, axis, i));
      }
      return sum;
    }),
  ];
};

const trilu: Definition = (call) => {
  const x = call.input(0);
  const k = call.optional(1)?.data[0] ?? 0;
  const upper = call.integer('upper', 1) === 1;
  return [
    make(x.dtype, x.dims, (at, place) => {
      const [row, column] = at.slice(-2);
      return (upper ? column >= row + k : column <= row + k) ? x.data[place] : 0;
    }),
  ];
};

const oneHot: Definition = (call) => {
  const [indices, values] = [call.input(0), call.input(2)];
  const depth = Math.trunc(call.input(1).data[0]);
  const axis = axisOf(call.integer('axis', -1), indices.dims.length + 1);
  return [
    make(values.dtype, indices.dims.toSpliced(axis, 0, depth), (at) => {
      const index = Math.trunc(elementAt(indices, at.toSpliced(axis, 1)));
      return values.data[Number(axisOf(index, depth) === at[axis])];
    }),
  ];
};

const eyeLike: Definition = (call) => {
  const x = call.input(0);
  const types: Readonly<Record<number, string>> = {
    1: 'float32',
    6: 'int32',
    7: 'int64',
    9: 'bool',
    10: 'float16',
  };
  const dtype = call.has('dtype') ? types[call.integer('dtype', 1)] : x.dtype;
  const k = call.integer('k', 0);
  return [make(dtype, x.dims, ([row, column]) => Number(column === row + k))];
};

const reverseSequence: Definition = (call) => {
  const [x, lengths] = [call.input(0), call.input(1)];
  const [batch, time] = [call.integer('batch_axis', 1), call.integer('time_axis', 0)];
  return [
    make(x.dtype, x.dims, (at) => {
      const length = lengths.data[at[batch]];
      return elementAt(x, at[time] < length ? replaced(at, time, length - 1 - at[time]) : at);
    }),
  ];
};

const centerCropPad: Definition = (call) => {
  const x = call.input(0);
  const axes = (call.list('axes') ?? x.dims.map((_, i) => i)).map((axis) => axisOf(axis, x.dims.length));
  const dims = x.dims.map((size, axis) =>
    axes.includes(axis) ? call.input(1).data[axes.indexOf(axis)] : size,
  );
  const starts = x.dims.map((size, axis) =>
    size > dims[axis] ? Math.floor((size - dims[axis]) / 2) : -Math.floor((dims[axis] - size) / 2),
  );
  return [
    make(x.dtype, dims, (at) => {
      const from = at.map((place, axis) => place + starts[axis]);
      return from.every((place, axis) => place >= 0 && place < x.dims[axis]) ? elementAt(x, from) : 0;
    }),
  ];
};

const compress: Definition = (call) => {
  const x = call.input(0);
  const chosen = [...call.input(1).data].flatMap((value, i) => (value ? [i] : []));
  if (!call.has('axis')) return [make(x.dtype, [chosen.length], ([at]) => x.data[chosen[at]])];
  const axis = axisOf(call.integer('axis', 0), x.dims.length);
  return [
    make(x.dtype, replaced(x.dims, axis, chosen.length), (at) =>
      elementAt(x, replaced(at, axis, chosen[at[axis]])),
    ),
  ];
};

const nonZero: Definition = (call) => {
  const x = call.input(0);
  const found = [...x.data.keys()].filter((i) => x.data[i] !== 0).map((i) => coordinatesOf(i, x.dims));
  return [
    integers(
      x.dims.flatMap((_, axis) => found.map((at) => at[axis])),
      [x.dims.length, found.length],
    ),
  ];
};

export const indexing: Readonly<Record<string, Definition>> = {
  GatherElements: gatherElements,
  GatherND: gatherND,
  ScatterElements: scatterElements,
  Scatter: scatterElements,
  ScatterND: scatterND,
  TopK: topK,
  CumSum: cumSum,
  Trilu: trilu,
  OneHot: oneHot,
  EyeLike: eyeLike,
  ReverseSequence: reverseSequence,
  CenterCropPad: centerCropPad,
  Compress: compress,
  NonZero: nonZero,
};
