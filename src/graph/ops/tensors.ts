import type { DType, Tensor } from '../../gpu/tensor.ts';

/** Attribute values by ONNX's names; lists may be typed arrays. */
export type AttributeValue =
  | number
  | string
  | readonly number[]
  | readonly string[]
  | Int32Array
  | Float32Array
  | BigInt64Array
  | OnnxTensor
  | KeptAttribute;
/** An attribute that a file has and no operator here takes, a subgraph for one: its AttributeProto, for the way out. */
export interface KeptAttribute {
  /** What it is, for people. */
  kept: string;
  bytes: Uint8Array;
}
/** A node's attributes by ONNX's names. */
export type Attributes = Record<string, AttributeValue | undefined>;
/** Inputs by position; null, undefined or a short list leaves an optional one out. */
export type Inputs = readonly (OnnxTensor | null | undefined)[];

/** A tensor of 64-bit integers; operators compute them as int32, so each must fit it. */
export interface Int64Tensor {
  dtype: 'int64';
  dims: readonly number[];
  data: BigInt64Array;
}
/** A tensor of any dtype that an operator takes. */
export type OnnxTensor = Tensor | Int64Tensor;

/** Smallest and largest code of the integer types that quantize. */
export const CODE_RANGE: Partial<Record<DType, readonly [number, number]>> = {
  int2: [-2, 1],
  uint2: [0, 3],
  int4: [-8, 7],
  uint4: [0, 15],
  int8: [-128, 127],
  uint8: [0, 255],
  int16: [-32768, 32767],
  uint16: [0, 65535],
};

/** Product of the dimensions: 1 for a scalar. */
export const sizeOf = (dims: readonly number[]) => dims.reduce((product, size) => product * size, 1);

/** A float16's value from its bits. */
export function halfToFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 0x3ff;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24);
}
