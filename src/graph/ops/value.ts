import { check } from '../../gpu/errors.ts';
import type { DType, TensorData } from '../../gpu/tensor.ts';
import { floatToHalfReference } from '../../reference/quantize-linear-onnx.ts';
import { CODE_RANGE, halfToFloat, type OnnxTensor, sizeOf } from './tensors.ts';

/** dtypes that `lloyd/onnx` takes: those of a Tensor, and int64. */
export type OnnxDType = DType | 'int64';
/** What is known of an operator's input or output before anything runs; `data` where it is known then, too. */
export interface Value {
  dtype: OnnxDType;
  dims: readonly number[];
  data?: OnnxTensor['data'];
}

export const FLOATS: readonly OnnxDType[] = ['float32', 'float16'];
export const INTEGERS: readonly OnnxDType[] = [
  ...(['int8', 'uint8', 'int16', 'uint16', 'int32', 'uint32', 'int64'] as const),
];
export const SIGNED: readonly OnnxDType[] = ['int8', 'int16', 'int32', 'int64'];
export const NUMBERS: readonly OnnxDType[] = [...FLOATS, ...INTEGERS];
export const ANY: readonly OnnxDType[] = [...NUMBERS, 'bool', 'int4', 'uint4', 'int2', 'uint2'];
/** What shapes, axes and indices come as. */
export const INDICES: readonly OnnxDType[] = ['int64', 'int32'];

/** Bits of the integer types narrower than a word. */
const BITS: Partial<Record<OnnxDType, number>> = {
  ...{ int2: 2, uint2: 2, int4: 4, uint4: 4, int8: 8, uint8: 8, int16: 16, uint16: 16 },
};
export const bitsOf = (dtype: OnnxDType) => BITS[dtype] ?? 32;
export const isSigned = (dtype: OnnxDType) => dtype.startsWith('int');
export const isFloat = (dtype: OnnxDType) => FLOATS.includes(dtype);

/** How a value lies on the GPU while operators compute: a word an element. */
export type WordType = 'f32' | 'i32' | 'u32';
export type Words = Float32Array | Int32Array | Uint32Array;
export const wordTypeOf = (dtype: OnnxDType): WordType =>
  isFloat(dtype) ? 'f32' : dtype === 'uint32' ? 'u32' : 'i32';

interface DataArray {
  readonly BYTES_PER_ELEMENT: number;
  new (length: number): OnnxTensor['data'];
  new (buffer: ArrayBuffer, byteOffset: number, length: number): OnnxTensor['data'];
}
/** What holds a tensor's elements, sub-byte ones a byte each. */
export const ARRAYS: Record<OnnxDType, DataArray> = {
  ...{ float32: Float32Array, float16: Uint16Array, int32: Int32Array, uint32: Uint32Array },
  ...{ int8: Int8Array, uint8: Uint8Array, int16: Int16Array, uint16: Uint16Array, int64: BigInt64Array },
  ...{ int4: Int8Array, uint4: Uint8Array, int2: Int8Array, uint2: Uint8Array, bool: Uint8Array },
};

/** Whether a name is that of a dtype. */
export const isDType = (name: unknown): name is OnnxDType =>
  typeof name === 'string' && Object.hasOwn(ARRAYS, name);

/**
 * Checks what can be checked of one tensor alone: dtype, dims, kind and number of its elements, codes in range.
 *
 * @param label operator and input, for the message.
 */
export function checkTensor(label: string, tensor: OnnxTensor): void {
  const { dtype, dims, data } = tensor;
  check(isDType(dtype), `${label} must have one of the dtypes ${Object.keys(ARRAYS).join(', ')}`, dtype);
  check(
    Array.isArray(dims) && dims.every((size) => Number.isInteger(size) && size >= 0),
    `${label}.dims must be an array of integers`,
    dims,
  );
  check(
    data instanceof ARRAYS[dtype],
    `${label}.data must be a ${(ARRAYS[dtype] as unknown as { name: string }).name} for ${dtype}`,
    data,
  );
  check(
    data.length === sizeOf(dims),
    `${label}.data must have ${sizeOf(dims)} elements, as dims [${dims}] say`,
    data.length,
  );
  const range = dtype === 'bool' ? ([0, 1] as const) : CODE_RANGE[dtype as DType];
  if (!range || range[1] > 15) return;
  const outside = (data as TensorData).find((code) => code < range[0] || code > range[1]);
  check(outside === undefined, `${label} must hold codes from ${range[0]} to ${range[1]}`, outside);
}

/** A tensor's elements as words of the GPU; the same array where they are words already. */
export function toWords(label: string, { dtype, data }: OnnxTensor): Words {
  if (dtype === 'float32' || dtype === 'int32' || dtype === 'uint32') return data as Words;
  if (dtype === 'float16') return Float32Array.from(data as Uint16Array, halfToFloat);
  if (dtype !== 'int64') return Int32Array.from(data as Uint8Array);
  const outside = (data as BigInt64Array).find((value) => BigInt.asIntN(32, value) !== value);
  check(
    outside === undefined,
    `${label} must hold int64 values from -2^31 to 2^31 - 1: they are computed as int32`,
    outside,
  );
  return Int32Array.from(data as BigInt64Array, Number);
}

/** A tensor of `dtype` around words that the GPU wrote, or numbers; float16 rounds to nearest, ties to even. */
export function fromWords(dtype: OnnxDType, dims: readonly number[], words: ArrayLike<number>): OnnxTensor {
  const count = sizeOf(dims);
  if (dtype === 'int64') {
    const data = new BigInt64Array(count);
    for (let i = 0; i < count; i++) data[i] = BigInt(words[i]);
    return { dtype, dims: [...dims], data };
  }
  const data = new ARRAYS[dtype](count) as TensorData;
  if (dtype === 'float16') for (let i = 0; i < count; i++) data[i] = floatToHalfReference(words[i]);
  else data.set(words);
  return { dtype, dims: [...dims], data };
}

/** An integer in 64 bits; 2^63 is what a number makes of 2^63 - 1. */
export function int64Of(value: number | bigint): bigint {
  const exact = BigInt(value);
  return exact === 2n ** 63n ? exact - 1n : exact;
}

/** Elements of a value whose data is known, as numbers: 64-bit ones beyond 2^53 are rounded, float16 is decoded. */
export function numbersOf({ dtype, data }: Value): number[] {
  if (dtype === 'float16') return Array.from(data as Uint16Array, halfToFloat);
  return Array.from(data as ArrayLike<number | bigint>, Number);
}

/** TensorProto.DataType numbers of the dtypes. */
export const DTYPE_NUMBERS: Readonly<Record<number, OnnxDType>> = {
  ...{ 1: 'float32', 2: 'uint8', 3: 'int8', 4: 'uint16', 5: 'int16', 6: 'int32', 7: 'int64', 9: 'bool' },
  ...{ 10: 'float16', 12: 'uint32', 21: 'uint4', 22: 'int4', 25: 'uint2', 26: 'int2' },
};
