import { describe, expect, test } from 'vitest';
import { fakeQuantizeGradientKernel } from '../../src/kernels/fake-quantize-gradient.ts';
import { fakeQuantizeGradient } from '../../src/reference/fake-quantize-gradient.ts';
import { dispatch } from '../support/dispatch.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

describe('fake-quantize-gradient', () => {
  for (const [block, lanes, zeroPoint] of [
    [120, 1, -3],
    [30, 1, 0],
    [120, 8, 0],
    [40, 8, 0],
  ]) {
    test(`equals its formula, blocks of ${block} with ${lanes} lanes`, async () => {
      const random = seeded(block);
      const layout = { count: 240, block, lanes, quantMin: -8, quantMax: 7 };
      const channels = (240 / block) * lanes;
      const qparams = new Float32Array(channels * 2);
      for (let c = 0; c < channels; c++) qparams.set([2 ** random.integer(-3, -1), zeroPoint], c * 2);
      const input = random.ties(240, 1 / 16, 60);
      const gradient = random.floats(240);
      const { output } = await dispatch(
        gpu.runtime,
        fakeQuantizeGradientKernel,
        { input, gradient, qparams },
        { output: input.byteLength },
        layout,
      );
      const want = fakeQuantizeGradient(input, gradient, qparams, layout);
      expect([...new Float32Array(output)]).toEqual([...want]);
      const passed = want.filter((v) => v !== 0).length;
      expect(passed).toBeGreaterThan(20);
      expect(passed).toBeLessThan(220);
    });
  }

  test('the formula by hand: inside it passes, outside it does not', () => {
    const layout = { block: 4, lanes: 1, quantMin: -2, quantMax: 1 };
    const twin = fakeQuantizeGradient([0.6, 0.8, -1.1, -1.4], [1, 2, 3, 4], [0.5, 0], layout);
    expect([...twin]).toEqual([1, 0, 3, 0]);
  });
});
