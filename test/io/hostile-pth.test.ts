import { deflateSync } from 'fflate';
import { describe, expect, test } from 'vitest';
import { LloydError } from '../../src/gpu/errors.ts';
import { crc32 } from '../../src/io/crc32.ts';
import { readPth } from '../../src/io/pth.ts';
import { Global, PersistentId, pickle, Reduce } from './pickle-writer.ts';
import { type ZipEnd, type ZipEntry, zip } from './zip-writer.ts';

/** Of this process: a busy machine changes nothing. */
const processorMs = () => process.cpuUsage().user / 1000;
const bytesOf = (data: ArrayBufferView) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
const six = new Float32Array([0, 1, 2, 3, 4, 5]);
const storage = (count = 6, type = 'FloatStorage') =>
  new PersistentId(['storage', new Global('torch', type), '0', 'cpu', count]);
const tensor = (dims: unknown, strides: unknown, from = storage(), offset = 0) =>
  new Reduce(new Global('torch._utils', '_rebuild_tensor_v2'), [from, offset, dims, strides, false, null]);
const whole = pickle(new Map([['w', tensor([2, 3], [3, 1])]]));
const sixBytes: ZipEntry = { name: 'a/data/0', data: bytesOf(six) };
const archive = (root: Uint8Array, more: ZipEntry[] = [sixBytes], end?: ZipEnd) =>
  zip([{ name: 'a/data.pkl', data: root }, ...more], end);

/** Opcodes by hand: what no pickler writes. */
const raw = (...parts: (number | string | number[] | Uint8Array)[]) => {
  const bytes = parts.flatMap((part) =>
    typeof part === 'number'
      ? [part]
      : typeof part === 'string'
        ? [...new TextEncoder().encode(part)]
        : [...part],
  );
  return Uint8Array.from([0x80, 2, ...bytes, 0x2e]);
};
const u32 = (value: number) => [value & 255, (value >> 8) & 255, (value >> 16) & 255, value >>> 24];
const text = (value: string) => [0x58, ...u32(value.length), ...new TextEncoder().encode(value)];
const inner = (value: unknown) => pickle(value).subarray(2, -1);
/** `depth` lists of `width` references each to the one before. */
const graph = (depth: number, width: number) => {
  const out = [0x5d, 0x71, 0];
  for (let i = 1; i <= depth; i++) {
    out.push(0x5d, 0x28);
    for (let k = 0; k < width; k++) out.push(0x68, i - 1);
    out.push(0x65, 0x71, i);
  }
  return out;
};
const rebuild = [0x63, ...new TextEncoder().encode('torch._utils\n_rebuild_tensor_v2\n')];

describe('a checkpoint asks for no more than its file is worth', () => {
  const deflated = deflateSync(new Uint8Array(2 ** 26), { level: 9 });
  const bombs: [string, () => Uint8Array, RegExp][] = [
    [
      'strides of zero',
      () => archive(pickle(new Map([['w', tensor([2 ** 28], [0])]]))),
      /at most \d+ bytes or steps/,
    ],
    [
      'the same strides of zero a thousand times',
      () => {
        const entries = Array.from(
          { length: 1000 },
          (_, i) => [`w${i}`, tensor([100, 1000], [0, 0])] as const,
        );
        return archive(pickle(new Map(entries)));
      },
      /tensors that are not row-major must take at most/,
    ],
    [
      'deflate ratios of a thousand',
      () => {
        const data = { data: deflated, method: 8, fileBytes: 2 ** 26, crc: 1 };
        return archive(whole, [{ name: 'a/data/0', ...data }]);
      },
      /inflated entries must take at most \d+ bytes/,
    ],
    [
      'an entry that inflates to more than it says',
      () => archive(whole, [{ name: 'a/data/0', data: deflated, method: 8, fileBytes: 24, crc: 1 }]),
      /must inflate to 24 bytes; received "more"/,
    ],
    [
      'an entry that says 4 GB',
      () =>
        archive(whole, [{ name: 'a/data/0', data: Uint8Array.of(3, 0), method: 8, fileBytes: 0xfffffffe }]),
      /inflated entries must take at most/,
    ],
    [
      'an integer of 3 MB',
      () => archive(raw(0x8b, u32(3_000_000), new Uint8Array(3_000_000).fill(0x7f))),
      /at most 32 bytes/,
    ],
    ['a dict a byte', () => archive(raw(new Uint8Array(2_000_000).fill(0x7d))), /values must take at most/],
    [
      'a memo entry a byte',
      () => archive(raw(0x4e, new Uint8Array(4_000_000).fill(0x94))),
      /values must take at most/,
    ],
    [
      'the same pairs made a dict again and again',
      () => {
        const pair = [...text('k'), 0x4e, 0x86];
        const pairs = [0x28, ...Array(5000).fill(pair).flat(), 0x74, 0x71, 0];
        const call = [0x63, ...new TextEncoder().encode('collections\nOrderedDict\n'), 0x71, 1, 0x30];
        const again = [0x68, 1, 0x68, 0, 0x85, 0x52, 0x30];
        return archive(raw(pairs, call, Array(5000).fill(again).flat()));
      },
      /dicts must take at most/,
    ],
  ];
  test.each(bombs)('%s', (_, make, reason) => {
    const bytes = make();
    const start = processorMs();
    expect(() => readPth(bytes)).toThrow(reason);
    expect(processorMs() - start).toBeLessThan(10_000);
  });

  test('strides of zero and views of one storage are read where they are small', () => {
    const root = new Map<string, unknown>([['expanded', tensor([1000, 1000], [0, 0])]]);
    for (let i = 0; i < 1000; i++) root.set(`view${i}`, tensor([6], [1]));
    const tensors = readPth(archive(pickle(root)));
    expect(tensors.get('expanded')!.data.length).toBe(1_000_000);
    expect(new Set([...tensors.values()].slice(1).map(({ data }) => data.buffer)).size).toBe(1);
  });
});

describe('graphs of shared lists are never walked', () => {
  const cases: [string, Uint8Array, RegExp][] = [
    ['as the root', raw(graph(28, 2)), /must be a dict/],
    ['of great width', raw(graph(12, 8)), /must be a dict/],
    ['a list that holds itself', raw(0x5d, 0x71, 0, 0x68, 0, 0x61), /must be a dict/],
    ['50,000 lists deep', raw(Array(50_000).fill(0x5d), Array(49_999).fill(0x61)), /must be a dict/],
    ['as the name of a global', raw(graph(28, 2), text('x'), 0x93), /must name its globals by text/],
    ['as a key', raw(graph(29, 2), 0x7d, 0x68, 29, 0x4e, 0x73), /no dict and no list/],
    [
      'as a key within a tuple',
      raw(graph(29, 2), 0x7d, 0x68, 29, 0x85, inner(tensor([6], [1])), 0x73),
      /named by text/,
    ],
    ['as a persistent id', raw(graph(29, 2), 0x51), /must name a storage/],
    [
      'as the key of a storage',
      raw(
        graph(29, 2),
        [0x28, ...text('storage'), ...inner(new Global('torch', 'FloatStorage'))],
        [0x68, 29, ...text('cpu'), 0x4b, 6, 0x74, 0x51],
      ),
      /a storage must be named by text/,
    ],
    [
      'as dimensions',
      raw(graph(29, 2), rebuild, 0x28, inner(storage()), 0x4b, 0, 0x68, 29, 0x68, 29, 0x74, 0x52),
      /non-negative dimensions/,
    ],
  ];
  test.each(cases)('%s', (_, root, reason) => {
    const start = processorMs();
    let message = '';
    try {
      readPth(archive(root));
    } catch (error) {
      expect(error).toBeInstanceOf(LloydError);
      message = (error as LloydError).message;
    }
    expect(message).toMatch(reason);
    expect(message.length).toBeLessThan(2000);
    expect(processorMs() - start).toBeLessThan(2000);
  });
});

describe('values are as they were checked', () => {
  const lists = [
    0x28,
    ...inner(storage()),
    0x4b,
    0,
    0x5d,
    0x71,
    1,
    0x4b,
    6,
    0x61,
    0x5d,
    0x71,
    2,
    0x4b,
    1,
    0x61,
    0x74,
  ];
  test.each([
    ['a dimension', [0x68, 1, 0x4b, 2, 0x61, 0x30]],
    ['a stride', [0x68, 2, 0x47, 0x3f, 0xe0, 0, 0, 0, 0, 0, 0, 0x61, 0x30]],
  ])('%s appended after the tensor is made changes nothing', (_, append) => {
    const root = raw(0x7d, text('w'), rebuild, lists, 0x52, append, 0x73);
    expect(readPth(archive(root)).get('w')).toEqual({ dtype: 'float32', dims: [6], data: six });
  });

  test('a tuple takes no more items', () => {
    expect(() => readPth(archive(raw(0x29, 0x4e, 0x61)))).toThrow(/append to lists only/);
  });
});

describe('the rules of pickles and of torch.save', () => {
  const cases: [string, Uint8Array, RegExp][] = [
    ['a protocol of tomorrow', Uint8Array.of(0x80, 6, 0x4e, 0x2e), /protocol must be at most 5/],
    ['text that is no UTF-8', raw(0x58, u32(1), 0xff), /must be UTF-8/],
    ['an odd dict', raw(0x28, 0x4e, 0x64), /keys and values in pairs/],
    ['a memo of nothing', raw(0x94), /top of an empty stack/],
    [
      '65 dimensions',
      pickle(new Map([['w', tensor(Array(65).fill(1), Array(65).fill(1))]])),
      /at most 64 dimensions/,
    ],
    [
      'a storage of another count',
      pickle(new Map([['w', tensor([2], [1], storage(2))]])),
      /must have the 2 elements of its pickle; received 6/,
    ],
    [
      'one storage of two counts',
      pickle(
        new Map([
          ['v', tensor([2], [1])],
          ['w', tensor([2], [1], storage(2))],
        ]),
      ),
      /must have one count/,
    ],
    ['a tensor named by a number', pickle(new Map([[1, tensor([2], [1])]])), /named by text/],
  ];
  test.each(cases)('%s', (_, root, reason) => {
    expect(() => readPth(archive(root))).toThrow(LloydError);
    expect(() => readPth(archive(root))).toThrow(reason);
  });
});

describe('the rules of zip', () => {
  const good: ZipEntry[] = [{ name: 'a/data.pkl', data: whole }, sixBytes];
  const change = (index: number, fields: Partial<ZipEntry>, end?: ZipEnd) =>
    zip(
      good.map((entry, i) => (i === index ? { ...entry, ...fields } : entry)),
      end,
    );
  const flipped = zip(good);
  flipped[30 + 'a/data.pkl'.length + whole.length + 30 + 'a/data/0'.length + 5] ^= 0x40;
  const packed = deflateSync(bytesOf(six));
  const cases: [string, Uint8Array, RegExp][] = [
    ['a bit turned over', flipped, /"a\/data\/0" must have the checksum/],
    [
      'a checksum of inflated data',
      change(1, { data: packed, method: 8, fileBytes: 24, crc: 7 }),
      /must have the checksum/,
    ],
    [
      'no deflated data',
      change(1, { data: Uint8Array.of(7, 7, 7), method: 8, fileBytes: 24 }),
      /must be deflated data/,
    ],
    [
      'too few inflated bytes',
      change(1, { data: packed, method: 8, fileBytes: 25, crc: 1 }),
      /must inflate to 25 bytes; received 24/,
    ],
    [
      'entries that overlap',
      zip([...good, { ...sixBytes, name: 'a/data/1', at: 0 }]),
      /must not overlap|that name in its own header/,
    ],
    [
      '4,000 names of one entry',
      zip([...good, ...Array.from({ length: 4000 }, (_, i) => ({ ...sixBytes, name: `x${i}`, at: 0 }))]),
      /whole zip archive/,
    ],
    ['a name twice', zip([...good, sixBytes]), /names of their own; received "a\/data\/0"/],
    ['another name in its header', change(1, { localName: 'a/data/1' }), /that name in its own header/],
    [
      'another method in its header',
      zip([good[0], { ...sixBytes, data: packed, fileBytes: 24, at: undefined, method: 12 }]),
      /stored or deflated; received "method 12"/,
    ],
    ['an encrypted entry', change(1, { flags: 1 }), /must not be encrypted/],
    ['a stored entry of two sizes', change(1, { fileBytes: 25 }), /stored in its own size/],
    [
      'an entry that runs into the directory',
      change(1, { size: 1000, fileBytes: 1000 }),
      /end before the directory/,
    ],
    ['an entry past the end', change(1, { at: 1_000_000 }), /must have a header/],
    ['sizes that no ZIP64 field holds', change(1, { size: 0xffffffff }), /must be in the ZIP64 field/],
    [
      'a ZIP64 field cut off',
      change(1, { size: 0xffffffff, extra: Uint8Array.of(1, 0, 4, 0, 1, 2, 3, 4) }),
      /ZIP64 field/,
    ],
    ['more entries than there are', change(0, {}, { count: 9 }), /each directory entry must be whole/],
    ['fewer', change(0, {}, { count: 1 }), /the 1 entries that it counts/],
    ['a directory elsewhere', change(0, {}, { start: 3 }), /lie before the record/],
    ['several parts', change(0, {}, { disk: 1 }), /in one part/],
    ['bytes after it', Uint8Array.of(...zip(good), 0), /must end with a directory/],
    ['two pickles', zip([...good, { name: 'b/data.pkl', data: whole }]), /data.pkl, once/],
  ];
  test.each(cases)('%s', (_, bytes, reason) => {
    expect(() => readPth(bytes)).toThrow(LloydError);
    expect(() => readPth(bytes)).toThrow(reason);
  });

  test('deflated entries, a comment, a prototype’s name, and a checksum left out are read', () => {
    const files = [
      change(1, { data: packed, method: 8, fileBytes: 24, crc: crc32(bytesOf(six)) }),
      change(0, {}, { comment: 'PK\u0005\u0006 and more' }),
      zip([...good, { name: '__proto__', data: new Uint8Array(3) }]),
      change(1, { crc: 0 }),
    ];
    for (const bytes of files) expect(readPth(bytes).get('w')!.data).toEqual(six);
  });
});

test('crc32 of the usual check string, of every length', () => {
  expect(crc32(new TextEncoder().encode('123456789'))).toBe(0xcbf43926);
  const byBit = (bytes: Uint8Array) => {
    let crc = -1;
    for (const byte of bytes) {
      crc ^= byte;
      for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return ~crc >>> 0;
  };
  for (let length = 0; length < 20; length++) {
    const bytes = Uint8Array.from({ length }, (_, i) => (i * 97 + length) & 255);
    expect(crc32(bytes)).toBe(byBit(bytes));
  }
});
