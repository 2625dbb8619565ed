import { check, LloydError } from '../gpu/errors.ts';

/** The typed array that holds a tensor's elements, by dtype. The 16-bit floats are held as their bits. */
export interface DTypeArrays {
  float32: Float32Array;
  float64: Float64Array;
  float16: Uint16Array;
  bfloat16: Uint16Array;
  int8: Int8Array;
  uint8: Uint8Array;
  int16: Int16Array;
  uint16: Uint16Array;
  int32: Int32Array;
  uint32: Uint32Array;
  int64: BigInt64Array;
  uint64: BigUint64Array;
  bool: Uint8Array;
  int4: Int8Array;
  int2: Int8Array;
  uint4: Uint8Array;
  uint2: Uint8Array;
}

/** ONNX's dtype names in lower case. */
export type DType = keyof DTypeArrays;

/**
 * A tensor outside the GPU.
 *
 * - `dtype`: ONNX's name in lower case.
 * - `dims`: the shape, row-major; `[]` is a scalar.
 * - `data`: one entry an element, `product(dims)` of them. Sub-byte dtypes take a byte an element here,
 *   float16 and bfloat16 are their bits in a Uint16Array, bool is 0 or 1.
 *
 * @example
 * const bias: Tensor<'float32'> = { dtype: 'float32', dims: [3], data: new Float32Array([0.5, 0, -0.5]) };
 */
export interface Tensor<D extends DType = DType> {
  dtype: D;
  dims: number[];
  data: DTypeArrays[D];
}

/** The typed-array constructor behind each dtype. */
export const DTYPE_ARRAYS = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
  int4: Int8Array,
  int2: Int8Array,
  uint4: Uint8Array,
  uint2: Uint8Array,
} as const satisfies { [D in DType]: unknown };

/**
 * The number of elements of a shape.
 *
 * @param dims non-negative integers; `[]` is a scalar, one element
 * @throws LloydError when a dimension is not a non-negative integer, or the product passes 2^53
 * @example
 * elementCount([512, 256, 3, 3]); // 1179648
 */
export function elementCount(dims: readonly number[]): number {
  let count = 1;
  for (const dim of dims) {
    check(Number.isSafeInteger(dim) && dim >= 0, 'a dimension must be a non-negative integer', dim);
    count *= dim;
  }
  check(Number.isSafeInteger(count), 'a tensor must have fewer than 2^53 elements', [...dims]);
  return count;
}

/**
 * `byteLength` bytes at `byteOffset` of `bytes` as the dtype's typed array: a view of the same memory where the
 * offset is aligned to the element, a copy where it is not.
 */
export function arrayOver<D extends DType>(
  dtype: D,
  bytes: Uint8Array,
  byteOffset: number,
  count: number,
): DTypeArrays[D] {
  const made = viewOver(DTYPE_ARRAYS[dtype] as ViewType<DTypeArrays[DType]>, bytes, byteOffset, count);
  return made as DTypeArrays[D];
}

/** A typed array's constructor over a buffer. */
export interface ViewType<T> {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBuffer, byteOffset: number, length: number): T;
}

/** The same by the array's type. */
export function viewOver<T>(type: ViewType<T>, bytes: Uint8Array, byteOffset: number, count: number): T {
  const start = bytes.byteOffset + byteOffset;
  if (start % type.BYTES_PER_ELEMENT === 0) return new type(bytes.buffer as ArrayBuffer, start, count);
  // Not bytes.slice(): Node's Buffer overrides it to return a view.
  const copy = Uint8Array.from(bytes.subarray(byteOffset, byteOffset + count * type.BYTES_PER_ELEMENT));
  return new type(copy.buffer, 0, count);
}

let halfBits: Uint32Array | undefined;

/** The float32 bits of each of the 65,536 halves: a 256 KiB table decodes ten million weights far quicker than arithmetic. */
function halfTable(): Uint32Array {
  if (halfBits) return halfBits;
  const table = new Uint32Array(65536);
  const values = new Float32Array(table.buffer);
  for (let half = 0; half < 65536; half++) {
    const sign = (half & 0x8000) << 16;
    const exponent = (half >>> 10) & 31;
    const mantissa = half & 0x3ff;
    if (exponent === 0) {
      values[half] = mantissa * 2 ** -24;
      table[half] |= sign;
    } else {
      table[half] = sign | ((exponent === 31 ? 255 : exponent + 112) << 23) | (mantissa << 13);
    }
  }
  halfBits = table;
  return table;
}

/**
 * Decodes IEEE binary16, exactly: every half is a float32. NaN payloads and signs survive.
 *
 * @param bits binary16 bits, one an element
 * @returns a new Float32Array of the same length
 * @example
 * float16ToFloat32(new Uint16Array([0x3c00, 0x0001])); // Float32Array [1, 5.960464477539063e-8]
 */
export function float16ToFloat32(bits: Uint16Array): Float32Array<ArrayBuffer> {
  const table = halfTable();
  const words = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) words[i] = table[bits[i]];
  return new Float32Array(words.buffer);
}

/**
 * Encodes as IEEE binary16, rounding to nearest even: 65520 and above become infinity, subnormals are kept,
 * NaN stays NaN with the top of its payload.
 *
 * @param values float32, one an element
 * @returns binary16 bits, a new Uint16Array of the same length
 * @example
 * float32ToFloat16(new Float32Array([1, 65519, 65520])); // Uint16Array [0x3c00, 0x7bff, 0x7c00]
 */
export function float32ToFloat16(values: Float32Array): Uint16Array<ArrayBuffer> {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const bits = new Uint16Array(values.length);
  for (let i = 0; i < words.length; i++) {
    const sign = (words[i] >>> 16) & 0x8000;
    const magnitude = words[i] & 0x7fffffff;
    if (magnitude > 0x7f800000) {
      bits[i] = sign | 0x7c00 | ((magnitude >>> 13) & 0x3ff || 1);
    } else if (magnitude >= 0x477ff000) {
      bits[i] = sign | 0x7c00;
    } else if (magnitude >= 0x38800000) {
      bits[i] = sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
    } else if (magnitude > 0x33000000) {
      const shift = 126 - (magnitude >>> 23);
      const mantissa = (magnitude & 0x7fffff) | 0x800000;
      // A carry out of the mantissa lands in the exponent field, where it is the smallest normal: what rounding asks for.
      bits[i] = sign | ((mantissa + (1 << (shift - 1)) - 1 + ((mantissa >>> shift) & 1)) >>> shift);
    } else {
      bits[i] = sign;
    }
  }
  return bits;
}

/**
 * A tensor's elements as float32, in the same order. A float32 tensor's own array is returned, not a copy.
 *
 * float16 and bfloat16 are exact; float64, int32, uint32, int64 and uint64 round to nearest even.
 *
 * @param tensor any dtype
 * @throws LloydError for a dtype this library does not know
 * @example
 * toFloat32({ dtype: 'float16', dims: [1], data: new Uint16Array([0x3c00]) }); // Float32Array [1]
 */
export function toFloat32(tensor: Tensor): Float32Array {
  const { dtype, data } = tensor;
  if (dtype === 'float32') return data as Float32Array;
  if (dtype === 'float16') return float16ToFloat32(data as Uint16Array);
  if (dtype === 'bfloat16') {
    const words = Uint32Array.from(data as Uint16Array, (bits) => bits << 16);
    return new Float32Array(words.buffer);
  }
  if (dtype === 'int64' || dtype === 'uint64') {
    return Float32Array.from(data as BigInt64Array, (value) => roundedToFloat32(value));
  }
  if (!(dtype in DTYPE_ARRAYS)) {
    throw new LloydError(
      'a dtype must be a known one',
      dtype,
      `use one of ${Object.keys(DTYPE_ARRAYS).join(', ')}`,
    );
  }
  return Float32Array.from(data as Float64Array);
}

/** Through float64 a 64-bit integer would round twice; setting the lowest kept bit where others were dropped makes it once. */
function roundedToFloat32(value: bigint): number {
  const magnitude = value < 0n ? -value : value;
  const spare = BigInt(Math.max(0, magnitude.toString(2).length - 30));
  const kept = (magnitude >> spare) | (magnitude & ((1n << spare) - 1n) ? 1n : 0n);
  const rounded = Math.fround(Number(kept)) * 2 ** Number(spare);
  return value < 0n ? -rounded : rounded;
}
