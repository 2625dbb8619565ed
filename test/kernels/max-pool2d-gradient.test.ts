import { describe, expect, test } from 'vitest';
import { maxPool2dGradientKernel } from '../../src/kernels/max-pool2d-gradient.ts';
import { maxPool2dGradient } from '../../src/reference/max-pool2d-gradient.ts';
import { forEachWindow } from '../../src/reference/pool-windows.ts';
import { dispatch } from '../support/dispatch.ts';
import { centralDifferences, relativeL2 } from '../support/gradients.ts';
import { inputLength, outputLength, randomPoolShape } from '../support/pool.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

describe('max-pool2d-gradient', () => {
  test('equals the float64 twin on random windows, ties included', async () => {
    for (let seed = 0; seed < 12; seed++) {
      const shape = randomPoolShape(seed, 8);
      const random = seeded(seed);
      const input = random.ties(inputLength(shape), 0.5, 4);
      const gradient = random.floats(outputLength(shape));
      const { channels, dilationHeight: _, dilationWidth: __, ...rest } = shape;
      const { inputGradient } = await dispatch(
        gpu.runtime,
        maxPool2dGradientKernel,
        { input, gradient },
        { inputGradient: inputLength(shape) * 4 },
        { ...rest, channelVectors: channels / 4 },
      );
      const want = maxPool2dGradient(input, gradient, shape);
      expect(relativeL2(new Float32Array(inputGradient), want), JSON.stringify(shape)).toBeLessThan(1e-5);
    }
  });

  test('the twin is within 1e-7 of central differences', () => {
    for (let seed = 0; seed < 6; seed++) {
      const shape = randomPoolShape(seed, 2);
      const random = seeded(seed);
      const x = random.floats(inputLength(shape));
      const dy = random.floats(outputLength(shape));
      const loss = (at: Float64Array) => {
        let sum = 0;
        forEachWindow(shape, (output, cells) => {
          const values = cells.map((cell) => at[cell]);
          if (values.length) sum += dy[output] * Math.max(...values);
        });
        return sum;
      };
      expect(relativeL2(maxPool2dGradient(x, dy, shape), centralDifferences(loss, x, 1e-6))).toBeLessThan(
        1e-7,
      );
    }
  });
});
