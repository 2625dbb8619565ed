import { quoted } from '../gpu/describe.ts';
import { check, LloydError } from '../gpu/errors.ts';
import { JsonReader } from './json-reader.ts';
import { arrayOver, DTYPE_ARRAYS, type DType, elementCount, type Tensor } from './tensor.ts';

const FROM_CODE: Record<string, DType> = {
  BOOL: 'bool',
  U8: 'uint8',
  I8: 'int8',
  U16: 'uint16',
  I16: 'int16',
  F16: 'float16',
  BF16: 'bfloat16',
  U32: 'uint32',
  I32: 'int32',
  F32: 'float32',
  U64: 'uint64',
  I64: 'int64',
  F64: 'float64',
};
const TO_CODE = /* @__PURE__ */ (() =>
  Object.fromEntries(Object.entries(FROM_CODE).map(([code, dtype]) => [dtype, code])))();

/** The format's own cap on its header, so that a hostile length cannot make a reader parse gigabytes of JSON. */
const MAX_HEADER_BYTES = 100_000_000;

/** What a safetensors file holds. */
export interface SafetensorsFile {
  /** By name, in the header's order. `data` views the file's bytes where their alignment allows. */
  tensors: Map<string, Tensor>;
  /** The header's `__metadata__`; empty where there is none. */
  metadata: Record<string, string>;
}

/**
 * Reads a safetensors file.
 *
 * Every header field is checked before any tensor is made. `data` is a view of `bytes` where the tensor's offset is
 * a multiple of its element size, else a copy: do not change `bytes` afterwards.
 *
 * Source: the format's description in github.com/huggingface/safetensors.
 *
 * @param bytes the whole file
 * @throws LloydError for a header that is cut off, not JSON, does not begin with `{`, names a key twice or an unknown
 *   dtype, has sizes that are not written as integers, or whose tensors overlap, leave a hole, pass the file's end or
 *   do not have the bytes that their shape needs
 * @example
 * const bytes = writeSafetensors(new Map([['bias', { dtype: 'float32', dims: [2], data: new Float32Array(2) }]]));
 * const { tensors } = readSafetensors(bytes);
 * tensors.get('bias')?.dims; // [2]
 */
export function readSafetensors(bytes: Uint8Array): SafetensorsFile {
  check(bytes.length >= 8, 'a safetensors file must have at least 8 bytes', bytes.length);
  const headerBytes = Number(new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true));
  check(headerBytes <= MAX_HEADER_BYTES, 'a safetensors header must be at most 100 MB', headerBytes, NOT_ONE);
  check(
    8 + headerBytes <= bytes.length,
    'a safetensors header must end within the file',
    `${headerBytes} header bytes in a file of ${bytes.length}`,
    'fetch the file again; it was cut off or is not safetensors',
  );
  const body = bytes.subarray(8 + headerBytes);
  const { tensors, metadata, begins, ends } = readHeader(bytes.subarray(8, 8 + headerBytes), body.length);
  checkSpans([...tensors.keys()], begins, ends, body.length);
  let i = 0;
  for (const tensor of tensors.values()) {
    tensor.data = arrayOver(tensor.dtype, body, begins[i++], elementCount(tensor.dims));
  }
  return { tensors, metadata };
}

const NOT_ONE = 'is this a safetensors file?';
const METADATA = '__metadata__';

/** A header's entries, in its order: a million of them are two columns of numbers and no objects but the tensors. */
interface Header {
  /** Their data is found once every entry has been checked. */
  tensors: Map<string, Tensor>;
  metadata: Record<string, string>;
  begins: number[];
  ends: number[];
}

const NO_DATA = new Uint8Array();

function readHeader(bytes: Uint8Array, bodyBytes: number): Header {
  const header: Header = { tensors: new Map(), metadata: {}, begins: [], ends: [] };
  const json = new JsonReader(headerText(bytes), 'a safetensors header');
  const readEntry = entryReader(json, header, bodyBytes);
  const kept = { has: (name: string) => header.tensors.has(name) || (name === METADATA && hasMetadata) };
  let hasMetadata = false;
  json.object((name) => {
    if (name !== METADATA) return readEntry(name);
    hasMetadata = true;
    header.metadata = readMetadata(json);
  }, kept);
  json.end();
  return header;
}

function headerText(bytes: Uint8Array): string {
  // The format says so; it leaves out a byte order mark and space before the object.
  check(
    bytes[0] === 0x7b,
    'a safetensors header must be a JSON object that begins with {',
    bytes[0],
    NOT_ONE,
  );
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw new LloydError('a safetensors header must be JSON in UTF-8', (error as Error).message, NOT_ONE, {
      cause: error,
    });
  }
}

function readMetadata(json: JsonReader): Record<string, string> {
  check(json.peek() === '{', '__metadata__ must be an object of strings', json.peek());
  const entries: [string, string][] = [];
  json.object((key) => {
    check(
      json.peek() === '"',
      `__metadata__ must hold strings only; its ${quoted(key)} does not`,
      json.peek(),
    );
    entries.push([key, json.string()]);
  });
  return Object.fromEntries(entries);
}

/** Reads one entry after another into the header. */
function entryReader(json: JsonReader, header: Header, bodyBytes: number): (name: string) => void {
  let code: string | undefined;
  let dims: number[] | undefined;
  let offsets: number[] | undefined;
  const readField = (key: string) => {
    if (key === 'dtype') code = json.peek() === '"' ? json.string() : json.peek();
    else if (key === 'shape' && json.peek() === '[') dims = json.integers();
    else if (key === 'data_offsets' && json.peek() === '[') offsets = json.integers();
    else json.skip();
  };
  return (name) => {
    code = dims = offsets = undefined;
    const first = json.peek();
    if (first !== '{' && first !== '') throw refusal(name, 'must be described by an object', first);
    json.object(readField);
    const tensor = describedTensor(name, code, dims);
    const [begin, end] = checkedOffsets(name, tensor, offsets, bodyBytes);
    header.tensors.set(name, tensor);
    header.begins.push(begin);
    header.ends.push(end);
  };
}

function describedTensor(name: string, code: string | undefined, dims: number[] | undefined): Tensor {
  if (code === undefined || !Object.hasOwn(FROM_CODE, code))
    throw refusal(name, `must have a dtype of ${Object.keys(FROM_CODE).join(', ')}`, code);
  if (!dims) throw refusal(name, 'must have a shape array', 'none');
  if (dims.includes(Number.NaN)) throw refusal(name, 'must have a shape of non-negative integers', dims);
  return { dtype: FROM_CODE[code], dims, data: NO_DATA };
}

function checkedOffsets(
  name: string,
  { dtype, dims }: Tensor,
  offsets: number[] | undefined,
  bodyBytes: number,
): number[] {
  if (offsets?.length !== 2 || offsets.includes(Number.NaN))
    throw refusal(name, 'must have data_offsets of two non-negative integers', offsets);
  const [begin, end] = offsets;
  if (begin > end) throw refusal(name, 'must not end before it begins', offsets);
  if (end > bodyBytes)
    throw refusal(name, `must end within the file's ${bodyBytes} data bytes`, end, CUT_OFF);
  const needed = elementCount(dims) * DTYPE_ARRAYS[dtype].BYTES_PER_ELEMENT;
  if (end - begin !== needed)
    throw refusal(name, `of ${TO_CODE[dtype]} [${dims.slice(0, 8)}] must have ${needed} bytes`, end - begin);
  return offsets;
}

function refusal(name: string, rule: string, received: unknown, cure?: string): LloydError {
  return new LloydError(`tensor ${quoted(name)} ${rule}`, received, cure);
}

const CUT_OFF = 'fetch the file again; it was cut off';

function checkSpans(
  names: readonly string[],
  begins: readonly number[],
  ends: readonly number[],
  bodyBytes: number,
): void {
  const order = Uint32Array.from(names, (_, i) => i);
  order.sort((a, b) => begins[a] - begins[b] || ends[a] - ends[b]);
  let at = 0;
  let before: string | undefined;
  for (const i of order) {
    if (begins[i] !== at) {
      const after = before === undefined ? 'the header' : quoted(before);
      check(begins[i] > at, 'tensors must not overlap', `${quoted(names[i])} begins inside ${after}`);
      const gap = `${begins[i] - at} bytes between ${after} and ${quoted(names[i])}`;
      throw new LloydError('tensors must leave no hole', gap);
    }
    at = ends[i];
    before = names[i];
  }
  check(
    at === bodyBytes,
    'the last tensor must end where the file does',
    `${bodyBytes - at} bytes left over`,
  );
}

/**
 * Writes a safetensors file.
 *
 * Tensors are laid out from the widest element to the narrowest, then by name, and the header is padded to a multiple
 * of 8 bytes, so that every tensor can be read without a copy and equal input gives equal bytes.
 *
 * Source: the format's description in github.com/huggingface/safetensors.
 *
 * @param tensors by name; sub-byte dtypes have no code in the format and must be packed first (see `packCodes`)
 * @param metadata strings for `__metadata__`
 * @returns the file's bytes
 * @throws LloydError for a dtype without a code, `data` that does not match `dims` or `dtype`, or metadata that is not text
 * @example
 * const bytes = writeSafetensors(
 *   new Map([['weight', { dtype: 'float16', dims: [2, 2], data: new Uint16Array([0x3c00, 0, 0, 0x3c00]) }]]),
 *   { license: 'Apache-2.0' },
 * );
 */
export function writeSafetensors(
  tensors: Map<string, Tensor>,
  metadata: Record<string, string> = {},
): Uint8Array<ArrayBuffer> {
  for (const [key, value] of Object.entries(metadata)) {
    check(
      typeof value === 'string',
      `__metadata__ must hold strings only; its ${quoted(key)} does not`,
      value,
    );
  }
  // Joined, not an object: that would put names like 1 and 2 before the others.
  const header: string[] = [];
  if (Object.keys(metadata).length > 0) header.push(`"__metadata__":${JSON.stringify(metadata)}`);
  const laidOut = [...tensors].map(([name, tensor]) => ({ name, ...tensor })).sort(byWidthThenName);
  let bodyBytes = 0;
  for (const { name, dtype, dims, data } of laidOut) {
    const tensor = `tensor ${quoted(name)}`;
    check(
      name !== METADATA,
      'a tensor must not be named __metadata__',
      name,
      'pass metadata as the second argument',
    );
    check(
      Object.hasOwn(TO_CODE, dtype),
      `${tensor} must have a dtype that safetensors has`,
      dtype,
      'pack its codes first',
    );
    check(
      data instanceof DTYPE_ARRAYS[dtype],
      `${tensor} of ${dtype} must hold a ${DTYPE_ARRAYS[dtype].name}`,
      data,
    );
    check(
      data.length === elementCount(dims),
      `${tensor} of [${dims}] must hold ${elementCount(dims)} elements`,
      data.length,
    );
    const entry = {
      dtype: TO_CODE[dtype],
      shape: dims,
      data_offsets: [bodyBytes, bodyBytes + data.byteLength],
    };
    header.push(`${JSON.stringify(name)}:${JSON.stringify(entry)}`);
    bodyBytes += data.byteLength;
  }
  const text = new TextEncoder().encode(`{${header.join()}}`);
  const headerBytes = Math.ceil(text.length / 8) * 8;
  const file = new Uint8Array(8 + headerBytes + bodyBytes);
  new DataView(file.buffer).setBigUint64(0, BigInt(headerBytes), true);
  file.fill(0x20, 8, 8 + headerBytes);
  file.set(text, 8);
  let at = 8 + headerBytes;
  for (const { data } of laidOut) {
    file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return file;
}

function byWidthThenName(a: { name: string; dtype: DType }, b: { name: string; dtype: DType }): number {
  const wider =
    (DTYPE_ARRAYS[b.dtype]?.BYTES_PER_ELEMENT ?? 0) - (DTYPE_ARRAYS[a.dtype]?.BYTES_PER_ELEMENT ?? 0);
  return wider || (a.name < b.name ? -1 : 1);
}
