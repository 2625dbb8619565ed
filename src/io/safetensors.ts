import { check, LloydError } from '../gpu/errors.ts';
import { duplicateJsonKey } from './json-keys.ts';
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
const TO_CODE = Object.fromEntries(Object.entries(FROM_CODE).map(([code, dtype]) => [dtype, code]));

/** The format's own cap on its header, so that a hostile length cannot make a reader parse gigabytes of JSON. */
const MAX_HEADER_BYTES = 100_000_000;

/** What a safetensors file holds. */
export interface SafetensorsFile {
  /** By name, in the file's header order. `data` views the file's bytes where their alignment allows. */
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
 * @throws LloydError for a header that is cut off, not JSON, names a tensor twice or an unknown dtype, or whose
 *   tensors overlap, leave a hole, pass the file's end or do not have the bytes that their shape needs
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
  const header = parseHeader(bytes.subarray(8, 8 + headerBytes));
  const body = bytes.subarray(8 + headerBytes);
  const tensors = new Map<string, Tensor>();
  const spans: Span[] = [];
  let metadata: Record<string, string> = {};
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') {
      metadata = readMetadata(entry);
      continue;
    }
    const span = readEntry(name, entry, body.length);
    spans.push(span);
    tensors.set(name, {
      dtype: span.dtype,
      dims: span.dims,
      data: arrayOver(span.dtype, body, span.begin, elementCount(span.dims)),
    });
  }
  checkSpans(spans, body.length);
  return { tensors, metadata };
}

const NOT_ONE = 'is this a safetensors file?';

interface Span {
  name: string;
  dtype: DType;
  dims: number[];
  begin: number;
  end: number;
}

function parseHeader(bytes: Uint8Array): Record<string, unknown> {
  let text: string;
  let header: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    header = JSON.parse(text);
  } catch (error) {
    throw new LloydError('a safetensors header must be JSON', (error as Error).message, NOT_ONE, {
      cause: error,
    });
  }
  check(isRecord(header), 'a safetensors header must be a JSON object', header, NOT_ONE);
  const twice = duplicateJsonKey(text);
  check(twice === undefined, 'a safetensors header must name each key once', twice);
  return header;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function readMetadata(entry: unknown): Record<string, string> {
  check(isRecord(entry), '__metadata__ must be an object of strings', entry);
  for (const [key, value] of Object.entries(entry)) {
    check(
      typeof value === 'string',
      `__metadata__ must hold strings only; its ${JSON.stringify(key)} does not`,
      value,
    );
  }
  return entry as Record<string, string>;
}

function readEntry(name: string, entry: unknown, bodyBytes: number): Span {
  const tensor = `tensor ${JSON.stringify(name)}`;
  check(isRecord(entry), `${tensor} must be described by an object`, entry);
  const { dtype: code, shape, data_offsets: offsets } = entry;
  check(
    typeof code === 'string' && Object.hasOwn(FROM_CODE, code),
    `${tensor} must have a dtype of ${Object.keys(FROM_CODE).join(', ')}`,
    code,
  );
  check(Array.isArray(shape), `${tensor} must have a shape array`, shape);
  check(
    shape.every((dim) => Number.isSafeInteger(dim) && dim >= 0),
    `${tensor} must have a shape of non-negative integers`,
    shape,
  );
  check(
    Array.isArray(offsets) &&
      offsets.length === 2 &&
      offsets.every((at) => Number.isSafeInteger(at) && at >= 0),
    `${tensor} must have data_offsets of two non-negative integers`,
    offsets,
  );
  const [begin, end] = offsets as [number, number];
  check(begin <= end, `${tensor} must not end before it begins`, offsets);
  check(end <= bodyBytes, `${tensor} must end within the file's ${bodyBytes} data bytes`, end, CUT_OFF);
  const dtype = FROM_CODE[code];
  const needed = elementCount(shape) * DTYPE_ARRAYS[dtype].BYTES_PER_ELEMENT;
  check(end - begin === needed, `${tensor} of ${code} [${shape}] must have ${needed} bytes`, end - begin);
  return { name, dtype, dims: shape, begin, end };
}

const CUT_OFF = 'fetch the file again; it was cut off';

function checkSpans(spans: Span[], bodyBytes: number): void {
  let at = 0;
  let before = 'the header';
  for (const { name, begin, end } of spans.toSorted((a, b) => a.begin - b.begin || a.end - b.end)) {
    check(begin >= at, 'tensors must not overlap', `${JSON.stringify(name)} begins inside ${before}`);
    check(
      begin === at,
      'tensors must leave no hole',
      `${begin - at} bytes between ${before} and ${JSON.stringify(name)}`,
    );
    at = end;
    before = JSON.stringify(name);
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
  const header: Record<string, unknown> = Object.create(null);
  readMetadata(metadata);
  if (Object.keys(metadata).length > 0) header.__metadata__ = metadata;
  const laidOut = [...tensors].map(([name, tensor]) => ({ name, ...tensor })).sort(byWidthThenName);
  let bodyBytes = 0;
  for (const { name, dtype, dims, data } of laidOut) {
    const tensor = `tensor ${JSON.stringify(name)}`;
    check(
      name !== '__metadata__',
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
    header[name] = {
      dtype: TO_CODE[dtype],
      shape: dims,
      data_offsets: [bodyBytes, bodyBytes + data.byteLength],
    };
    bodyBytes += data.byteLength;
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
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
