const bytes = /* @__PURE__ */ new ArrayBuffer(4);
const word = /* @__PURE__ */ new Uint32Array(bytes);
const float = /* @__PURE__ */ new Float32Array(bytes);

/** Key of 0: see shaders/lib/float-keys.wgsl. */
const ZERO_KEY = 2 ** 31;

/** In place of a threshold after a segment's last centroid: above every key. */
const NEVER = 2 ** 32 - 1;

/** Bits of a plane of limbs. */
const LIMB_BITS = 24;

/** How a segment's sums are cut into planes of limbs: see shaders/lib/float-keys.wgsl. */
export interface Scale {
  /** Every value is a multiple of 2^(unit - 150). */
  unit: number;
  /** Planes of 24 bits that hold every value exactly, 1 to 12. */
  planes: number;
  /** Biased exponent of the largest magnitude, at least 1. */
  largest: number;
}

/** The key of a finite float32. */
export function keyOf(value: number): number {
  float[0] = value;
  const magnitude = word[0] & 0x7fffffff;
  return word[0] >>> 31 ? ZERO_KEY - magnitude : ZERO_KEY + magnitude;
}

/** The float32 of a key. */
export function valueOfKey(key: number): number {
  word[0] = key < ZERO_KEY ? 2 ** 32 - key : key - ZERO_KEY;
  return float[0];
}

/** The keys of finite float32 values. */
export function keysOf(values: Float32Array): Uint32Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const keys = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) {
    const magnitude = bits[i] & 0x7fffffff;
    keys[i] = bits[i] >>> 31 ? ZERO_KEY - magnitude : ZERO_KEY + magnitude;
  }
  return keys;
}

/** Centroids as keys, and the thresholds between those of each segment. */
export function thresholdsOf(
  centroids: Float32Array,
  clusters: number,
): { centroids: Uint32Array; thresholds: Uint32Array } {
  const thresholds = new Uint32Array(centroids.length).fill(NEVER);
  for (let at = 0; at + 1 < centroids.length; at++) {
    if ((at + 1) % clusters > 0) thresholds[at] = keyOf(middleDown(centroids[at], centroids[at + 1]));
  }
  return { centroids: keysOf(centroids), thresholds };
}

/** The largest float32 that is not above (a + b) / 2. */
export function middleDown(a: number, b: number): number {
  const sum = a + b;
  // What the float64 sum of two float32 numbers lost (Knuth's two-sum): its sign says on which side of it they lie.
  const part = sum - a;
  const lost = a - (sum - part) + (b - part);
  const middle = sum / 2;
  const rounded = Math.fround(middle);
  if (rounded < middle || (rounded === middle && lost >= 0)) return rounded;
  return valueOfKey(keyOf(rounded) - 1);
}

/** Measures finite values. */
export function scaleOf(values: Float32Array): Scale {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  // All significands of an exponent at once: the lowest bit that any of them has.
  const used = new Uint32Array(256);
  for (let i = 0; i < bits.length; i++) used[(bits[i] >>> 23) & 0xff] |= bits[i] | 0x800000;
  if (used[0] > 0) used[0] = (used[0] & 0x7fffff) >>> 0;
  let unit = 0;
  let largest = 1;
  for (let biased = 0; biased < 255; biased++) {
    const significands = used[biased] & 0xffffff;
    if (significands === 0) continue;
    const exponent = Math.max(1, biased);
    const lowest = exponent + 31 - Math.clz32(significands & -significands);
    if (unit === 0 || lowest < unit) unit = lowest;
    largest = exponent;
  }
  // All zero: any unit will do.
  if (unit === 0) unit = 1;
  return { unit, planes: Math.max(1, Math.ceil((largest + 24 - unit) / LIMB_BITS)), largest };
}

/** 24 bits of a key's number from 2^(base - 150) up, base = unit + 24 plane, with its sign. */
export function signedLimb(key: number, base: number): number {
  const magnitude = key < ZERO_KEY ? ZERO_KEY - key : key - ZERO_KEY;
  const biased = magnitude >>> 23;
  const significand = biased > 0 ? (magnitude & 0x7fffff) | 0x800000 : magnitude;
  const up = (biased > 0 ? biased : 1) - base;
  if (up >= LIMB_BITS || up <= -LIMB_BITS) return 0;
  const limb = up >= 0 ? (significand << up) & 0xffffff : significand >>> -up;
  return key < ZERO_KEY ? -limb : limb;
}
