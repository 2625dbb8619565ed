import fc from 'fast-check';
import { strToU8, zipSync } from 'fflate';
import { describe, expect, test } from 'vitest';
import { LloydError } from '../../src/gpu/errors.ts';
import { readPth } from '../../src/io/pth.ts';
import { Global, pickle, Reduce } from './pickle-writer.ts';
import { bytesOf, checkpoint, dict, storage, tensor } from './pth-writer.ts';

const six = new Float32Array([0, 1, 2, 3, 4, 5]);
const one = (root: unknown) => checkpoint(root, { 0: six });
const whole = tensor(storage('FloatStorage', '0', 6), 0, [2, 3], [3, 1]);

describe('readPth', () => {
  test('a state dict of each dtype, parameters unwrapped, attributes passed over', () => {
    const parameter = new Reduce(new Global('torch._utils', '_rebuild_parameter'), [whole, true, dict()]);
    const root = new Reduce(
      new Global('collections', 'OrderedDict'),
      [
        [
          ['weight', parameter],
          ['half', tensor(storage('HalfStorage', '1', 2), 1, [1], [1])],
          ['brain', tensor(storage('BFloat16Storage', '2', 1), 0, [1], [1])],
          ['batches', tensor(storage('LongStorage', '3', 1), 0, [], [])],
        ],
      ],
      new Map([['_metadata', dict()]]),
    );
    const bytes = checkpoint(root, {
      0: six,
      1: new Uint16Array([1, 0x3c00]),
      2: new Uint16Array([0x3f80]),
      3: new BigInt64Array([-5n]),
    });
    expect([...readPth(bytes)]).toEqual([
      ['weight', { dtype: 'float32', dims: [2, 3], data: six }],
      ['half', { dtype: 'float16', dims: [1], data: new Uint16Array([0x3c00]) }],
      ['brain', { dtype: 'bfloat16', dims: [1], data: new Uint16Array([0x3f80]) }],
      ['batches', { dtype: 'int64', dims: [], data: new BigInt64Array([-5n]) }],
    ]);
  });

  test('a training checkpoint: state_dict is unwrapped, numbers and text are left out', () => {
    const state = new Map<string, unknown>([
      ['w', whole],
      ['note', 'x'],
    ]);
    const root = new Map<string, unknown>([
      ['epoch', 3],
      ['lr', 0.1],
      ['seed', 2n ** 70n],
      ['state_dict', state],
    ]);
    expect([...readPth(one(root)).keys()]).toEqual(['w']);
  });

  test.each(['numpy.core.multiarray', 'numpy._core.multiarray'])(
    'numpy scalars beside the state dict, as %s pickles them, are left out',
    (module) => {
      const dtype = new Reduce(
        new Global('numpy', 'dtype'),
        ['f8', false, true],
        [3, '<', null, null, null, -1, -1, 0],
      );
      const bytes = new Reduce(new Global('_codecs', 'encode'), ['\u0000\u00c3', 'latin1']);
      const scalar = new Reduce(new Global(module, 'scalar'), [dtype, bytes]);
      const root = new Map<string, unknown>([
        ['best', scalar],
        ['history', [scalar, new Map([['again', scalar]])]],
        [
          'state_dict',
          new Map<string, unknown>([
            ['w', whole],
            ['scale', scalar],
          ]),
        ],
      ]);
      expect([...readPth(one(root))]).toEqual([['w', { dtype: 'float32', dims: [2, 3], data: six }]]);
      // It stands for nothing that a tensor can be made of.
      const misused = new Map([['w', tensor(scalar, 0, [1], [1])]]);
      expect(() => readPth(one(misused))).toThrow(/a tensor must have a storage/);
    },
  );

  test('names are the file’s own, prefixes and order as they are', () => {
    const names = ['module.10.weight', 'module.2.weight', 'module.__proto__', '1', '0'];
    const root = new Map(names.map((name) => [name, whole]));
    expect([...readPth(one(root)).keys()]).toEqual(names);
  });

  test('any strides become row-major', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(3), { minLength: 1, maxLength: 4 }),
        fc.nat(3),
        fc.array(fc.nat(5), { minLength: 4 }),
        (dims, offset, steps) => {
          const strides = dims.map((_, axis) => steps[axis]);
          const reach = dims.reduce(
            (sum, dim, axis) => sum + Math.max(dim - 1, 0) * strides[axis],
            offset + 1,
          );
          const data = Float32Array.from({ length: reach }, (_, i) => i);
          const root = new Map([['w', tensor(storage('FloatStorage', '0', reach), offset, dims, strides)]]);
          let expected = [offset];
          dims.forEach((dim, axis) => {
            expected = expected.flatMap((at) =>
              Array.from({ length: dim }, (_, i) => at + i * strides[axis]),
            );
          });
          expect([...readPth(checkpoint(root, { 0: data })).get('w')!.data]).toEqual(expected);
        },
      ),
      { numRuns: 300, seed: 5 },
    );
  });

  test('the single stream that PyTorch before 1.6 wrote', () => {
    const root = new Map([
      ['a', tensor(storage('FloatStorage', '94', 6, true), 0, [3, 2], [1, 3])],
      ['b', tensor(storage('LongStorage', '95', 1, true), 0, [1], [1])],
    ]);
    const count = (n: bigint) => bytesOf(new BigInt64Array([n]));
    const parts = [
      pickle(0x1950a86a20f9469cfc6cn),
      pickle(1001),
      pickle(new Map([['little_endian', true]])),
      pickle(root),
      pickle(['94', '95']),
      count(6n),
      bytesOf(six),
      count(1n),
      bytesOf(new BigInt64Array([-5n])),
    ];
    const read = readPth(Buffer.concat(parts));
    expect([...read.get('a')!.data]).toEqual([0, 3, 1, 4, 2, 5]);
    expect([...read.get('b')!.data]).toEqual([-5n]);
    expect(() => readPth(Buffer.concat(parts).subarray(0, -4))).toThrow(
      /storage "95" must end within the file/,
    );
  });
});

describe('readPth refuses', () => {
  const evil = new Reduce(new Global('os', 'system'), ['touch /tmp/pwned']);
  const stored = (offset: number, dims: number[], strides: number[], count = 6) =>
    one(new Map([['w', tensor(storage('FloatStorage', '0', count), offset, dims, strides)]]));
  const cases: [string, Uint8Array, RegExp][] = [
    ['code to run, by name', one(new Map([['w', evil]])), /received "os.system"; save model.state_dict\(\)/],
    ['a whole model', one(new Reduce(new Global('__main__', 'VGG'), [])), /received "__main__.VGG"/],
    ['eval', one(new Reduce(new Global('builtins', 'eval'), ['1'])), /received "builtins.eval"/],
    [
      'calling what is no function',
      one(new Reduce(new Global('torch', 'FloatStorage'), [])),
      /only the allowed globals/,
    ],
    ['a bare tensor', one(whole), /must be a dict/],
    ['no tensors', one(new Map([['epoch', 1]])), /must hold tensors/],
    [
      'a tensor past its storage',
      stored(1, [6], [1]),
      /"w" must end within its storage of 6 elements; received "element 7"/,
    ],
    ['strides past the storage', stored(0, [2, 3], [4, 1]), /received "element 7"/],
    ['negative strides', stored(5, [6], [-1]), /non-negative strides/],
    ['a negative offset', stored(-1, [1], [1]), /non-negative storage offset/],
    ['ranks that differ', stored(0, [2, 3], [1]), /as many strides as dimensions/],
    ['a shape that no memory holds', stored(0, [2 ** 30, 4], [0, 0]), /fewer than 2\^31 elements/],
    [
      'a storage that is not there',
      checkpoint(new Map([['w', whole]]), {}),
      /"w" must have its storage in the file/,
    ],
    [
      'an unknown storage',
      one(new Map([['w', tensor(storage('QInt8Storage', '0', 6), 0, [6], [1])]])),
      /received "torch.QInt8Storage"/,
    ],
    [
      'big-endian',
      checkpoint(new Map([['w', whole]]), { 0: six }, 'big'),
      /must be little-endian; received "big"/,
    ],
    ['a zip of something else', zipSync({ 'a.txt': strToU8('x') }), /must hold data.pkl/],
    ['a zip cut off', one(new Map([['w', whole]])).subarray(0, 300), /must be a whole zip archive/],
    ['another format', new TextEncoder().encode('hello, world'), /must be a file of torch.save/],
    ['nothing', new Uint8Array(0), /must be a file of torch.save/],
  ];
  test.each(cases)('%s', (_, bytes, reason) => {
    expect(() => readPth(bytes)).toThrow(LloydError);
    expect(() => readPth(bytes)).toThrow(reason);
  });

  test('any damage to a pickle with a LloydError', () => {
    const good = pickle(new Map([['w', whole]]));
    fc.assert(
      fc.property(
        fc.nat(good.length - 1),
        fc.nat(255),
        fc.integer({ min: 1, max: good.length }),
        (at, value, length) => {
          const bad = good.slice(0, length);
          if (at < length) bad[at] = value;
          const bytes = zipSync({ 'a/data.pkl': bad, 'a/data/0': bytesOf(six) }, { level: 0 });
          try {
            readPth(bytes);
          } catch (error) {
            if (!(error instanceof LloydError)) throw error;
          }
        },
      ),
      { numRuns: 2000, seed: 6 },
    );
  });
});
