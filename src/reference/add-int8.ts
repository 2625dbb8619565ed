import { float } from './exact-float.ts';
import {
  type RequantizeRule,
  requantizeReference,
  requantizeWordsReference,
  roundHalfEven,
} from './requantize.ts';
import type { TwinBuffers, TwinParams, TwinSpecialization } from './twin.ts';

/** Scale and zero point of one tensor. */
export interface Qparams {
  scale: number;
  zeroPoint: number;
}

const f32 = Math.fround;
const WIDE = { zeroPoint: 0, low: -(2 ** 31) + 1, high: 2 ** 31 - 1 };

/** CPU twin of shaders/add-int8.wgsl: one pair of codes. */
export function addInt8Reference(
  rule: RequantizeRule,
  a: number,
  b: number,
  p: Qparams,
  q: Qparams,
  y: Qparams & { low: number; high: number },
): number {
  const saturate = (code: number) => Math.min(Math.max(code, y.low), y.high);
  const x = a - p.zeroPoint;
  const z = b - q.zeroPoint;
  switch (rule) {
    case 'ort-f32': {
      const [ratioA, ratioB] = [f32(p.scale / y.scale), f32(q.scale / y.scale)];
      const fixed = f32(y.zeroPoint - f32(f32(ratioA * p.zeroPoint) + f32(ratioB * q.zeroPoint)));
      return saturate(roundHalfEven(fma(a, ratioA, fma(b, ratioB, fixed))));
    }
    case 'onnx-ref':
    case 'lab':
      return saturate(roundHalfEven(f32(f32(f32(x * p.scale) + f32(z * q.scale)) / y.scale)) + y.zeroPoint);
    case 'tflite-double':
    case 'tflite-single': {
      const twice = 2 * Math.max(p.scale, q.scale);
      const scaled = (value: number, scale: number, outputScale: number) =>
        requantizeReference(rule, value, { inputScale: scale, weightScale: 1, outputScale, ...WIDE });
      const sum = scaled(x * 2 ** 20, p.scale, twice) + scaled(z * 2 ** 20, q.scale, twice);
      return saturate(scaled(sum, twice, 2 ** 20 * y.scale) + y.zeroPoint);
    }
    case 'xnn-rndnu': {
      const [ratioA, ratioB] = [f32(p.scale / y.scale), f32(q.scale / y.scale)];
      const largest = Math.max(ratioA, ratioB);
      let exponent = 0;
      while (2 ** exponent > largest) exponent--;
      while (2 ** (exponent + 1) <= largest) exponent++;
      const shift = BigInt(20 - exponent);
      const multiplier = (ratio: number) => BigInt(roundHalfEven(ratio * 2 ** Number(shift)));
      const sum = BigInt(x) * multiplier(ratioA) + BigInt(z) * multiplier(ratioB);
      return saturate(Number((sum + (1n << (shift - 1n))) >> shift) + y.zeroPoint);
    }
  }
}

/**
 * CPU twin of a dispatch of shaders/add-int8.wgsl on whole words (PACKED 0), by the words that the host prepares.
 *
 * @example
 * addInt8Twin({ a, b, output }, params, { ADD: '0u', PACKED: '0u' });
 */
export function addInt8Twin(
  { a, b, output }: TwinBuffers,
  params: TwinParams,
  { ADD = '0u', REQUANTIZE = '0u' }: TwinSpecialization,
): void {
  const { count, aCount, bCount, aZero, bZero, zeroPoint, low, high } = params;
  const [aFloat, bFloat, yFloat] = [params.aWord, params.bWord, params.yWord].map(float);
  const scaled = (value: number, word: number, more: number) =>
    requantizeWordsReference(REQUANTIZE, value, [word, more], WIDE);
  const rounded: Record<string, (x: number, z: number) => number> = {
    '1u': (x, z) => roundHalfEven(f32(f32(f32(x * aFloat) + f32(z * bFloat)) / yFloat)),
    '2u': (x, z) => {
      const sum =
        scaled(x * 2 ** 20, params.aWord, params.aMore) + scaled(z * 2 ** 20, params.bWord, params.bMore);
      return scaled(sum, params.yWord, params.yMore);
    },
    '3u': (x, z) => {
      const sum = BigInt(x) * BigInt(params.aWord) + BigInt(z) * BigInt(params.bWord);
      return Number((sum + (1n << BigInt(params.yWord - 1))) >> BigInt(params.yWord));
    },
  };
  for (let i = 0; i < count; i++) {
    const [x, z] = [a[i % aCount], b[i % bCount]];
    const code =
      ADD === '0u'
        ? roundHalfEven(fma(x, aFloat, fma(z, bFloat, yFloat)))
        : rounded[ADD](x - aZero, z - bZero) + zeroPoint;
    output[i] = Math.min(Math.max(code, low), high);
  }
}

const bytes = /* @__PURE__ */ new ArrayBuffer(8);
const double = /* @__PURE__ */ new Float64Array(bytes);
const word = /* @__PURE__ */ new BigUint64Array(bytes);

/** f32(a * b + c) with one rounding, for an 8-bit a. */
function fma(a: number, b: number, c: number): number {
  const product = a * b; // 8 bits by 24: exact in a double
  const sum = product + c;
  const part = sum - product;
  const error = product - (sum - part) + (c - part); // TwoSum: sum + error is the exact result
  // f32(sum) rounds a second time. That is wrong only where the double lies exactly between two floats and the
  // exact result does not: then it is moved by its last bit to the side on which the exact result lies.
  double[0] = sum;
  if (error !== 0 && (word[0] & 0x1fffffffn) === 0x10000000n) word[0] += error > 0 === sum > 0 ? 1n : -1n;
  return f32(double[0]);
}
