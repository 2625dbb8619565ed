import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LloydError } from '../../src/gpu/errors.ts';
import {
  arrayOver,
  type DType,
  elementCount,
  float16ToFloat32,
  float32ToFloat16,
  toFloat32,
} from '../../src/io/tensor.ts';

const ALL_HALVES = Uint16Array.from({ length: 65536 }, (_, bits) => bits);

/** The definition, read straight from IEEE 754. */
function halfValue(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 31;
  const mantissa = bits & 0x3ff;
  if (exponent === 31) return mantissa ? Number.NaN : sign * Infinity;
  return sign * (exponent === 0 ? mantissa * 2 ** -24 : (1024 + mantissa) * 2 ** (exponent - 25));
}

/** The nearest half by search over all of them, the even one at a tie. */
const POSITIVE = Array.from({ length: 0x7c00 }, (_, bits) => halfValue(bits));
function nearestHalf(value: number): number {
  const magnitude = Math.abs(value);
  const sign = Object.is(value, -0) || value < 0 ? 0x8000 : 0;
  let low = 0;
  let high = POSITIVE.length - 1;
  if (magnitude >= 65520) return sign | 0x7c00;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (POSITIVE[middle] <= magnitude) low = middle;
    else high = middle - 1;
  }
  const below = magnitude - POSITIVE[low];
  const above = (POSITIVE[low + 1] ?? 65536) - magnitude;
  return sign | (above < below || (above === below && low % 2 === 1) ? low + 1 : low);
}

describe('float16', () => {
  test('all 65,536 halves decode to their value and encode to themselves', () => {
    const values = float16ToFloat32(ALL_HALVES);
    for (let bits = 0; bits < 65536; bits++) {
      if (!Object.is(values[bits], halfValue(bits)))
        throw new Error(`0x${bits.toString(16)} gives ${values[bits]}`);
    }
    expect(float32ToFloat16(values)).toEqual(ALL_HALVES);
  });

  test('every midpoint between neighbours goes to the even one, and its float32 neighbours do not', () => {
    const bits = new Uint32Array(1);
    const value = new Float32Array(bits.buffer);
    for (let half = 0; half < 0x7bff; half++) {
      value[0] = (POSITIVE[half] + POSITIVE[half + 1]) / 2;
      const even = half % 2 === 0 ? half : half + 1;
      const at = (step: number) => {
        const moved = new Uint32Array([bits[0] + step]);
        return float32ToFloat16(new Float32Array(moved.buffer))[0];
      };
      if (at(0) !== even || at(-1) !== half || at(1) !== half + 1)
        throw new Error(`halfway past 0x${half.toString(16)}`);
    }
  });

  test('any float32 becomes the nearest half', () => {
    fc.assert(
      fc.property(fc.float({ noNaN: true }), (value) => {
        expect(float32ToFloat16(new Float32Array([value]))[0]).toBe(nearestHalf(value));
      }),
      { numRuns: 5000, seed: 1 },
    );
  });

  test('overflow, the largest subnormals, zeros and NaN', () => {
    const values = new Float32Array([
      65519.996,
      65520,
      -1e30,
      2 ** -25,
      2 ** -25 * 1.0001,
      -0,
      Number.NaN,
      2 ** -149,
    ]);
    expect([...float32ToFloat16(values)]).toEqual([0x7bff, 0x7c00, 0xfc00, 0, 1, 0x8000, 0x7e00, 0]);
    const smallNan = new Float32Array(new Uint32Array([0x7f800001]).buffer);
    expect(float32ToFloat16(smallNan)[0]).toBe(0x7c01);
  });

  test('a view into a larger buffer is encoded alone', () => {
    expect([...float32ToFloat16(new Float32Array([9, 1, 2, 9]).subarray(1, 3))]).toEqual([0x3c00, 0x4000]);
  });
});

describe('toFloat32', () => {
  test('each dtype', () => {
    const cases: [DType, ArrayLike<number | bigint>, number[]][] = [
      ['bfloat16', new Uint16Array([0x3f80, 0xc040, 0xff80]), [1, -3, -Infinity]],
      ['float16', new Uint16Array([0x3c00, 0xc200]), [1, -3]],
      ['float64', new Float64Array([0.1]), [Math.fround(0.1)]],
      ['int8', new Int8Array([-128, 127]), [-128, 127]],
      ['bool', new Uint8Array([0, 1]), [0, 1]],
      ['int4', new Int8Array([-8, 7]), [-8, 7]],
      ['uint32', new Uint32Array([2 ** 32 - 1]), [2 ** 32]],
      ['int64', new BigInt64Array([-5n, 2n ** 24n + 1n, -(2n ** 63n)]), [-5, 2 ** 24, -(2 ** 63)]],
    ];
    for (const [dtype, data, expected] of cases) {
      const tensor = { dtype, dims: [data.length], data: data as Float32Array };
      expect([dtype, ...toFloat32(tensor)]).toEqual([dtype, ...expected]);
    }
  });

  test('a 64-bit integer is rounded once', () => {
    // By way of float64 this would first fall onto the tie, then to the even neighbour below.
    const value = 2n ** 62n + 2n ** 38n + 1n;
    const data = new BigInt64Array([value, -value]);
    expect([...toFloat32({ dtype: 'int64', dims: [2], data })]).toEqual([
      2 ** 62 + 2 ** 39,
      -(2 ** 62 + 2 ** 39),
    ]);
  });

  test('float32 is handed over, not copied; an unknown dtype is named', () => {
    const data = new Float32Array(2);
    expect(toFloat32({ dtype: 'float32', dims: [2], data })).toBe(data);
    const unknown = { dtype: 'float8' as DType, dims: [1], data };
    expect(() => toFloat32(unknown)).toThrow(/dtype must be a known one; received "float8"/);
  });
});

describe('shapes and views', () => {
  test('elementCount', () => {
    expect(elementCount([])).toBe(1);
    expect(elementCount([3, 0, 2])).toBe(0);
    expect(() => elementCount([2, -1])).toThrow(LloydError);
    expect(() => elementCount([2 ** 30, 2 ** 30])).toThrow(/2\^53/);
  });

  test('aligned is a view, unaligned a copy, also of a Buffer', () => {
    const bytes = Buffer.from(Uint8Array.from({ length: 16 }, (_, i) => i).buffer);
    const aligned = arrayOver('uint16', bytes, 2, 2);
    expect(aligned.buffer).toBe(bytes.buffer);
    const unaligned = arrayOver('uint16', bytes, 3, 2);
    expect(unaligned.buffer).not.toBe(bytes.buffer);
    expect([...unaligned]).toEqual([0x0403, 0x0605]);
  });
});
