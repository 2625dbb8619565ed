import type { Tensor } from '../../src/gpu/tensor.ts';

/** Small tensors for tests of operators: scalars from one value, vectors from more. */

export const f32 = (...values: number[]): Tensor => ({
  dtype: 'float32',
  dims: values.length > 1 ? [values.length] : [],
  data: Float32Array.from(values),
});
export const i8 = (...values: number[]): Tensor => ({
  dtype: 'int8',
  dims: values.length > 1 ? [values.length] : [],
  data: Int8Array.from(values),
});
export const u8 = (...values: number[]): Tensor => ({
  dtype: 'uint8',
  dims: values.length > 1 ? [values.length] : [],
  data: Uint8Array.from(values),
});
export const reshape = (tensor: Tensor, ...dims: number[]): Tensor => ({ ...tensor, dims });
const ARRAYS = {
  ...{ int8: Int8Array, uint8: Uint8Array, int16: Int16Array, int32: Int32Array, float32: Float32Array },
};
export const zeros = (dtype: keyof typeof ARRAYS, ...dims: number[]): Tensor => ({
  dtype,
  dims,
  data: new ARRAYS[dtype](dims.reduce((a, b) => a * b, 1)),
});
