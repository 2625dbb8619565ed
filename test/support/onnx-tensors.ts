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
export const zeros = (dtype: 'int8' | 'uint8' | 'float32', ...dims: number[]): Tensor => {
  const length = dims.reduce((a, b) => a * b, 1);
  const data =
    dtype === 'int8'
      ? new Int8Array(length)
      : dtype === 'uint8'
        ? new Uint8Array(length)
        : new Float32Array(length);
  return { dtype, dims, data };
};
