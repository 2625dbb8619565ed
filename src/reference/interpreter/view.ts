// Operators that only change dims, or need to know no more than them: https://onnx.ai/onnx/operators/.
import { axisOf, type Definition } from './call.ts';
import { integers, make, sizeOf, type Value } from './value.ts';

const viewed = (x: Value, dims: readonly number[]): Value[] => [{ dtype: x.dtype, dims, data: x.data }];

/** 0 copies a dimension unless allowzero, -1 is what is left. */
const reshape: Definition = (call) => {
  const x = call.input(0);
  const zero = call.integer('allowzero', 0) === 1;
  const asked = Array.from(call.input(1).data, (size, i) => (size === 0 && !zero ? x.dims[i] : size));
  const others = sizeOf(asked.filter((size) => size !== -1));
  const left = others === 0 ? 0 : sizeOf(x.dims) / others;
  return viewed(
    x,
    asked.map((size) => (size === -1 ? left : size)),
  );
};

const flatten: Definition = (call) => {
  const x = call.input(0);
  const axis = axisOf(call.integer('axis', 1), x.dims.length);
  return viewed(x, [sizeOf(x.dims.slice(0, axis)), sizeOf(x.dims.slice(axis))]);
};

const squeeze: Definition = (call) => {
  const x = call.input(0);
  const axes = call.moved('axes', 1, 13)?.map((axis) => axisOf(axis, x.dims.length));
  return viewed(
    x,
    x.dims.filter((size, i) => (axes ? !axes.includes(i) : size !== 1)),
  );
};

const unsqueeze: Definition = (call) => {
  const x = call.input(0);
  const given = call.moved('axes', 1, 13)!;
  const rank = x.dims.length + given.length;
  const axes = given.map((axis) => axisOf(axis, rank));
  const dims: number[] = [];
  for (let i = 0, own = 0; i < rank; i++) dims.push(axes.includes(i) ? 1 : x.dims[own++]);
  return viewed(x, dims);
};

const identity: Definition = (call) => [call.input(0)];

/** Nothing is dropped in inference; before opset 10 the mask had the dtype of the data. */
const dropout: Definition = (call) => {
  const x = call.input(0);
  return [x, make(call.opset < 10 ? x.dtype : 'bool', x.dims, () => 1)];
};

const shape: Definition = (call) => {
  const { dims } = call.input(0);
  const from = (name: string, fallback: number) => {
    const at = axisOf(call.integer(name, fallback), dims.length);
    return Math.min(dims.length, Math.max(0, at));
  };
  return [integers(dims.slice(from('start', 0), from('end', dims.length)))];
};

const size: Definition = (call) => [integers([sizeOf(call.input(0).dims)], [])];

const constant: Definition = (call) => {
  const tensor = call.tensor('value');
  if (tensor) return [tensor];
  const [whole, float] = [call.list('value_ints'), call.list('value_floats')];
  if (whole) return [integers(whole)];
  if (float) return [make('float32', [float.length], (_, i) => Math.fround(float[i]))];
  if (call.has('value_int')) return [integers([call.integer('value_int', 0)], [])];
  return [make('float32', [], () => call.float('value_float', 0))];
};

const constantOfShape: Definition = (call) => {
  const value = call.tensor('value');
  return [make(value?.dtype ?? 'float32', Array.from(call.input(0).data), () => value?.data[0] ?? 0)];
};

const range: Definition = (call) => {
  const [start, limit, delta] = [0, 1, 2].map((place) => call.input(place).data[0]);
  const count = Math.max(0, Math.ceil((limit - start) / delta));
  return [make(call.input(0).dtype, [count], (_, i) => start + i * delta)];
};

export const views: Readonly<Record<string, Definition>> = {
  Reshape: reshape,
  Flatten: flatten,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Identity: identity,
  Dropout: dropout,
  Shape: shape,
  Size: size,
  Constant: constant,
  ConstantOfShape: constantOfShape,
  Range: range,
};
