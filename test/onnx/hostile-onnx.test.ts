// Files that would take a reader's time or memory: refused, or read in proportion to their size.
import { describe, expect, test } from 'vitest';
import { LloydError } from '../../src/gpu/errors.ts';
import { readOnnx } from '../../src/onnx/read-onnx.ts';
import { writeOnnx } from '../../src/onnx/write-onnx.ts';
import { bytes, field, float32, integer, text, varint } from '../support/onnx-model.ts';
import { classifier } from '../support/onnx-models.ts';
import {
  initializer,
  input,
  model,
  named,
  node,
  opsetImport,
  output,
  type Part,
} from '../support/onnx-protos.ts';

const MEGABYTE = 2 ** 20;
const x = input('x', [2]);
const y = output('y');
const relu = node('Relu', ['x'], ['y']);

/** What reading threw, how long it took, and what it made beside the file. */
function readTimed(file: Uint8Array) {
  const before = process.memoryUsage();
  const started = process.cpuUsage();
  let error: unknown;
  try {
    readOnnx(file);
  } catch (thrown) {
    error = thrown;
  }
  const { user, system } = process.cpuUsage(started);
  const after = process.memoryUsage();
  const grown = after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers;
  return { error, seconds: (user + system) / 1e6, grown };
}

function expectModest(file: Uint8Array, message?: RegExp) {
  const { error, seconds } = readTimed(file);
  if (message) {
    expect(error).toBeInstanceOf(LloydError);
    expect((error as Error).message).toMatch(message);
    expect((error as LloydError).cure).toBeTruthy();
  } else expect(error).toBeUndefined();
  expect(seconds).toBeLessThan(2);
}

/** A part over and over, at least `byteLength` bytes of it. */
const many = (part: Part, byteLength: number): Part => {
  const whole = new Uint8Array(Math.ceil(byteLength / part.length) * part.length);
  whole.set(part);
  for (let made = part.length; made < whole.length; made *= 2) whole.copyWithin(made, 0, made);
  return whole;
};

describe('cut off and damaged', () => {
  const whole = writeOnnx(classifier().model);

  test('a file cut anywhere is refused, or lacks what it says', () => {
    for (let length = 0; length < whole.length; length += length < 400 ? 1 : 37) {
      try {
        readOnnx(whole.slice(0, length));
        // Cut between the messages of the file, behind the graph and before the opset, say.
        expect(length).toBeGreaterThan(whole.length - 20);
      } catch (error) {
        expect(error).toBeInstanceOf(LloydError);
      }
    }
  });

  test.each<[string, Uint8Array, RegExp]>([
    ['nothing', new Uint8Array(), /must hold a graph/],
    ['text', new TextEncoder().encode('<!DOCTYPE html><html></html>'), /must be sound protobuf/],
    ['a length beyond the file', Uint8Array.of(58, 100, 1), /field 7 ends beyond its message, before byte/],
    ['a length of 2^32 + 1', Uint8Array.from([58, ...varint(2 ** 32 + 1), 0]), /field 7 ends beyond/],
    ['a varint of eleven bytes', Uint8Array.from([58, ...new Array(10).fill(255), 1]), /invalid varint/],
    ['a varint that ends nowhere', Uint8Array.of(8, 255), /sound protobuf/],
    ['field 0', Uint8Array.of(0, 1), /illegal tag/],
    ['a field of another type', integer(7, 1), /field 7 must have the wire type LengthDelimited, not Varint/],
    [
      'a name that is no UTF-8',
      model([bytes(1, [field(3, Uint8Array.of(255))])]),
      /a node must be sound protobuf/,
    ],
    [
      'an attribute’s float cut off',
      model([bytes(1, [bytes(5, [Uint8Array.of(21, 0, 0)])])]),
      /an attribute must be sound protobuf/,
    ],
    ['groups within groups', many(Uint8Array.of(11), 300), /maximum recursion depth/],
  ])('%s', (_, file, message) => expectModest(file, message));

  test('what is no Uint8Array', () => {
    expect(() => readOnnx('model' as unknown as Uint8Array)).toThrow(/must be a Uint8Array/);
  });
});

describe('more than the file is worth', () => {
  const SIZE = 2 * MEGABYTE;
  test.each<[string, Uint8Array]>([
    ['empty nodes', model([many(bytes(1, []), SIZE)])],
    ['empty attributes', model([bytes(1, [many(bytes(5, []), SIZE)])])],
    ['empty initializers', model([many(bytes(5, []), SIZE)])],
    ['empty inputs', model([many(bytes(11, []), SIZE)])],
    ['empty opset imports', model([relu, x, y], many(bytes(8, []), SIZE))],
    ['empty functions', model([relu, x, y], many(bytes(25, []), SIZE))],
    [
      'empty dimensions',
      model([bytes(11, [text(1, 'x'), bytes(2, [bytes(1, [bytes(2, [many(bytes(1, []), SIZE)])])])])]),
    ],
    ['empty entries of external data', model([bytes(5, [many(bytes(13, []), SIZE)])])],
  ])('%s are refused before they fill the memory', (_, file) => {
    expectModest(file, /an ONNX file’s messages must take at most/);
  });

  test.each<[string, Uint8Array, RegExp | undefined]>([
    [
      'an empty name as an input',
      model([bytes(1, [text(4, 'Concat'), many(text(1, ''), SIZE), text(2, 'y')]), y]),
      undefined,
    ],
    [
      'ints one by one',
      model([
        node('Foo', ['x'], ['y'], bytes(5, [text(1, 'a'), many(integer(8, 1), SIZE), integer(20, 7)])),
        x,
        y,
      ]),
      undefined,
    ],
    [
      'floats one by one',
      model([relu, initializer('w', 1, [2], many(float32(4, 1), SIZE)), x, y]),
      /w must have the 2 elements/,
    ],
    [
      'dims one by one',
      model([relu, bytes(5, [many(integer(1, 1), SIZE), text(8, 'w')]), x, y]),
      /at most 64 dims/,
    ],
    ['nodes of one name', model([...chain(20_000, 'a'), x, output('v20000')]), undefined],
    ['a long chain back to front', model([...chain(20_000).reverse(), x, output('v20000')]), undefined],
    [
      'unknown fields',
      model([relu, x, y], opsetImport(17), many(field(99, new Uint8Array(3)), SIZE)),
      undefined,
    ],
    [
      'a tensor of few bytes and many elements',
      model([relu, initializer('w', 1, [2 ** 29], float32(4, 1)), x, y]),
      /w must have the 536870912 elements/,
    ],
  ])('%s take time in proportion', (_, file, message) => expectModest(file, message));

  function chain(length: number, name?: string): Part[] {
    return Array.from({ length }, (_, i) =>
      node('Relu', [i === 0 ? 'x' : `v${i}`], [`v${i + 1}`], ...(name ? [named(name)] : [])),
    );
  }
});

test('a model of 100 MB is read in less than two seconds and less than its size', () => {
  const data = new Uint8Array(Float32Array.from({ length: MEGABYTE / 4 }, (_, i) => i).buffer);
  const weights = Array.from({ length: 100 }, (_, i): Part[] => {
    const name = `w${'_'.repeat(i % 4)}${i}`;
    // float32, half of them where no view is possible, and a few in typed fields.
    return [initializer(name, 1, [MEGABYTE / 4], field(i % 10 === 0 ? 4 : 9, data))];
  });
  const file = model([...weights.flat(), relu, x, y]);
  expect(file.length).toBeGreaterThan(100 * MEGABYTE);
  const { error, seconds, grown } = readTimed(file);
  expect(error).toBeUndefined();
  expect(seconds).toBeLessThan(2);
  expect(grown).toBeLessThan(1.02 * file.length);
  expect(readOnnx(file).parameters.get('w___3')!.data[7]).toBe(7);
});
