import { deflateSync } from 'fflate';
import { expect, test } from 'vitest';
import { readNpy, readNpz } from '../../src/io/npy.ts';
import { DTYPE_ARRAYS, type DType, type Tensor } from '../../src/io/tensor.ts';
import { npy, npyFile } from './npy-writer.ts';
import { zip } from './zip-writer.ts';

const DTYPES: DType[] = [
  ...(['float16', 'float32', 'float64', 'bool', 'int8', 'int16', 'int32', 'int64'] as const),
  ...(['uint8', 'uint16', 'uint32', 'uint64'] as const),
];
function tensor(dtype: DType, dims: number[]): Tensor {
  const count = dims.reduce((a, b) => a * b, 1);
  const values = Array.from({ length: count }, (_, i) => (dtype === 'bool' ? i % 2 : i * 3 + 1));
  const data = dtype.endsWith('64') && dtype !== 'float64' ? values.map(BigInt) : values;
  return {
    dtype,
    dims,
    data: (DTYPE_ARRAYS[dtype] as unknown as typeof Float32Array).from(data as number[]),
  } as Tensor;
}

test('every dtype, rank, version and alignment', () => {
  for (const dtype of DTYPES) {
    for (const dims of [[], [5], [2, 3], [2, 1, 4, 3], [0, 7]]) {
      const own = tensor(dtype, dims);
      for (const version of [1, 2, 3]) {
        const file = npy(own, false, version);
        expect(readNpy(file), `${dtype} [${dims}] version ${version}`).toEqual(own);
        const odd = new Uint8Array(file.length + 1);
        odd.set(file, 1);
        expect(readNpy(odd.subarray(1))).toEqual(own);
      }
    }
  }
});

test("what lies in Fortran's order is turned into C's", () => {
  for (const dims of [[2, 3], [3, 1, 4], [2, 3, 4, 5], [6], [1, 6, 1], []]) {
    const own = tensor('int32', dims);
    // Element by element from its definition: the first index runs fastest.
    const data = new Int32Array(own.data.length);
    for (let at = 0; at < data.length; at++) {
      let [rest, from] = [at, 0];
      const index = dims.map((size) => {
        const i = rest % size;
        rest = Math.floor(rest / size);
        return i;
      });
      for (const [d, size] of dims.entries()) from = from * size + index[d];
      data[at] = own.data[from] as number;
    }
    expect(readNpy(npy({ dtype: 'int32', dims, data }, true)), `[${dims}]`).toEqual(own);
  }
});

test('the bytes of a two by three matrix as the format document lays them out', () => {
  const header = "{'descr': '<i2', 'fortran_order': True, 'shape': (2, 3), }";
  const bytes = Buffer.concat([
    Buffer.from('934e554d505901007600', 'hex'),
    Buffer.from(`${header.padEnd(117)}\n`),
    Buffer.from('010004000200050003000600', 'hex'),
  ]);
  expect(readNpy(bytes)).toEqual({ dtype: 'int16', dims: [2, 3], data: Int16Array.of(1, 2, 3, 4, 5, 6) });
});

test('archives, stored and deflated', () => {
  const [a, b] = [tensor('float32', [2, 2]), tensor('uint8', [300])];
  const packed = npy(b);
  const bytes = zip([
    { name: 'image.npy', data: npy(a) },
    { name: 'a/mask.npy', data: deflateSync(packed), method: 8, fileBytes: packed.length, crc: crc(packed) },
  ]);
  expect(readNpz(bytes)).toEqual(
    new Map([
      ['image', a],
      ['a/mask', b],
    ]),
  );
});

const FLOATS = new Uint8Array(8);
const header = (text: string, data = FLOATS) => npyFile(text, data);
test.each([
  ['no such file', new Uint8Array(20), /a .npy file must begin with \\x93NUMPY/],
  ['an empty file', new Uint8Array(0), /must begin with/],
  ['another version', npyFile("{'descr'", FLOATS, 9), /must have a version from 1 to 3; received 9/],
  ['a header cut off', npy(tensor('int8', [3])).subarray(0, 40), /must have a whole header/],
  ['big-endian', header("{'descr': '>f4', 'fortran_order': False, 'shape': (2,), }"), /little-endian.*">f4"/],
  ['objects', header("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"), /little-endian numbers/],
  ['complex', header("{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }"), /little-endian numbers/],
  [
    'a name of Object',
    header("{'descr': '<constructor', 'fortran_order': False, 'shape': (1,), }"),
    /little-e/,
  ],
  ['records', header("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }"), /structured and/],
  ['an entry missing', header("{'descr': '<f4', 'shape': (2,), }"), /descr, fortran_order and shape/],
  ['an entry twice', header("{'descr': '<f4', 'descr': '<f4', 'shape': (2,), }"), /descr, fortran_order/],
  ['one too many', header("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'x': 'y'}"), /header of/],
  [
    'a bad size',
    header("{'descr': '<f4', 'fortran_order': False, 'shape': (2, ,1), }"),
    /a shape of at most/,
  ],
  ['2^60', header("{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999, 9999999999), }"), /2\^53/],
  [
    'too few bytes',
    header("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }"),
    /hold the 3 elements/,
  ],
  [
    'too many',
    header("{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }"),
    /the 1 elements of 4 bytes/,
  ],
  [
    'booleans of 2',
    header("{'descr': '|b1', 'fortran_order': False, 'shape': (1,), }", Uint8Array.of(2)),
    /0 or 1/,
  ],
])('refused: %s', (_, bytes, message) => {
  expect(() => readNpy(bytes)).toThrow(message);
});

test('damaged archives are refused as what they are', () => {
  expect(() => readNpz(new Uint8Array(30))).toThrow(/an .npz file must be a whole zip archive/);
  expect(() => readNpz(zip([{ name: 'a.txt', data: FLOATS }]))).toThrow(/must hold .npy files only/);
  expect(() => readNpz(zip([{ name: 'a.npy', data: FLOATS }]))).toThrow(/"a.npy" of an .npz file must begin/);
  const bomb = new Uint8Array(200_000_000);
  const data = deflateSync(bomb, { level: 9 });
  const bytes = zip([{ name: 'a.npy', data, method: 8, fileBytes: bomb.length }]);
  expect(() => readNpz(bytes)).toThrow(/inflated entries must take at most \d+ bytes/);
});

function crc(bytes: Uint8Array): number {
  let value = ~0;
  for (const byte of bytes) {
    value ^= byte;
    for (let bit = 0; bit < 8; bit++) value = (value >>> 1) ^ (value & 1 ? 0xedb88320 : 0);
  }
  return ~value >>> 0;
}
