import { describe, expect, test } from 'vitest';
import { observeRangeKernel } from '../../src/kernels/observe-range.ts';
import { observeRange } from '../../src/reference/observe-range.ts';
import { qparamsOf } from '../../src/run/calibrate.ts';
import { runInPlace } from '../support/gradients.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();
const GRID = { quantMin: -128, quantMax: 127 };

describe('observe-range', () => {
  const random = seeded(3);
  const cases = [
    { before: [0, 0], seen: [0, 0], momentum: 0.5 },
    { before: [0, 4], seen: [0, 2], momentum: 0 },
    { before: [-1, 1], seen: [3, 5], momentum: 1 },
    { before: [0, 1e-9], seen: [-1e-10, 2e-9], momentum: 0.5 },
    ...Array.from({ length: 20 }, () => {
      const low = () => -Math.fround(random.next() * 3);
      const high = () => Math.fround(random.next() * 9);
      return { before: [low(), high()], seen: [low(), high()], momentum: random.pick([0.01, 0.1, 0.25]) };
    }),
  ] as { before: [number, number]; seen: [number, number]; momentum: number }[];

  test('moves the range and chooses the qparams that the twin does', async () => {
    for (const { before, seen, momentum } of cases) {
      const got = await runInPlace(
        gpu.runtime,
        observeRangeKernel,
        {
          minimum: Float32Array.of(seen[0]),
          maximum: Float32Array.of(seen[1]),
          range: Float32Array.from(before),
          qparams: new Float32Array(2),
        },
        { momentum, ...GRID },
      );
      const want = observeRange(before, seen, { momentum: Math.fround(momentum), ...GRID });
      for (const end of [0, 1]) expect(got.range[end]).toBeCloseTo(want.range[end], 5);
      expect(got.qparams[0] / want.scale).toBeCloseTo(1, 5);
      const [low] = got.range;
      const exact = GRID.quantMin - Math.min(0, low) / got.qparams[0];
      // Either neighbour next to a tie: the division may be 2.5 ULP off.
      const slack = Math.abs(Math.abs(exact % 1) - 0.5) < 1e-4 ? 1 : 0;
      expect(Math.abs(got.qparams[1] - want.zeroPoint)).toBeLessThanOrEqual(slack);
    }
  });

  test('the twin chooses what calibration chooses for the same range', () => {
    for (const { before, seen, momentum } of cases) {
      const { range, scale, zeroPoint } = observeRange(before, seen, { momentum, ...GRID });
      const calibrated = qparamsOf(range);
      expect(Math.fround(scale)).toBe(calibrated.scale);
      expect(zeroPoint).toBe(calibrated.zeroPoint);
    }
  });
});
