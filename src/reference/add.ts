/**
 * CPU twin of shaders/add.wgsl.
 *
 * @example
 * addReference(Float32Array.of(1, -3), Float32Array.of(2, 1), 0, Infinity); // [3, 0]
 */
export function addReference(a: Float32Array, b: Float32Array, low: number, high: number): Float32Array {
  return a.map((value, i) => Math.min(Math.max(Math.fround(value + b[i]), low), high));
}
