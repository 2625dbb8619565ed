import { roundHalfEven } from './requantize.ts';
import type { TwinBuffers, TwinParams, TwinSpecialization } from './twin.ts';

/** Back and forth between two ends, a turn at a time. */
function reflected(given: number, low: number, high: number): number {
  if (high <= low) return low;
  let x = given;
  while (x < low || x > high) x = x < low ? 2 * low - x : 2 * high - x;
  return x;
}

const cubic = (distance: number) => {
  const d = Math.abs(distance);
  if (d <= 1) return (1.25 * d - 2.25) * d * d + 1;
  return d < 2 ? ((-0.75 * d + 3.75) * d - 6) * d + 3 : 0;
};

/** Elements of an axis with their weights; those that are zeros are left out. */
function tapsAt(
  coordinate: number,
  size: number,
  MODE: number,
  PADDING: number,
  ALIGN: number,
): [number, number][] {
  const [low, high] = ALIGN === 1 ? [0, size - 1] : [-0.5, size - 0.5];
  // Ties of the nearest depend on float32.
  const half = Math.fround(Math.fround(coordinate + 1) * 0.5);
  let x = ALIGN === 1 ? Math.fround(half * (size - 1)) : Math.fround(Math.fround(half * size) - 0.5);
  if (MODE === 1) x = roundHalfEven(x);
  if (PADDING === 1 && MODE !== 2) x = Math.min(size - 1, Math.max(0, x));
  if (PADDING === 2 && MODE !== 2) x = reflected(x, low, high);
  const reach = MODE === 2 ? 2 : 1;
  const taps: [number, number][] = [];
  const whole = Math.floor(x);
  if (MODE === 1) taps.push([roundHalfEven(x), 1]);
  else {
    for (let at = whole - reach + 1; at <= whole + reach; at++) {
      taps.push([at, MODE === 2 ? cubic(x - at) : 1 - Math.abs(x - at)]);
    }
  }
  return taps.flatMap(([at, weight]): [number, number][] => {
    if (at >= 0 && at < size) return [[at, weight]];
    if (PADDING === 0) return [];
    const moved = PADDING === 1 ? at : Math.trunc(reflected(at, low, high));
    return [[Math.min(size - 1, Math.max(0, moved)), weight]];
  });
}

/**
 * CPU twin of shaders/grid-sample.wgsl.
 *
 * @example
 * const output = new Float64Array(1);
 * gridSampleReference(
 *   { input: Float64Array.of(1, 2, 3, 4), grid: Float64Array.of(0, 0), output },
 *   { count: 1, channels: 1, depth: 1, height: 2, width: 2, places: 1 },
 *   { MODE: 0 },
 * ); // 2.5
 */
export function gridSampleReference(
  { input, grid, output }: TwinBuffers,
  { count, channels, depth, height, width, places }: TwinParams,
  { MODE = 0, PADDING = 0, ALIGN = 0, RANK = 2 }: TwinSpecialization,
): void {
  const taps = (at: number, size: number) =>
    tapsAt(grid[at], size, MODE as number, PADDING as number, ALIGN as number);
  for (let index = 0; index < count; index++) {
    const plane = Math.floor(index / places);
    const at = (Math.floor(plane / channels) * places + (index % places)) * (RANK as number);
    const [xs, ys] = [taps(at, width), taps(at + 1, height)];
    const zs: [number, number][] = RANK === 3 ? taps(at + 2, depth) : [[0, 1]];
    let sum = 0;
    for (const [z, a] of zs) {
      for (const [y, b] of ys) {
        for (const [x, c] of xs) sum += a * b * c * input[((plane * depth + z) * height + y) * width + x];
      }
    }
    output[index] = sum;
  }
}
