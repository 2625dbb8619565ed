/** Elements of a segment: `[segment, first, end]`, as the kernels' chunk table holds them. */
export type Chunk = readonly [segment: number, first: number, end: number];

const ZERO = 2 ** 24;

/** One float32, given by its bits, in the fixed point of a segment whose largest biased exponent is `exponent`. */
export function toFixed(bits: number, exponent: number): number {
  const biased = (bits >>> 23) & 0xff;
  const significand = biased === 0 ? bits & 0x7fffff : (bits & 0x7fffff) | 0x800000;
  const drop = exponent - Math.max(biased, 1);
  let magnitude = 0;
  if (drop < 25) {
    magnitude = significand >>> drop;
    const rest = significand - magnitude * 2 ** drop;
    const half = 2 ** drop / 2;
    if (rest > half || (rest === half && magnitude % 2 === 1)) magnitude += 1;
  }
  return bits >>> 31 === 1 ? ZERO - magnitude : ZERO + magnitude;
}

/**
 * CPU twin of shaders/kmeans-fix.wgsl: replaces the bits of every chunk's elements by their fixed point.
 *
 * @example
 * kmeansFix(new Uint32Array(Float32Array.of(1, -0.5).buffer), [127], [[0, 0, 2]]); // [2^24 + 2^23, 2^24 - 2^22]
 */
export function kmeansFix(
  elements: Uint32Array,
  exponents: ArrayLike<number>,
  chunks: readonly Chunk[],
): Uint32Array {
  for (const [segment, first, end] of chunks) {
    for (let at = first; at < end; at++) elements[at] = toFixed(elements[at], exponents[segment]);
  }
  return elements;
}
