/**
 * CPU twin of shaders/lib/exact-float.wgsl. JavaScript's doubles carry f32 sums, products and quotients with bits
 * to spare (53 >= 2 * 24 + 2), so one Math.fround after a double operation is the correctly rounded f32 result.
 */

const bytes = /* @__PURE__ */ new ArrayBuffer(4);
const real = /* @__PURE__ */ new Float32Array(bytes);
const word = /* @__PURE__ */ new Uint32Array(bytes);

/** The float32 of these bits. */
export function float(bits: number): number {
  word[0] = bits;
  return real[0];
}

function bits(value: number): number {
  if (Number.isNaN(value)) return 0x7fc00000;
  real[0] = value;
  return word[0];
}

export const f32FromI32Bits = (value: number) => bits(Math.fround(value));
export const f32MultiplyBits = (a: number, b: number) => bits(Math.fround(float(a) * float(b)));
export const f32AddBits = (a: number, b: number) => bits(Math.fround(float(a) + float(b)));
export const f32DivideBits = (a: number, b: number) => bits(Math.fround(float(a) / float(b)));

/** The nearest integer, ties to even, saturated to int32; NaN gives 0. */
export function roundHalfEvenToI32(a: number): number {
  const value = float(a);
  if (Number.isNaN(value)) return 0;
  const floor = Math.floor(value);
  const fraction = value - floor;
  const up = fraction > 0.5 || (fraction === 0.5 && floor % 2 !== 0);
  return Math.min(Math.max(floor + (up ? 1 : 0), -(2 ** 31)), 2 ** 31 - 1) + 0;
}
