import { describe, expect, test } from 'vitest';
import { observeHistogramKernel } from '../../src/kernels/observe-histogram.ts';
import {
  OBSERVED_BINS,
  observedLimit,
  observeHistogram,
  type RowLayout,
} from '../../src/reference/observe-histogram.ts';
import { dispatch, firstDifference } from '../support/dispatch.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();
const DENSE: RowLayout = { rowLength: 1, channels: 1 };

const extremes = (values: Float32Array): [number, number] => {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) [low, high] = [Math.min(low, value), Math.max(high, value)];
  return [low, high];
};

async function observed(input: Float32Array, layout = DENSE, slices = 1, workgroupSize = 64) {
  const [low, high] = extremes(input);
  const { counts } = await dispatch(
    gpu.runtime,
    observeHistogramKernel,
    { input, minimum: Float32Array.of(low), maximum: Float32Array.of(high) },
    { counts: slices * OBSERVED_BINS * 4 },
    { count: input.length, ...layout, slices },
    { WORKGROUP_SIZE: workgroupSize },
  );
  const all = new Uint32Array(counts);
  return Uint32Array.from({ length: OBSERVED_BINS }, (_, bin) => {
    let sum = 0;
    for (let slice = 0; slice < slices; slice++) sum += all[slice * OBSERVED_BINS + bin];
    return sum;
  });
}

type Twin = typeof observeHistogram;
async function mismatch(input: Float32Array, layout = DENSE, slices = 1, twin: Twin = observeHistogram) {
  const [low, high] = extremes(input);
  return firstDifference(await observed(input, layout, slices), twin(input, low, high, layout));
}

/** Values on the edges of bins, and one ULP below and above each. */
function onEdges(limit: number): Float32Array {
  const values = new Float32Array(3 * 200);
  const bits = new Int32Array(values.buffer);
  for (let i = 0; i < 200; i++) {
    values.fill(((i * 19 - 1900) * limit) / 2048, i * 3, i * 3 + 3);
    if (i === 100) continue;
    bits[i * 3 + 1]++;
    bits[i * 3 + 2]--;
  }
  return values;
}

describe('observe-histogram', () => {
  test.each([1, 2, 63, 64, 65, 127, 128, 129, 1000, 4099])('tail(count=%i)', async (count) => {
    const input = seeded(count).floats(count, 3);
    for (const slices of [1, 2, 5]) expect(await mismatch(input, DENSE, slices)).toBe(-1);
    expect(firstDifference(await observed(input, DENSE, 3, 256), await observed(input))).toBe(-1);
  });

  test.each([2 ** -125, 2 ** -60, 0.5, 1, 8, 2 ** 127])(
    'values on the edges of bins, limit %f',
    async (limit) => {
      const input = onEdges(limit);
      expect(observedLimit(...extremes(input))).toBe(limit);
      expect(await mismatch(input)).toBe(-1);
      expect(await mismatch(input.map(Math.abs))).toBe(-1);
      expect(await mismatch(input.map((x) => -Math.abs(x)))).toBe(-1);
    },
  );

  test('zeros of both signs, subnormals, powers of two and the largest values', async () => {
    expect(await mismatch(Float32Array.of(0, -0, -0))).toBe(-1);
    expect(await mismatch(Float32Array.of(1e-45, -1e-45, 3e-39, -(2 ** -126), 0))).toBe(-1);
    expect(await mismatch(Float32Array.of(1e-45, -1e-45, 1, -2, 4, -0))).toBe(-1);
    expect(await mismatch(Float32Array.of(3.4028235e38, -3.4028235e38, 1, -1e-45))).toBe(-1);
    expect(await mismatch(Float32Array.of(4, 4, 4, 4, 4))).toBe(-1);
  });

  test('padding is not counted', async () => {
    const input = seeded(3).floats(8 * 123);
    const counts = await observed(input, { rowLength: 8, channels: 5 }, 3);
    expect(counts.reduce((a, b) => a + b)).toBe(5 * 123);
    expect(await mismatch(input, { rowLength: 8, channels: 5 }, 3)).toBe(-1);
    expect(await mismatch(input, { rowLength: 4, channels: 4 })).toBe(-1);
  });

  test('a NaN and infinities stay within the bins', async () => {
    const input = Float32Array.of(1, Number.NaN, Infinity, -Infinity, -1);
    const counts = await observed(input);
    expect(counts.reduce((a, b) => a + b)).toBe(5);
  });

  test('known-wrong histograms are told apart', async () => {
    const input = onEdges(8);
    const half = OBSERVED_BINS / 2;
    const counting = (bin: (x: number, limit: number) => number): Twin => {
      return (values, low, high) => {
        const counts = new Uint32Array(OBSERVED_BINS);
        for (const x of values) counts[bin(x, observedLimit(low, high))]++;
        return counts;
      };
    };
    const wrongs: Record<string, Twin> = {
      'towards zero': counting((x, limit) => Math.trunc((x * half) / limit) + half),
      'to the nearest': counting((x, limit) => Math.round((x * half) / limit) + half),
      'twice the limit': counting((x, limit) => Math.floor((x * half) / (2 * limit)) + half),
      'an edge is the bin below': counting((x, limit) => Math.ceil((x * half) / limit) - 1 + half),
      'tail off by one': (values, low, high, layout) =>
        observeHistogram(values.subarray(0, -1), low, high, layout),
    };
    expect(await mismatch(input)).toBe(-1);
    for (const [name, twin] of Object.entries(wrongs))
      expect(await mismatch(input, DENSE, 1, twin), name).not.toBe(-1);
  });
});
