import { quoted } from '../gpu/describe.ts';
import { check, LloydError } from '../gpu/errors.ts';
import { JsonReader } from './json-reader.ts';
import { readSafetensors, type SafetensorsFile, writeSafetensors } from './safetensors.ts';
import { elementCount, type Tensor } from './tensor.ts';

/** The version of the layout that {@link writeCodebookFile} writes. */
const VERSION = '1';

/** A tensor of codes into a codebook. */
export interface CodebookTensor {
  /** The shape of the tensor that the codes stand for, row-major. */
  dims: number[];
  /** Width of a code, 1 to 8. */
  bits: number;
  /** One code an element, `product(dims)` of them. */
  codes: Uint8Array;
  /** The value of each code: groups x k entries, k at most 2^bits. */
  codebook: Float32Array;
  /** How many codebooks there are; one unless given. */
  groups?: number;
  /** The codebook of element i is `floor(i / groupStride) mod groups`. */
  groupStride?: number;
}

/** What the metadata says of a quantized tensor. */
type Layout = Pick<CodebookTensor, 'dims' | 'bits' | 'groups' | 'groupStride'>;

/** What a codebook file holds. */
export interface CodebookFile {
  /** The quantized tensors, by name. */
  tensors: Map<string, CodebookTensor>;
  /** All the others, by name: biases, batch-norm parameters and statistics. */
  parameters: Map<string, Tensor>;
  /** Free text of the file: `license`, `training`, ... */
  metadata: Record<string, string>;
}

/**
 * Packs codes densely, least significant bit first: element i takes bits `i * bits` to `i * bits + bits - 1` of the
 * stream, bit b of the stream being bit `b % 8` of byte `b / 8`. Bits past the last code are 0.
 *
 * @param codes one code an element, below 2^bits
 * @param bits 1 to 8
 * @returns `ceil(codes.length * bits / 8)` bytes
 * @throws LloydError when `bits` is out of range or a code does not fit
 * @example
 * packCodes(new Uint8Array([1, 2, 3, 0]), 2); // Uint8Array [0b00111001]
 */
export function packCodes(codes: Uint8Array, bits: number): Uint8Array<ArrayBuffer> {
  checkBits(bits);
  const packed = new Uint8Array(Math.ceil((codes.length * bits) / 8));
  let window = 0;
  let filled = 0;
  let to = 0;
  for (let i = 0; i < codes.length; i++) {
    if (codes[i] >>> bits !== 0) {
      throw new LloydError(
        `a code of ${bits} bits must be below ${2 ** bits}`,
        `${codes[i]} at element ${i}`,
      );
    }
    window |= codes[i] << filled;
    filled += bits;
    if (filled >= 8) {
      packed[to++] = window;
      window >>>= 8;
      filled -= 8;
    }
  }
  if (filled > 0) packed[to] = window;
  return packed;
}

/**
 * The inverse of {@link packCodes}.
 *
 * @param packed `ceil(count * bits / 8)` bytes
 * @param bits 1 to 8
 * @param count how many codes to read
 * @returns one code an element
 * @throws LloydError when `bits` is out of range, `packed` has another length, or bits past the last code are not 0
 * @example
 * unpackCodes(new Uint8Array([0b00111001]), 2, 4); // Uint8Array [1, 2, 3, 0]
 */
export function unpackCodes(packed: Uint8Array, bits: number, count: number): Uint8Array<ArrayBuffer> {
  checkBits(bits);
  const needed = Math.ceil((count * bits) / 8);
  check(packed.length === needed, `${count} codes of ${bits} bits must take ${needed} bytes`, packed.length);
  // A stream of the right length whose spare bits are set was not written by packCodes.
  const spare = needed * 8 - count * bits;
  check(
    spare === 0 || packed[needed - 1] >>> (8 - spare) === 0,
    `the ${spare} bits past the last code must be 0`,
    packed[needed - 1],
  );
  const codes = new Uint8Array(count);
  const mask = 2 ** bits - 1;
  let window = 0;
  let filled = 0;
  let from = 0;
  for (let i = 0; i < count; i++) {
    if (filled < bits) {
      window |= packed[from++] << filled;
      filled += 8;
    }
    codes[i] = window & mask;
    window >>>= bits;
    filled -= bits;
  }
  return codes;
}

function checkBits(bits: number): void {
  check(Number.isInteger(bits) && bits >= 1 && bits <= 8, 'bits must be an integer from 1 to 8', bits);
}

/**
 * Writes a network quantized by codebooks as one safetensors file.
 *
 * A quantized tensor becomes `<name>.codes` (uint8, packed as {@link packCodes} does) and `<name>.codebook` (float32,
 * k entries a group). The metadata records `format`, `version` and, as JSON under `tensors`, each one's `dims` and
 * `bits`, and with several codebooks `groups` and `groupStride`.
 *
 * @param file tensors, parameters and free metadata; the keys `format`, `version` and `tensors` are written for you
 * @returns the file's bytes
 * @throws LloydError when codes and shape disagree, a code has no codebook entry, or two names collide
 * @example
 * const bytes = writeCodebookFile({
 *   tensors: new Map([
 *     ['weight', { dims: [2, 2], bits: 1, codes: new Uint8Array([0, 1, 1, 0]), codebook: new Float32Array([-1, 1]) }],
 *   ]),
 *   parameters: new Map(),
 *   metadata: { license: 'Apache-2.0' },
 * });
 */
export function writeCodebookFile(file: CodebookFile): Uint8Array<ArrayBuffer> {
  const tensors = new Map<string, Tensor>(file.parameters);
  const layout: Record<string, Layout> = Object.create(null);
  for (const [name, tensor] of file.tensors) {
    checkTensor(name, tensor);
    const { dims, bits, codes, codebook, groups, groupStride } = tensor;
    const packed = packCodes(codes, bits);
    for (const part of [`${name}.codes`, `${name}.codebook`]) {
      check(
        !tensors.has(part),
        'a parameter must not have the name of a quantized part',
        part,
        'rename the parameter',
      );
    }
    tensors.set(`${name}.codes`, { dtype: 'uint8', dims: [packed.length], data: packed });
    tensors.set(`${name}.codebook`, { dtype: 'float32', dims: [codebook.length], data: codebook });
    layout[name] = { dims, bits, groups, groupStride };
  }
  return writeSafetensors(tensors, {
    ...file.metadata,
    format: 'lloyd-codebook',
    version: VERSION,
    tensors: JSON.stringify(layout),
  });
}

/**
 * Reads what {@link writeCodebookFile} wrote.
 *
 * @param bytes the whole file
 * @throws LloydError when it is no safetensors file, another format or version, or codes, codebook and shape disagree
 * @example
 * const { tensors } = readCodebookFile(bytes);
 * const { codes, codebook } = tensors.get('classifier.weight')!;
 * const weights = Float32Array.from(codes, (code) => codebook[code]);
 */
export function readCodebookFile(bytes: Uint8Array): CodebookFile {
  return codebookFileOf(readSafetensors(bytes));
}

/** {@link readCodebookFile} of a file whose tensors are there already. */
export function codebookFileOf(file: SafetensorsFile): CodebookFile {
  const { format, version, tensors: layoutText, ...metadata } = file.metadata;
  check(
    format === 'lloyd-codebook',
    "a codebook file's format must be 'lloyd-codebook'",
    format,
    'use readSafetensors',
  );
  check(
    version === VERSION,
    `a codebook file's version must be ${VERSION}`,
    version,
    'use a newer release to read it',
  );
  const parameters = new Map(file.tensors);
  const tensors = new Map<string, CodebookTensor>();
  for (const [name, layout] of parseLayout(layoutText)) {
    const { dims, bits } = layout;
    const codes = take(parameters, `${name}.codes`, 'uint8') as Uint8Array;
    const codebook = take(parameters, `${name}.codebook`, 'float32') as Float32Array;
    const tensor = { ...layout, codes: unpackCodes(codes, bits, elementCount(dims)), codebook };
    checkTensor(name, tensor);
    tensors.set(name, tensor);
  }
  return { tensors, parameters, metadata };
}

/** The widths and shapes of quantized tensors, as metadata lists them in JSON: `{ name: { dims, bits, ... } }`. */
export function parseLayout(text: string | undefined): Map<string, Layout> {
  const layout = new Map<string, Layout>();
  check(
    text !== undefined,
    'a quantized file must list its tensors as JSON',
    'no list',
    'write the file again',
  );
  const json = new JsonReader(text, "a quantized file's list of tensors");
  json.object((name) => {
    const fields = new Map<string, number>();
    let dims: number[] | undefined;
    if (json.peek() === '{') {
      json.object((key) => {
        if (key === 'dims' && json.peek() === '[') dims = json.integers();
        else readField(json, name, key, fields);
      });
    } else json.skip();
    check(
      dims && !dims.includes(Number.NaN),
      `quantized tensor ${quoted(name)} must have dims, an array of non-negative integers`,
      dims,
    );
    const bits = fields.get('bits');
    check(bits, `quantized tensor ${quoted(name)} must have bits`, bits);
    const grouping = { groups: fields.get('groups'), groupStride: fields.get('groupStride') };
    layout.set(name, { dims, bits, ...(grouping.groups === undefined ? {} : grouping) });
  });
  json.end();
  return layout;
}

function readField(json: JsonReader, name: string, key: string, fields: Map<string, number>): void {
  if (key !== 'bits' && key !== 'groups' && key !== 'groupStride') {
    json.skip();
    return;
  }
  const value = json.integer();
  check(value, `quantized tensor ${quoted(name)} must have ${key} above 0`, value ?? json.peek());
  fields.set(key, value);
}

function take(tensors: Map<string, Tensor>, name: string, dtype: string) {
  const tensor = tensors.get(name);
  check(tensor, `a codebook file must hold ${quoted(name)}`, 'no such tensor');
  check(tensor.dtype === dtype, `${quoted(name)} must be ${dtype}`, tensor.dtype);
  check(tensor.dims.length === 1, `${quoted(name)} must have one dimension`, tensor.dims);
  tensors.delete(name);
  return tensor.data;
}

function checkTensor(
  name: string,
  { dims, bits, codes, codebook, groups = 1, groupStride }: CodebookTensor,
): void {
  checkBits(bits);
  const count = elementCount(dims);
  const tensor = `quantized tensor ${quoted(name)}`;
  check(codes.length === count, `${tensor} of [${dims}] must have ${count} codes`, codes.length);
  check(
    Number.isInteger(groups) && groups >= 1 && codebook.length % groups === 0,
    `${tensor} of ${codebook.length} centroids must have codebooks of equal length`,
    `${groups} groups`,
  );
  check(
    groups === 1 || (Number.isInteger(groupStride) && groupStride! >= 1),
    `${tensor} of ${groups} codebooks must have a groupStride`,
    groupStride,
  );
  check(
    groups === 1 || (groups - 1) * groupStride! < count,
    `${tensor} of ${count} elements must use each of its ${groups} codebooks`,
    `a groupStride of ${groupStride}`,
  );
  check(
    codebook.every((value) => Number.isFinite(value)),
    `${tensor} must have finite centroids`,
    codebook.find((value) => !Number.isFinite(value)),
  );
  const clusters = codebook.length / groups;
  check(
    clusters <= 2 ** bits,
    `${tensor} of ${bits} bits must have at most ${2 ** bits} centroids`,
    clusters,
  );
  let highest = -1;
  for (const code of codes) if (code > highest) highest = code;
  check(highest < clusters, `${tensor} has ${clusters} centroids: each code must be below that`, highest);
}
