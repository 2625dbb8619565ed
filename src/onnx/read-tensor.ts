import { check } from '../gpu/errors.ts';
import { MOST_ELEMENTS } from '../graph/ops/node.ts';
import { type OnnxTensor, sizeOf } from '../graph/ops/tensors.ts';
import { ARRAYS, bitsOf, DTYPE_NUMBERS, isSigned, type OnnxDType } from '../graph/ops/value.ts';
import { viewOver } from '../io/tensor.ts';
import type { TensorProto } from './proto/messages.ts';
import type { Packed } from './proto/wire.ts';
import { DAMAGED } from './refusals.ts';

/** Files beside the model that hold its large tensors, by the location that the model gives. */
export type ExternalFiles = ReadonlyMap<string, Uint8Array>;

/** TensorProto.DataType of what only its exact counterpart stands for, and of what has none. */
const DOUBLE = 11;
const UINT64 = 13;
const NAMES: Readonly<Record<number, string>> = {
  ...{ 0: 'no dtype', 8: 'string', 11: 'float64', 13: 'uint64', 14: 'complex64', 15: 'complex128' },
  ...{ 16: 'bfloat16', 17: 'float8e4m3fn', 18: 'float8e4m3fnuz', 19: 'float8e5m2', 20: 'float8e5m2fnuz' },
  ...{ 23: 'float4e2m1', 24: 'float8e8m0' },
};
/** What stands for a dtype that no operator here has. */
export const STAND_INS: Readonly<Record<number, number>> = { [DOUBLE]: 1, [UINT64]: 7 };
/** More dimensions than any operator has: a rank is no way to make objects out of bytes. */
export const MOST_DIMS = 64;

/**
 * A TensorProto.DataType by its name here.
 *
 * @throws LloydError for one that nothing here has, by the name that people know
 */
export function dtypeOf(label: string, type: number): OnnxDType {
  const dtype = DTYPE_NUMBERS[type];
  check(
    dtype,
    `${label} must have one of the dtypes ${Object.values(DTYPE_NUMBERS).join(', ')}`,
    NAMES[type] ?? `dtype ${type}`,
    'convert the model to float32 or float16',
  );
  return dtype;
}

/** @throws LloydError for more dimensions than any operator has */
export function checkRank(label: string, rank: number): void {
  check(rank <= MOST_DIMS, `${label} must have at most ${MOST_DIMS} dims`, rank, DAMAGED);
}

/**
 * A tensor of the file: a view of its bytes where they lie aligned and an element is one element, else a copy.
 *
 * float64 and uint64 become float32 and int64 where that changes no element: no operator here has them, and exporters
 * leave a few of them in shape arithmetic.
 *
 * @param label what an error calls it
 * @throws LloydError for a dtype that nothing here has, dims or data that contradict each other, external data that
 *   isn't there
 */
export function readTensor(label: string, proto: TensorProto, files: ExternalFiles): OnnxTensor {
  check(
    !proto.segmented,
    `${label} must be in one piece`,
    'a segment of a tensor',
    'save the model without segments',
  );
  const dims = dimsOf(label, proto.dims);
  const { type } = proto;
  if (type === DOUBLE || type === UINT64) return converted(label, proto, dims, files);
  const dtype = dtypeOf(label, type);
  const count = sizeOf(dims);
  const bits = widthOf(dtype);
  const raw = rawBytes(label, proto, dims, bits, files);
  if (bits < 8) return narrow(dtype, dims, raw ?? lowBytes(label, proto.ints32, count, bits));
  const tensor = {
    dtype,
    dims,
    data: raw ? viewOver(ARRAYS[dtype], raw, 0, count) : typed(label, proto, dtype, count),
  } as OnnxTensor;
  if (dtype === 'bool') {
    const other = (tensor.data as Uint8Array).find((value) => value > 1);
    check(other === undefined, `${label} must hold 0 and 1`, other, DAMAGED);
  }
  return tensor;
}

/** Bits of an element in the file. */
const widthOf = (dtype: OnnxDType) =>
  bitsOf(dtype) < 8 ? bitsOf(dtype) : 8 * ARRAYS[dtype].BYTES_PER_ELEMENT;

function dimsOf(label: string, packed: Packed): number[] {
  const dims: number[] = [];
  checkRank(label, packed.varintCount);
  packed.varints((low, high) => {
    check(
      high === 0 && low >= 0,
      `${label}: a dimension must be from 0 to 2^31 - 1`,
      high * 2 ** 32 + (low >>> 0),
      DAMAGED,
    );
    dims.push(low);
  });
  check(
    sizeOf(dims) <= MOST_ELEMENTS,
    `${label} must have at most ${MOST_ELEMENTS} elements`,
    dims,
    'split it: no buffer of a GPU holds more',
  );
  return dims;
}

/** A tensor's bytes in the order of raw_data, from the file or another one; null where its elements come typed. */
function rawBytes(
  label: string,
  { raw, elsewhere, external }: TensorProto,
  dims: readonly number[],
  bits: number,
  files: ExternalFiles,
): Uint8Array | null {
  const byteLength = Math.ceil((sizeOf(dims) * bits) / 8);
  if (elsewhere) return externalBytes(label, external ?? new Map(), byteLength, files);
  if (!raw) return null;
  check(
    raw.length === byteLength,
    `${label}: [${dims}] of ${bits} bits must take ${byteLength} bytes`,
    raw.length,
    DAMAGED,
  );
  return raw;
}

function externalBytes(
  label: string,
  entries: ReadonlyMap<string, string>,
  byteLength: number,
  files: ExternalFiles,
): Uint8Array {
  const location = externalLocation(label, entries);
  const file = files.get(location);
  check(file, `${label} lies in another file`, location, `pass externalData: { '${location}': its bytes }`);
  check(file instanceof Uint8Array, `externalData: ${location} must be a Uint8Array`, file, 'read the file');
  const entry = (key: string, fallback: number) => {
    const text = entries.get(key);
    if (text === undefined) return fallback;
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    check(Number.isSafeInteger(value), `${label}: external data's ${key} must be an integer`, text, DAMAGED);
    return value;
  };
  const offset = entry('offset', 0);
  const length = entry('length', byteLength);
  check(length === byteLength, `${label} must take ${byteLength} bytes of ${location}`, length, DAMAGED);
  check(
    offset + length <= file.length,
    `${label} must end within ${location}, which has ${file.length} bytes`,
    `${length} bytes from ${offset}`,
    'fetch the file again; it was cut off or belongs to another model',
  );
  return file.subarray(offset, offset + length);
}

/** The file that a tensor's data lies in: a path inside the model's own folder. */
export function externalLocation(label: string, entries: ReadonlyMap<string, string> | null): string {
  const location = entries?.get('location') ?? '';
  const parts = location.split('/');
  check(
    location !== '' && !parts.includes('..') && parts[0] !== '' && !/[\\:\0]/.test(location),
    `${label}: external data must lie in the model's folder`,
    location,
    'give a relative path without ..',
  );
  return parts.filter((part) => part !== '.' && part !== '').join('/');
}

/** Elements of a typed field, checked against the dims before an array is made. */
function typed(label: string, proto: TensorProto, dtype: OnnxDType, count: number): OnnxTensor['data'] {
  if (dtype === 'float32') {
    const { bytes } = proto.floats;
    expectCount(label, bytes.length / 4, count);
    return viewOver(Float32Array, bytes, 0, count);
  }
  if (dtype === 'int64') return wide(label, proto.ints64, count, new BigInt64Array(count));
  const unsigned = dtype === 'uint32';
  const packed = unsigned ? proto.uints64 : proto.ints32;
  expectCount(label, packed.varintCount, count);
  const made = new ARRAYS[dtype](count) as Int32Array;
  packed.varints((low, high, i) => {
    const value = unsigned ? low >>> 0 : low;
    made[i] = value;
    check(
      made[i] === value && (unsigned ? high === 0 : true),
      `${label} must hold ${dtype}`,
      unsigned ? high * 2 ** 32 + value : value,
      DAMAGED,
    );
  });
  return made;
}

function wide<T extends BigInt64Array | BigUint64Array>(
  label: string,
  packed: Packed,
  count: number,
  made: T,
): T {
  expectCount(label, packed.varintCount, count);
  const words = new Int32Array(made.buffer);
  packed.varints((low, high, i) => {
    words[2 * i] = low;
    words[2 * i + 1] = high;
  });
  return made;
}

function expectCount(label: string, given: number, count: number): void {
  check(given === count, `${label} must have the ${count} elements of its dims`, given, DAMAGED);
}

/** Packed elements that came one byte an int32. */
function lowBytes(label: string, packed: Packed, count: number, bits: number): Uint8Array {
  const byteLength = Math.ceil((count * bits) / 8);
  expectCount(label, packed.varintCount, byteLength);
  const bytes = new Uint8Array(byteLength);
  packed.varints((low, _, i) => {
    bytes[i] = low;
  });
  return bytes;
}

/** 2- and 4-bit elements, one a byte: the first lies in a byte's low bits. */
function narrow(dtype: OnnxDType, dims: number[], bytes: Uint8Array): OnnxTensor {
  const bits = widthOf(dtype);
  const [perByte, mask] = [8 / bits, (1 << bits) - 1];
  const data = isSigned(dtype) ? new Int8Array(sizeOf(dims)) : new Uint8Array(sizeOf(dims));
  const spare = 32 - bits;
  for (let i = 0; i < data.length; i++) {
    const code = (bytes[Math.floor(i / perByte)] >> (bits * (i % perByte))) & mask;
    data[i] = data instanceof Int8Array ? (code << spare) >> spare : code;
  }
  return { dtype, dims, data } as OnnxTensor;
}

/** float64 as float32 and uint64 as int64, where no element changes. */
function converted(label: string, proto: TensorProto, dims: number[], files: ExternalFiles): OnnxTensor {
  const count = sizeOf(dims);
  const raw = rawBytes(label, proto, dims, 64, files);
  const refuse = (name: string, to: string, value: number | bigint | undefined) =>
    check(
      value === undefined,
      `${label} is ${name}, and not every element is a ${to}`,
      value,
      'convert the model to float32',
    );
  if (proto.type === UINT64) {
    const from = raw
      ? viewOver(BigUint64Array, raw, 0, count)
      : wide(label, proto.uints64, count, new BigUint64Array(count));
    const most = from.find((value) => value >= 2n ** 63n);
    refuse('uint64', 'int64', most);
    return {
      dtype: 'int64',
      dims,
      data: new BigInt64Array(from.buffer as ArrayBuffer, from.byteOffset, count),
    };
  }
  if (!raw) expectCount(label, proto.doubles.bytes.length / 8, count);
  const from = viewOver(Float64Array, raw ?? proto.doubles.bytes, 0, count);
  const data = Float32Array.from(from);
  const at = data.findIndex((value, i) => !Object.is(value, from[i]));
  refuse('float64', 'float32', at < 0 ? undefined : from[at]);
  return { dtype: 'float32', dims, data };
}
