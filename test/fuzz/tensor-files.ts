// Inputs for the readers of tensors: safetensors by its grammar, checkpoints by pickle opcodes within zip archives.
import { deflateSync } from 'fflate';
import { readPth } from '../../src/io/pth.ts';
import { readSafetensors, writeSafetensors } from '../../src/io/safetensors.ts';
import { DTYPE_ARRAYS, type DType, type Tensor } from '../../src/io/tensor.ts';
import { type ZipEntry, zip } from '../io/zip-writer.ts';
import { concat, damaged, damagedJson, KEYS, NASTY, type Random } from './random.ts';
import type { Target } from './target.ts';

const CODES: Record<string, DType> = {
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
  F64: 'float64',
  I8: 'int8',
  U8: 'uint8',
  I16: 'int16',
  U16: 'uint16',
  I32: 'int32',
  U32: 'uint32',
  I64: 'int64',
  U64: 'uint64',
  BOOL: 'bool',
};

export function safetensors(header: string, body: Uint8Array, headerBytes?: number | bigint): Uint8Array {
  const text = new TextEncoder().encode(header);
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(headerBytes ?? text.length), true);
  return concat(length, text, body);
}

function makeSafetensors(random: Random): Uint8Array {
  let at = 0;
  const entries = random.list(random.int(5), (i) => {
    const code = random.chance(0.95)
      ? random.pick(Object.keys(CODES))
      : random.pick(['F8', 'C64', 'f32', '']);
    const dims = random.list(random.int(4), () => random.int(4));
    const bytes =
      dims.reduce((a, b) => a * b, 1) * (CODES[code] ? DTYPE_ARRAYS[CODES[code]].BYTES_PER_ELEMENT : 1);
    const begin = at + (random.chance(0.03) ? random.int(5) - 2 : 0);
    const end = at + bytes + (random.chance(0.03) ? random.int(5) - 2 : 0);
    at += bytes;
    const shape = random.chance(0.03)
      ? `[${dims.map((dim) => random.pick([`${dim}.0`, `${dim}e0`, `-${dim}`]))}]`
      : `[${dims}]`;
    const fields = [`"dtype":"${code}"`, `"shape":${shape}`, `"data_offsets":[${begin},${end}]`];
    if (random.chance(0.05)) fields.push(`"${random.pick(KEYS)}":${random.pick(NASTY)}`);
    if (random.chance(0.02)) fields.splice(random.int(fields.length), 1);
    if (random.chance(0.02)) fields.push(random.pick(fields));
    return `"${random.chance(0.1) ? random.pick(KEYS) : `t${i}`}":{${random.shuffled(fields)}}`;
  });
  if (random.chance(0.3))
    entries.push(`"__metadata__":{"format":"pt"${random.chance(0.1) ? ',"format":"x"' : ''}}`);
  if (random.chance(0.02) && entries.length > 0) entries.push(random.pick(entries));
  let header = `{${random.shuffled(entries).join(random.chance(0.1) ? ' , ' : ',')}}`;
  if (random.chance(0.1)) header = damagedJson(random, header);
  if (random.chance(0.03)) header = random.pick([' ', '\n', '\ufeff', '[', 'x']) + header;
  if (random.chance(0.05)) header += random.pick([' ', '\n', '\0', 'x', ',', '        ']);
  const body = random.bytes(Math.max(0, at + (random.chance(0.03) ? random.int(9) - 4 : 0)));
  const bytes = safetensors(
    header,
    body,
    random.chance(0.02) ? random.pick([0, 1, 2 ** 40, 100_000_001]) : undefined,
  );
  return random.chance(0.2) ? damaged(random, bytes) : bytes;
}

/** The format's rules, checked on the text by `JSON.parse` and regular expressions instead of by the reader. */
function safetensorsBroken(
  file: { tensors: Map<string, Tensor>; metadata: Record<string, string> },
  bytes: Uint8Array,
) {
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
    bytes.subarray(8, 8 + length),
  );
  if (!text.startsWith('{')) return 'a header that does not begin with {';
  const header = JSON.parse(text) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  const { __metadata__: metadata = {}, ...entries } = header;
  if (Object.values(metadata).some((value) => typeof value !== 'string')) return 'metadata that is no text';
  const names = Object.keys(entries);
  if (names.length !== file.tensors.size) return 'tensors that the header does not have';
  if (/"(shape|data_offsets)"\s*:\s*\[[^\]]*[.eE-]/.test(text)) return 'sizes that are no integers';
  let at = 0;
  for (const {
    data_offsets: [begin, end],
  } of Object.values(entries).sort(
    (a, b) => a.data_offsets[0] - b.data_offsets[0] || a.data_offsets[1] - b.data_offsets[1],
  )) {
    if (begin !== at || end < begin) return 'a hole or an overlap';
    at = end;
  }
  if (8 + length + at !== bytes.length) return 'bytes left over, or missing';
  for (const [name, { dtype, dims, data }] of file.tensors) {
    const entry = entries[name];
    if (CODES[entry?.dtype] !== dtype || String(entry.shape) !== String(dims))
      return 'another tensor than the header has';
    const [begin, end] = entry.data_offsets;
    if (data.byteLength !== end - begin || data.length !== dims.reduce((a, b) => a * b, 1))
      return 'another size';
    const own = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    if (Buffer.compare(own, bytes.subarray(8 + length + begin, 8 + length + end)) !== 0) return 'other bytes';
  }
  const again = readSafetensors(writeSafetensors(file.tensors, file.metadata));
  return again.tensors.size === file.tensors.size ? undefined : 'a file that does not survive writing';
}

const u32 = (value: number) => [value & 255, (value >>> 8) & 255, (value >>> 16) & 255, value >>> 24];
const ascii = (text: string) => [...new TextEncoder().encode(text)];
const string = (text: string) => [0x58, ...u32(ascii(text).length), ...ascii(text)];
const integer = (value: number) => [0x4a, ...u32(value)];
const tuple = (...items: number[][]) => [0x28, ...items.flat(), 0x74];
const list = (...items: number[][]) => [0x5d, 0x28, ...items.flat(), 0x65];
const dict = (...pairs: number[][][]) => [0x7d, 0x28, ...pairs.flat(2), 0x75];
const named = (module: string, name: string) => [0x63, ...ascii(`${module}\n${name}\n`)];
const call = (callee: number[], args: number[]) => [...callee, ...args, 0x52];
const pickled = (value: number[]) => Uint8Array.from([0x80, 2, ...value, 0x2e]);

const STORAGES = ['FloatStorage', 'IntStorage', 'HalfStorage', 'ByteStorage', 'DoubleStorage', 'LongStorage'];
const WIDTHS = [4, 4, 2, 1, 8, 8];
const NAMES = ['w', 'state_dict', 'model', '__proto__', 'b', '0', 'constructor', 'module.w'];
const GLOBALS: [string, string][] = [
  ['os', 'system'],
  ['builtins', 'eval'],
  ['collections', 'OrderedDict'],
  ['torch', 'Size'],
  ['torch._utils', '_rebuild_parameter'],
  ['torch', 'FloatStorage'],
  ['numpy.core.multiarray', 'scalar'],
  ['constructor', 'constructor'],
];
const ODD = [
  0x28, 0x30, 0x31, 0x4e, 0x51, 0x52, 0x61, 0x62, 0x65, 0x73, 0x75, 0x81, 0x85, 0x86, 0x87, 0x93, 0x94,
];

const storage = (type: string, key: string, count: number) => [
  ...tuple(string('storage'), named('torch', type), string(key), string('cpu'), integer(count)),
  0x51,
];
const rebuilt = (from: number[], offset: number, dims: number[], strides: number[]) =>
  call(
    named('torch._utils', '_rebuild_tensor_v2'),
    tuple(from, integer(offset), tuple(...dims.map(integer)), tuple(...strides.map(integer)), [0x89], [0x4e]),
  );

/** Of 24 bytes under the storage's own name. */
function makeTensor(random: Random): number[] {
  const kind = random.int(STORAGES.length);
  const count = 24 / WIDTHS[kind];
  const shapes: [number[], number[]][] = [
    [[count], [1]],
    [
      [1, count],
      [count, 1],
    ],
    [
      [3, count / 3],
      [count / 3, 1],
    ],
    [
      [count / 3, 3],
      [1, count / 3],
    ],
    [[], []],
    [
      [0, 3],
      [3, 1],
    ],
    [
      [2, 2],
      [0, 1],
    ],
    [[count - 1], [1]],
  ];
  const [dims, strides] = random.pick(shapes);
  const type = STORAGES[kind];
  if (random.chance(0.85))
    return rebuilt(storage(type, type, count), random.chance(0.1) ? 1 : 0, dims, strides);
  const wrong = random.pick<[number[], number[]]>([
    [
      [1024, 1024],
      [0, 0],
    ],
    [
      [2 ** 30, 4],
      [0, 0],
    ],
    [[3], [-1]],
    [[-1], [1]],
    [[2, 3], [3]],
    [new Array(65).fill(1), new Array(65).fill(1)],
  ]);
  const key = random.pick([type, '../0', '__proto__', 'x']);
  return rebuilt(
    storage(type, key, random.pick([count, 0, -1, 1e9])),
    random.int(9) - 1,
    ...random.pick([wrong, [dims, strides] as [number[], number[]]]),
  );
}

function makeValue(random: Random, depth: number): number[] {
  const inner = () => makeValue(random, depth + 1);
  if (depth > 4) return integer(random.int(9));
  switch (random.int(14)) {
    case 0:
      return dict(...random.list(random.int(4), () => [string(random.pick(NAMES)), inner()]));
    case 1:
      return list(...random.list(random.int(4), inner));
    case 2:
      return tuple(...random.list(random.int(4), inner));
    case 3:
      return [...inner(), 0x71, random.int(4)];
    case 4:
      return [0x68, random.int(4)];
    case 5:
      return call(named(...random.pick(GLOBALS)), random.chance(0.8) ? tuple(inner()) : inner());
    case 6:
      return [...inner(), ...inner(), 0x62];
    case 7:
      return random.pick([
        [0x4e],
        [0x88],
        [0x47, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0],
        [0x8a, 1, 5],
        [0x8b, ...u32(9), ...new Array(9).fill(255)],
      ]);
    case 8:
      return [...inner(), random.pick(ODD)];
    case 9:
      return [...string(random.pick(NAMES)), ...string('x'), 0x93];
    default:
      return makeTensor(random);
  }
}

function makePickle(random: Random): Uint8Array {
  const entries = random.list(1 + random.int(4), () => [
    random.chance(0.95) ? string(random.pick(NAMES)) : makeValue(random, 3),
    random.chance(0.8) ? makeTensor(random) : makeValue(random, 0),
  ]);
  const bytes = pickled(random.chance(0.95) ? dict(...entries) : makeValue(random, 0));
  return random.chance(0.2) ? damaged(random, bytes) : bytes;
}

const content = Uint8Array.from({ length: 24 }, (_, i) => i * 11);

function makeArchive(random: Random): Uint8Array {
  const root = makePickle(random);
  const entry = (name: string, data: Uint8Array): ZipEntry => {
    if (random.chance(0.85)) return { name, data };
    if (random.chance(0.6))
      return {
        name,
        data: deflateSync(data),
        method: 8,
        fileBytes: data.length,
        crc: random.chance(0.9) ? crc(data) : 1,
      };
    const lies: Partial<ZipEntry>[] = [
      { crc: 1 },
      { at: random.int(300) },
      { size: random.pick([0, 1, 25, 0xffffffff]) },
      { fileBytes: random.pick([0, 2 ** 26, 0xfffffffe]) },
      { localName: 'x' },
      { flags: 1 },
      { method: random.pick([8, 12]) },
      { extra: random.bytes(random.int(20)) },
    ];
    return { name, data, ...random.pick(lies) };
  };
  const entries = [entry('a/data.pkl', root), ...STORAGES.map((type) => entry(`a/data/${type}`, content))];
  if (random.chance(0.1))
    entries.push(
      entry(
        random.pick(['__proto__', '../../x', 'b/data.pkl', 'a/byteorder', 'a/data/0']),
        random.bytes(random.int(40)),
      ),
    );
  const end = random.chance(0.05)
    ? random.pick([{ count: 3 }, { start: 9 }, { disk: 1 }, { comment: 'PK\u0005\u0006' }, { size: 1 }])
    : {};
  return zip(random.chance(0.2) ? random.shuffled(entries) : entries, end);
}

/** By a polynomial division, bit by bit: not the reader's. */
function crc(bytes: Uint8Array): number {
  let value = -1;
  for (const byte of bytes) {
    value ^= byte;
    for (let bit = 0; bit < 8; bit++) value = (value >>> 1) ^ (value & 1 ? 0xedb88320 : 0);
  }
  return ~value >>> 0;
}

function makeLegacy(random: Random): Uint8Array {
  const magic = [0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e];
  const count = new Uint8Array(8);
  const kind = random.int(STORAGES.length);
  count[0] = random.chance(0.95) ? 24 / WIDTHS[kind] : 7;
  const type = STORAGES[kind];
  const root = random.chance(0.7)
    ? pickled(dict([string('w'), rebuilt(storage(type, type, 24 / WIDTHS[kind]), 0, [3], [1])]))
    : makePickle(random);
  return concat(
    magic,
    pickled([0x4d, 0xe9, 3]),
    pickled(dict([string('little_endian'), [random.chance(0.95) ? 0x88 : 0x89]])),
    root,
    pickled(list(string(type), ...(random.chance(0.1) ? [string(type)] : []))),
    count,
    content,
  );
}

function tensorsBroken(tensors: Map<string, Tensor>): string | undefined {
  for (const [name, { dtype, dims, data }] of tensors) {
    if (typeof name !== 'string') return 'a name that is no text';
    if (!dims.every((dim) => Number.isSafeInteger(dim) && dim >= 0)) return 'dimensions that are no integers';
    if (data.length !== dims.reduce((a, b) => a * b, 1)) return 'another size than the shape’s';
    if (!(data instanceof DTYPE_ARRAYS[dtype])) return 'another array than the dtype’s';
  }
  return undefined;
}

export const tensorFiles: Target<Uint8Array>[] = [
  {
    name: 'safetensors',
    kind: 'reader',
    make: makeSafetensors,
    run: readSafetensors,
    verify: safetensorsBroken,
  },
  {
    name: 'pth',
    kind: 'reader',
    make: (random) => {
      const bytes = random.chance(0.2) ? makeLegacy(random) : makeArchive(random);
      return random.chance(0.15) ? damaged(random, bytes) : bytes;
    },
    run: readPth,
    verify: tensorsBroken,
  },
];
