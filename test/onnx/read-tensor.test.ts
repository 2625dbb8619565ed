// Tensors of ONNX files: every dtype in every field, other files, and what is refused.
import { describe, expect, test } from 'vitest';
import { readOnnx } from '../../src/onnx/read-onnx.ts';
import { bytes, field, float32, integer, join } from '../support/onnx-model.ts';
import {
  external,
  initializer,
  input,
  model,
  node,
  output,
  type Part,
  packedVarints,
  raw,
} from '../support/onnx-protos.ts';

const add = (name = 'w') => node('Add', ['x', name], ['y']);
const x = input('x', [2]);
const y = output('y');
const withTensor = (...args: Parameters<typeof initializer>) =>
  model([add(args[0]), initializer(...args), x, y]);
const read = (type: number, dims: readonly number[], ...data: Part[]) =>
  readOnnx(withTensor('w', type, dims, ...data)).parameters.get('w')!;

describe('tensors', () => {
  test.each([
    ['float32', 1, raw(Float32Array.of(0.1, -0)), [Math.fround(0.1), -0]],
    ['float32', 1, float32(4, 1.5), null],
    ['uint8', 2, raw(Uint8Array.of(3, 255)), [3, 255]],
    ['uint8', 2, packedVarints(5, [3, 255]), [3, 255]],
    ['int8', 3, packedVarints(5, [-128, 127]), [-128, 127]],
    ['uint16', 4, packedVarints(5, [0, 65535]), [0, 65535]],
    ['int16', 5, raw(Int16Array.of(-32768, 5)), [-32768, 5]],
    ['int32', 6, packedVarints(5, [-1, 2147483647]), [-1, 2147483647]],
    ['int64', 7, raw(BigInt64Array.of(-1n, 2n ** 63n - 1n)), [-1n, 2n ** 63n - 1n]],
    ['int64', 7, packedVarints(7, [-(2n ** 63n), 2n ** 63n - 1n]), [-(2n ** 63n), 2n ** 63n - 1n]],
    ['bool', 9, packedVarints(5, [0, 1]), [0, 1]],
    ['float16', 10, packedVarints(5, [0x3c00, 0x8000]), [0x3c00, 0x8000]],
    ['uint32', 12, packedVarints(11, [0, 4294967295]), [0, 4294967295]],
    ['uint4', 21, raw(Uint8Array.of(0xf1)), [1, 15]],
    ['int4', 22, raw(Uint8Array.of(0x87)), [7, -8]],
    ['int4', 22, packedVarints(5, [0x87]), [7, -8]],
    ['uint2', 25, raw(Uint8Array.of(0b1101)), [1, 3]],
    ['int2', 26, raw(Uint8Array.of(0b0110)), [-2, 1]],
  ] as const)('%s from field type %i', (dtype, type, data, values) => {
    const dims = values ? [2] : [1];
    const { dtype: got, dims: shape, data: elements } = read(type, dims, data);
    expect(got).toBe(dtype);
    expect(shape).toEqual(dims);
    expect(Array.from(elements as ArrayLike<unknown>)).toEqual(values ?? [1.5]);
  });

  test('odd counts of 4-bit elements leave half a byte', () => {
    expect([...read(22, [3], raw(Uint8Array.of(0x21, 0xff))).data]).toEqual([1, 2, -1]);
  });

  test('numbers come packed, one by one, or some of each', () => {
    const packed = field(4, new Uint8Array(Float32Array.of(2, 3).buffer));
    expect([...read(1, [4], float32(4, 1), packed, float32(4, 4)).data]).toEqual([1, 2, 3, 4]);
  });

  test('float64 and uint64 where float32 and int64 hold every element, refused where they do not', () => {
    expect(read(11, [2], raw(Float64Array.of(0.5, -3)))).toMatchObject({ dtype: 'float32' });
    expect([...read(13, [1], packedVarints(11, [7])).data]).toEqual([7n]);
    expect(() => read(11, [1], raw(Float64Array.of(0.1)))).toThrow(/^w is float64.*received 0\.1/);
    expect(() => read(13, [1], raw(BigUint64Array.of(2n ** 63n)))).toThrow(/^w is uint64/);
  });

  test.each([
    [16, 'bfloat16'],
    [8, 'string'],
    [17, 'float8e4m3fn'],
    [14, 'complex64'],
    [99, 'dtype 99'],
  ])('dtype %i is refused as %s', (type, name) => {
    expect(() => read(type, [1], raw(new Uint8Array(2)))).toThrow(new RegExp(`^w must have.*"${name}"`));
  });

  test.each<[string, number, number[], Part, RegExp]>([
    ['raw data of another size', 1, [2], raw(new Uint8Array(7)), /w: \[2\] of 32 bits must take 8 bytes.*7/],
    ['typed data of another size', 1, [2], float32(4, 1), /w must have the 2 elements.*received 1/],
    ['no data', 1, [2], join([]), /must have the 2 elements/],
    ['a value that its dtype lacks', 3, [1], packedVarints(5, [300]), /w must hold int8.*300/],
    ['a bool of 2', 9, [1], raw(Uint8Array.of(2)), /w must hold 0 and 1/],
    ['a negative dimension', 1, [-1], raw(new Uint8Array(4)), /w: a dimension must be from 0/],
    ['more elements than a buffer has', 1, [65536, 65536], raw(new Uint8Array(4)), /w must have at most/],
    ['more elements, one dimension being 0', 1, [2147483648, 0], raw(new Uint8Array(0)), /w: a dimension/],
    ['65 dimensions', 1, new Array(65).fill(1), raw(new Uint8Array(4)), /w must have at most 64 dims/],
    [
      'a segment',
      1,
      [1],
      join([bytes(3, [integer(1, 0)]), raw(new Uint8Array(4))]),
      /w must be in one piece/,
    ],
    ['half a float', 1, [1], field(4, new Uint8Array(3)), /w must have the 1 elements/],
  ])('%s is refused', (_, type, dims, data, message) => {
    expect(() => read(type, dims, data)).toThrow(message);
  });

  test('an empty tensor is one', () => {
    expect(read(1, [0, 3])).toMatchObject({ dims: [0, 3], data: new Float32Array(0) });
  });

  test('data is a view of the file where it lies aligned', () => {
    const found = [0, 1, 2, 3].map((padding) => {
      const name = 'w'.repeat(padding + 1);
      const file = withTensor(name, 1, [2], raw(Float32Array.of(1, 2)));
      const { data } = readOnnx(file).parameters.get(name)!;
      expect([...data]).toEqual([1, 2]);
      return data.buffer === file.buffer;
    });
    // Four names of one length each: their data starts at every offset modulo 4, within the lengths of the messages.
    expect(found.filter(Boolean).length).toBeGreaterThan(0);
  });
});

describe('external data', () => {
  const at = (entries: Record<string, string>) => withTensor('w', 1, [2], external(entries));
  const file = new Uint8Array(Float32Array.of(9, 1, 2, 9).buffer);
  const weights = at({ location: 'data/w.bin', offset: '4', length: '8' });

  test('by name, in a record, a map, or from a function', async () => {
    const expected = Float32Array.of(1, 2);
    const fromRecord = readOnnx(weights, { externalData: { 'data/w.bin': file } });
    expect(fromRecord.parameters.get('w')!.data).toEqual(expected);
    const fromMap = readOnnx(weights, { externalData: new Map([['data/w.bin', file]]) });
    expect(fromMap).toEqual(fromRecord);
    const asked: string[] = [];
    const later = readOnnx(weights, {
      externalData: async (location) => {
        asked.push(location);
        return file;
      },
    });
    expect(later).toBeInstanceOf(Promise);
    expect(await later).toEqual(fromRecord);
    expect(asked).toEqual(['data/w.bin']);
  });

  test('the rest of the entries are optional', () => {
    const two = new Uint8Array(Float32Array.of(5, 6).buffer);
    const { parameters } = readOnnx(at({ location: './w' }), { externalData: { w: two } });
    expect([...parameters.get('w')!.data]).toEqual([5, 6]);
  });

  test.each([
    ['../w', /folder.*"\.\.\/w"/],
    ['a/../../w', /folder/],
    ['/etc/passwd', /folder/],
    ['C:\\w', /folder/],
    ['', /folder/],
  ])('a path outside the folder is refused: %s', async (location, message) => {
    expect(() => readOnnx(at({ location }), { externalData: {} })).toThrow(message);
    await expect(readOnnx(at({ location }), { externalData: () => file })).rejects.toThrow(message);
  });

  test.each<[string, Record<string, string>, RegExp]>([
    [
      'past the end',
      { location: 'f', offset: '12' },
      /w must end within f, which has 16 bytes.*8 bytes from 12/,
    ],
    ['another length', { location: 'f', length: '16' }, /w must take 8 bytes of f.*16/],
    ['a negative offset', { location: 'f', offset: '-4' }, /offset must be an integer/],
    ['an offset beyond integers', { location: 'f', offset: '9'.repeat(30) }, /offset must be an integer/],
    ['a file that is not given', { location: 'other' }, /w lies in another file.*"other".*pass externalData/],
    ['a file by an inherited name', { location: 'toString' }, /w lies in another file/],
  ])('%s is refused', (_, entries, message) => {
    expect(() => readOnnx(at(entries), { externalData: { f: file } })).toThrow(message);
  });
});
