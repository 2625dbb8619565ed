import { describe, expect, test } from 'vitest';
import { stepSizeGradientKernel } from '../../src/kernels/step-size-gradient.ts';
import { stepSizeGradient } from '../../src/reference/step-size-gradient.ts';
import { sumSplits } from '../../src/reference/sum-splits.ts';
import { dispatch } from '../support/dispatch.ts';
import { relativeL2 } from '../support/gradients.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

describe('step-size-gradient', () => {
  for (const [block, lanes, chunk] of [
    [120, 1, 120],
    [30, 1, 7],
    [120, 8, 4],
    [40, 8, 1],
  ]) {
    test(`equals its formula, blocks of ${block} with ${lanes} lanes by ${chunk}`, async () => {
      const random = seeded(block);
      const layout = { count: 240, block, lanes, quantMin: -8, quantMax: 7 };
      const channels = (240 / block) * lanes;
      const qparams = new Float32Array(channels * 2);
      for (let c = 0; c < channels; c++) qparams.set([2 ** random.integer(-3, -1), 0], c * 2);
      const [input, gradient] = [random.floats(240), random.floats(240)];
      const splits = Math.ceil(block / lanes / chunk);
      const { partial } = await dispatch(
        gpu.runtime,
        stepSizeGradientKernel,
        { input, gradient, qparams },
        { partial: splits * channels * 8 },
        { ...layout, chunk, gradientScale: 0.25 },
      );
      const want = stepSizeGradient(input, gradient, qparams, layout, 0.25);
      const sums = sumSplits(new Float32Array(partial), splits);
      expect(
        relativeL2(
          sums.filter((_, i) => i % 2 === 0),
          want,
        ),
      ).toBeLessThan(1e-4);
    });
  }

  test('the formula by hand: round(v) - v inside, the end of the range outside', () => {
    const layout = { block: 3, lanes: 1, quantMin: -2, quantMax: 1 };
    const [twin] = stepSizeGradient([0.6, 5, -5], [1, 10, 100], [0.5, 0], layout);
    expect(twin).toBeCloseTo(1 - 1.2 + 10 - 200, 12);
  });
});
