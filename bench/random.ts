/** Seeded numbers (mulberry32): the same bytes for every implementation, adapter and run. */
export function seeded(seed: number) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
  return {
    next,
    bytes: (length: number) => Uint8Array.from({ length }, () => next() >>> 24),
    int8s: (length: number) => Int8Array.from({ length }, () => (next() >>> 24) - 128),
    /** Roughly normal, and without a transcendental function, whose last bit differs from engine to engine. */
    floats: (length: number, scale = 1) =>
      Float32Array.from({ length }, () => {
        const sum = (next() >>> 8) + (next() >>> 8) + (next() >>> 8) + (next() >>> 8) - 2 * 2 ** 24;
        return (sum / 2 ** 23) * 0.866 * scale;
      }),
  };
}
