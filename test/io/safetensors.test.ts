import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LloydError } from '../../src/gpu/errors.ts';
import { readSafetensors, writeSafetensors } from '../../src/io/safetensors.ts';
import { DTYPE_ARRAYS, type DType, elementCount, type Tensor } from '../../src/io/tensor.ts';

function file(header: unknown, bodyBytes = 0): Uint8Array {
  const text = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header));
  const bytes = new Uint8Array(8 + text.length + bodyBytes);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
  bytes.set(text, 8);
  return bytes;
}

const entry = (begin: number, end: number, shape: unknown = [(end - begin) / 4], dtype: unknown = 'F32') => ({
  dtype,
  shape,
  data_offsets: [begin, end],
});

const DTYPES = Object.keys(DTYPE_ARRAYS).filter((name) => !/^u?int[24]$/.test(name)) as DType[];

const tensors = fc.dictionary(
  fc.string().filter((name) => name !== '__metadata__'),
  fc
    .tuple(fc.constantFrom(...DTYPES), fc.array(fc.nat(4), { maxLength: 4 }), fc.nat(255))
    .map(([dtype, dims, seed]): Tensor => {
      const bytes = new Uint8Array(elementCount(dims) * DTYPE_ARRAYS[dtype].BYTES_PER_ELEMENT).map(
        (_, i) => i * 7 + seed,
      );
      return { dtype, dims, data: new DTYPE_ARRAYS[dtype](bytes.buffer) as Tensor['data'] };
    }),
  { maxKeys: 8, noNullPrototype: true },
);

const rawBytes = ({ data }: Tensor) => [...new Uint8Array(data.buffer, data.byteOffset, data.byteLength)];

describe('round trip', () => {
  test('every dtype, shape, name and metadata, at any alignment of the file', () => {
    fc.assert(
      fc.property(
        tensors,
        fc.dictionary(fc.string(), fc.string(), { noNullPrototype: true }),
        fc.nat(7),
        (made, metadata, shift) => {
          const written = writeSafetensors(new Map(Object.entries(made)), metadata);
          const shifted = new Uint8Array(written.length + shift).subarray(shift);
          shifted.set(written);
          const read = readSafetensors(shifted);
          expect(read.metadata).toEqual(metadata);
          expect([...read.tensors.keys()].sort()).toEqual(Object.keys(made).sort());
          for (const [name, tensor] of Object.entries(made)) {
            const found = read.tensors.get(name)!;
            expect([found.dtype, found.dims]).toEqual([tensor.dtype, tensor.dims]);
            expect(found.data).toBeInstanceOf(DTYPE_ARRAYS[tensor.dtype]);
            expect(rawBytes(found)).toEqual(rawBytes(tensor));
          }
        },
      ),
      { numRuns: 300, seed: 2 },
    );
  });

  test('what this library writes is read without a copy, and does not depend on the order of the tensors', () => {
    const a: Tensor = { dtype: 'uint8', dims: [3], data: new Uint8Array([1, 2, 3]) };
    const b: Tensor = { dtype: 'float64', dims: [1], data: new Float64Array([0.5]) };
    const bytes = writeSafetensors(
      new Map([
        ['a', a],
        ['b', b],
      ]),
    );
    expect(bytes).toEqual(
      writeSafetensors(
        new Map([
          ['b', b],
          ['a', a],
        ]),
      ),
    );
    for (const { data } of readSafetensors(bytes).tensors.values()) expect(data.buffer).toBe(bytes.buffer);
  });

  test('a tensor named __proto__ is a tensor', () => {
    const bytes = writeSafetensors(
      new Map([['__proto__', { dtype: 'int8', dims: [], data: new Int8Array([-1]) }]]),
    );
    expect([...readSafetensors(bytes).tensors.get('__proto__')!.data]).toEqual([-1]);
  });
});

describe('malformed files are refused, each with its reason', () => {
  const cases: [string, Uint8Array, RegExp][] = [
    ['empty', new Uint8Array(0), /at least 8 bytes; received 0/],
    ['a header past the end', file({}).subarray(0, 9), /header must end within the file/],
    ['a header of 2^63 bytes', Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 128), /at most 100 MB/],
    ['not JSON', file('{"a":'), /must be JSON/],
    [
      'not UTF-8',
      (() => {
        const f = file('{"a":1}');
        f[10] = 0xff;
        return f;
      })(),
      /must be JSON/,
    ],
    ['an array', file('[]'), /must be a JSON object/],
    [
      'a name twice',
      file(
        '{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"\\u0061":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}',
      ),
      /each key once; received "a"/,
    ],
    [
      'a field twice',
      file('{"a":{"dtype":"U8","dtype":"I8","shape":[0],"data_offsets":[0,0]}}'),
      /each key once; received "dtype"/,
    ],
    [
      'an unknown dtype',
      file({ a: entry(0, 4, [1], 'F8') }, 4),
      /"a" must have a dtype of BOOL.*received "F8"/,
    ],
    ['a dtype of Object.prototype', file({ a: entry(0, 4, [1], 'constructor') }, 4), /must have a dtype of/],
    ['no shape', file({ a: { dtype: 'F32', data_offsets: [0, 4] } }, 4), /must have a shape array/],
    ['a negative dimension', file({ a: entry(0, 4, [-1]) }, 4), /shape of non-negative integers/],
    ['a fractional dimension', file({ a: entry(0, 4, [1.5]) }, 4), /shape of non-negative integers/],
    ['a product past 2^53', file({ a: entry(0, 4, [2 ** 40, 2 ** 40]) }, 4), /fewer than 2\^53/],
    [
      'one offset',
      file({ a: { dtype: 'F32', shape: [1], data_offsets: [0] } }, 4),
      /two non-negative integers/,
    ],
    ['an end before its begin', file({ a: entry(4, 0, [1]) }, 4), /not end before it begins/],
    [
      'an end past the file',
      file({ a: entry(0, 8) }, 4),
      /must end within the file's 4 data bytes; received 8/,
    ],
    [
      'a length that the shape does not need',
      file({ a: entry(0, 8, [1]) }, 8),
      /must have 4 bytes; received 8/,
    ],
    ['an overlap', file({ a: entry(0, 8), b: entry(4, 12) }, 12), /must not overlap/],
    ['a hole', file({ a: entry(0, 4), b: entry(8, 12) }, 12), /must leave no hole/],
    ['bytes left over', file({ a: entry(0, 4) }, 8), /must end where the file does; received "4 bytes/],
    ['metadata that is no object', file({ __metadata__: 1 }), /__metadata__ must be an object of strings/],
    ['metadata that is not text', file({ __metadata__: { a: 1 } }), /must hold strings only/],
    ['an entry that is no object', file({ a: null }), /must be described by an object/],
  ];
  test.each(cases)('%s', (_, bytes, reason) => {
    expect(() => readSafetensors(bytes)).toThrow(LloydError);
    expect(() => readSafetensors(bytes)).toThrow(reason);
  });

  test('no damage to a file makes it throw anything else', () => {
    const good = writeSafetensors(
      new Map([['a', { dtype: 'float32', dims: [2], data: new Float32Array(2) }]]),
      { k: 'v' },
    );
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.nat(255), fc.nat(good.length), (at, value, length) => {
        const bad = good.slice(0, length);
        if (at < length) bad[at] = value;
        try {
          readSafetensors(bad);
        } catch (error) {
          expect(error).toBeInstanceOf(LloydError);
        }
      }),
      { numRuns: 2000, seed: 3 },
    );
  });
});

describe('writeSafetensors refuses', () => {
  const write =
    (name: string, tensor: unknown, metadata = {}) =>
    () =>
      writeSafetensors(new Map([[name, tensor as Tensor]]), metadata);
  test('what the format cannot hold', () => {
    const data = new Float32Array(2);
    expect(write('a', { dtype: 'int4', dims: [2], data: new Int8Array(2) })).toThrow(/pack its codes first/);
    expect(write('a', { dtype: 'float32', dims: [3], data })).toThrow(/must hold 3 elements; received 2/);
    expect(write('a', { dtype: 'int32', dims: [2], data })).toThrow(/must hold a Int32Array/);
    expect(write('__metadata__', { dtype: 'float32', dims: [2], data })).toThrow(/second argument/);
    expect(write('a', { dtype: 'float32', dims: [2], data }, { n: 1 })).toThrow(/strings only/);
  });
});
