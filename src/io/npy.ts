import { quoted } from '../gpu/describe.ts';
import { check } from '../gpu/errors.ts';
import { Budget } from './budget.ts';
import { arrayOver, DTYPE_ARRAYS, type DType, elementCount, type Tensor } from './tensor.ts';
import { ZipArchive } from './zip.ts';

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
const CURE = 'write it again with numpy.save';
/** numpy itself refuses longer headers. */
const MOST_HEADER_BYTES = 10_000;
/** numpy's own limit. */
const MOST_DIMENSIONS = 64;

/** By numpy's letters; a byte order of `<` or, where there is none, `|`. */
const DTYPES: Readonly<Record<string, DType>> = {
  f2: 'float16',
  f4: 'float32',
  f8: 'float64',
  i1: 'int8',
  i2: 'int16',
  i4: 'int32',
  i8: 'int64',
  u1: 'uint8',
  u2: 'uint16',
  u4: 'uint32',
  u8: 'uint64',
  b1: 'bool',
};

/**
 * Reads an array that numpy saved: `.npy`, versions 1 to 3, little-endian numbers and booleans, in C's order or Fortran's.
 *
 * Source: numpy.lib.format, "A simple format for saving numpy arrays to disk".
 *
 * @param bytes the whole file
 * @returns the array, row-major; a view of `bytes` where that is its order and it lies aligned
 * @throws LloydError for bytes that are no such file, another dtype or byte order, or a size that its header doesn't say
 * @example
 * const header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }".padEnd(117) + '\n';
 * const file = new Uint8Array(10 + header.length + 8);
 * file.set([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, header.length, 0]); // \x93NUMPY, version 1.0
 * file.set(new TextEncoder().encode(header), 10);
 * console.log(readNpy(file)); // { dtype: 'float32', dims: [2], data: Float32Array [0, 0] }
 */
export function readNpy(bytes: Uint8Array): Tensor {
  return parse(bytes, 'a .npy file');
}

/**
 * Reads the arrays that numpy saved together: `.npz`, a zip archive of `.npy` files, stored or deflated.
 *
 * @param bytes the whole file
 * @returns the arrays by their names, without `.npy`
 * @throws LloydError for a damaged archive, one that inflates to far more than its size, or an array that
 *   {@link readNpy} refuses (by name)
 * @example
 * const tensors = readNpz(await readFile('inputs.npz'));
 * console.log(tensors.get('image')?.dims);
 */
export function readNpz(bytes: Uint8Array): Map<string, Tensor> {
  const archive = new ZipArchive(bytes, new Budget(bytes.length), 'an .npz file');
  const tensors = new Map<string, Tensor>();
  for (const name of archive.names) {
    check(name.endsWith('.npy'), 'an .npz file must hold .npy files only', name, CURE);
    tensors.set(name.slice(0, -'.npy'.length), parse(archive.read(name)!, `${quoted(name)} of an .npz file`));
  }
  return tensors;
}

/** Whether a file begins as a `.npy` does. */
export const isNpy = (bytes: Uint8Array): boolean => MAGIC.every((byte, i) => bytes[i] === byte);

function parse(bytes: Uint8Array, what: string): Tensor {
  check(isNpy(bytes), `${what} must begin with \\x93NUMPY`, bytes.slice(0, 6), CURE);
  const [major] = bytes.subarray(6, 7);
  check(
    major >= 1 && major <= 3 && bytes.length >= 12,
    `${what} must have a version from 1 to 3`,
    major,
    CURE,
  );
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headerAt = major === 1 ? 10 : 12;
  const headerBytes = major === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  const begin = headerAt + headerBytes;
  check(
    headerBytes <= MOST_HEADER_BYTES && begin <= bytes.length,
    `${what} must have a whole header of at most ${MOST_HEADER_BYTES} bytes`,
    headerBytes,
    CURE,
  );
  const text = new TextDecoder(major === 3 ? 'utf-8' : 'latin1').decode(bytes.subarray(headerAt, begin));
  const { descr, fortran, dims } = header(text, what);
  const dtype = dtypeOf(descr, what);
  const count = elementCount(dims);
  const width = DTYPE_ARRAYS[dtype].BYTES_PER_ELEMENT;
  check(
    bytes.length - begin === count * width,
    `${what} must hold the ${count} elements of ${width} bytes that its header says`,
    `${bytes.length - begin} bytes`,
    CURE,
  );
  const data = arrayOver(dtype, bytes, begin, count);
  if (dtype === 'bool') {
    const odd = (data as Uint8Array).find((value) => value > 1);
    check(odd === undefined, `${what}: booleans must be 0 or 1`, odd, CURE);
  }
  const isVector = dims.filter((size) => size !== 1).length <= 1;
  return { dtype, dims, data: fortran && !isVector ? rowMajor(data, dims) : data };
}

function dtypeOf(descr: string, what: string): DType {
  const [, order, kind] = /^([<>|=]?)(\w+)$/.exec(descr) ?? [];
  const dtype = Object.hasOwn(DTYPES, kind ?? '') ? DTYPES[kind] : undefined;
  const single = dtype !== undefined && DTYPE_ARRAYS[dtype].BYTES_PER_ELEMENT === 1;
  check(
    dtype && (order === '<' || single),
    `${what} must hold little-endian numbers: ${Object.keys(DTYPES).join(', ')}`,
    descr,
    "convert it: array.astype('<f4')",
  );
  return dtype;
}

/** The header's three entries: a literal of Python, of which this is all that numpy writes. */
function header(text: string, what: string): { descr: string; fortran: boolean; dims: number[] } {
  const rule = `${what} must have a header of descr, fortran_order and shape`;
  const [, body] = /^\s*\{(.*)\}\s*$/s.exec(text) ?? [];
  check(body !== undefined, rule, text.slice(0, 80), CURE);
  const entry = /\s*(['"])(\w+)\1\s*:\s*(?:(['"])([^'"]*)\3|(True|False)|\(([\d\s,L]*)\))\s*(,|$)/y;
  const found: Record<string, string | undefined> = {};
  for (let at = 0; body.slice(at).trim() !== ''; at = entry.lastIndex) {
    entry.lastIndex = at;
    const match = entry.exec(body);
    check(match, rule, body.slice(at, at + 80), 'structured and object arrays are not read');
    const [, , name, , string, boolean, tuple] = match;
    const value = { descr: string, fortran_order: boolean, shape: tuple }[name];
    check(value !== undefined && !Object.hasOwn(found, name), rule, name, CURE);
    found[name] = value;
  }
  const { descr, fortran_order: fortran, shape } = found;
  check(descr !== undefined && fortran !== undefined && shape !== undefined, rule, Object.keys(found), CURE);
  const sizes = shape.split(',').map((size) => size.trim());
  // A tuple of one has a comma behind it.
  if (sizes.at(-1) === '') sizes.pop();
  check(
    sizes.length <= MOST_DIMENSIONS && sizes.every((size) => /^\d{1,15}L?$/.test(size)),
    `${what} must have a shape of at most ${MOST_DIMENSIONS} sizes`,
    shape,
    CURE,
  );
  return { descr, fortran: fortran === 'True', dims: sizes.map((size) => Number.parseInt(size, 10)) };
}

/** Elements that lie with their first dimension innermost, in the usual order. */
function rowMajor<T extends Tensor['data']>(data: T, dims: readonly number[]): T {
  const made = data.slice() as T;
  const steps: number[] = [];
  let step = 1;
  for (const size of dims) {
    steps.push(step);
    step *= size;
  }
  const index = new Array<number>(dims.length).fill(0);
  let from = 0;
  for (let to = 0; to < made.length; to++) {
    made[to] = data[from];
    for (let d = dims.length - 1; d >= 0; d--) {
      from += steps[d];
      if (++index[d] < dims[d]) break;
      from -= steps[d] * dims[d];
      index[d] = 0;
    }
  }
  return made;
}
