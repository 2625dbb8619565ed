/** dtypes of tensors at level 2 and in `lloyd/onnx`: ONNX's names in lower case. */
export type DType =
  | 'float32'
  | 'float16'
  | 'int8'
  | 'uint8'
  | 'int16'
  | 'uint16'
  | 'int32'
  | 'uint32'
  | 'int4'
  | 'uint4'
  | 'int2'
  | 'uint2'
  | 'bool';

/** Array types that carry tensor elements. */
export type TensorData =
  | Float32Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array;

/**
 * A tensor on the host, row-major. Sub-byte types hold one element a byte (int4/int2: Int8Array, uint4/uint2:
 * Uint8Array), float16 its bits in a Uint16Array.
 */
export interface Tensor {
  dtype: DType;
  dims: readonly number[];
  data: TensorData;
}
