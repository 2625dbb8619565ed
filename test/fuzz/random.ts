/** A seeded source of choices; the same seed makes the same input on every machine. */
export class Random {
  private state: number;

  constructor(seed: number) {
    this.state = seed >>> 0;
  }

  /** Uniform in 0 to 1 (mulberry32). */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let t = this.state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }
  /** 0 to `end` - 1. */
  int(end: number): number {
    return Math.floor(this.next() * end);
  }
  chance(probability: number): boolean {
    return this.next() < probability;
  }
  pick<T>(values: readonly T[]): T {
    return values[this.int(values.length)];
  }
  list<T>(count: number, make: (index: number) => T): T[] {
    return Array.from({ length: count }, (_, i) => make(i));
  }
  bytes(count: number): Uint8Array {
    return Uint8Array.from({ length: count }, () => this.int(256));
  }
  shuffled<T>(values: readonly T[]): T[] {
    const out = [...values];
    for (let i = out.length - 1; i > 0; i--) {
      const j = this.int(i + 1);
      [out[i], out[j]] = [out[j], out[i]];
    }
    return out;
  }
}

export function concat(...parts: readonly (Uint8Array | readonly number[])[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

const BYTES = [0, 1, 0x7f, 0x80, 0xff, 0x22, 0x2c, 0x2e, 0x28, 0x52, 0x5b, 0x5d, 0x7b, 0x7d];

/** One to four small damages: bits, bytes, words, cuts, copies of a part, parts of another input. */
export function damaged(random: Random, bytes: Uint8Array, other: Uint8Array = bytes): Uint8Array {
  let out = bytes;
  for (let n = 1 + random.int(4); n > 0; n--) {
    const { length } = out;
    const at = random.int(length + 1);
    const view = () => {
      // Not out.slice(): Node's Buffer overrides it to return a view.
      out = Uint8Array.from(out);
      return new DataView(out.buffer);
    };
    switch (random.int(9)) {
      case 0:
        if (at < length) view().setUint8(at, out[at] ^ (1 << random.int(8)));
        break;
      case 1:
        if (at < length) view().setUint8(at, random.pick(BYTES));
        break;
      case 2:
        out = out.subarray(0, at);
        break;
      case 3:
        out = concat(out.subarray(0, at), random.bytes(1 + random.int(9)), out.subarray(at));
        break;
      case 4:
        out = concat(out.subarray(0, at), out.subarray(at + 1 + random.int(64)));
        break;
      case 5: {
        const word = random.pick([0, 1, 0xffffffff, 0x7fffffff, 0x80000000, length, length - 8, 0x10000]);
        if (at + 4 <= length) view().setUint32(at, word, true);
        break;
      }
      case 6: {
        const long = random.pick([
          0n,
          1n,
          2n ** 64n - 1n,
          2n ** 63n,
          2n ** 53n,
          100_000_001n,
          BigInt(length),
        ]);
        if (length >= 8) view().setBigUint64(random.chance(0.5) ? 0 : Math.min(at, length - 8), long, true);
        break;
      }
      case 7: {
        const from = random.int(length + 1);
        out = concat(out.subarray(0, at), out.subarray(from, from + 1 + random.int(64)), out.subarray(at));
        break;
      }
      default: {
        const from = random.int(other.length + 1);
        out = concat(out.subarray(0, at), other.subarray(from, from + random.int(other.length - from + 1)));
      }
    }
  }
  return out;
}

/** JSON values that readers get wrong. */
export const NASTY = [
  ...['0', '-1', '1', '2', '1e2', '1.5', '2.0', '-0', '4294967296', '9007199254740991', '9007199254740993'],
  ...[
    '18446744073709551616',
    '1e308',
    '1e400',
    'null',
    'true',
    '""',
    '"F32"',
    '[]',
    '{}',
    '[1]',
    '[[]]',
    '00',
  ],
  ...['"\\u0000"', '"__proto__"', '0x10', 'NaN', '[0,0]', '[4,0]', '"\\ud800"', '[1,]', '"\\u001b[2J"'],
];
export const KEYS = [
  ...['__proto__', 'constructor', 'prototype', 'toString', '__metadata__', 'hasOwnProperty', '0', '1', ''],
  ...['a', 'a.codes', 'a.codebook', 'length', '\\u0061', 'dtype', 'shape', 'data_offsets', 'dims', 'bits'],
];

/** A JSON text edited as text: values replaced by `values`, keys renamed or doubled, parts cut. */
export function damagedJson(random: Random, text: string, values: readonly string[] = NASTY): string {
  let out = text;
  const replace = (pattern: RegExp, by: () => string) => {
    const found = [...out.matchAll(pattern)];
    if (found.length === 0) return;
    const match = random.pick(found);
    out = out.slice(0, match.index) + by() + out.slice(match.index + match[0].length);
  };
  for (let n = 1 + random.int(2); n > 0; n--) {
    switch (random.int(6)) {
      case 0:
      case 1:
        replace(/-?\d+(\.\d+)?(e-?\d+)?/g, () => random.pick(values));
        break;
      case 2:
        replace(/"[^"]*"/g, () => (random.chance(0.5) ? `"${random.pick(KEYS)}"` : random.pick(values)));
        break;
      case 3:
        replace(/\[[^[\]{}]*\]|\{[^{}]*\}/g, () => random.pick(values));
        break;
      case 4:
        if (random.chance(0.2)) out = random.pick(values);
        break;
      default:
        replace(/\{/g, () => `{"${random.pick(KEYS)}":${random.pick(values)},`);
    }
  }
  return out;
}
