import { describe, expect, test } from 'vitest';
import { averagePool2dGradientKernel } from '../../src/kernels/average-pool2d-gradient.ts';
import { averagePool2dGradient } from '../../src/reference/average-pool2d-gradient.ts';
import { forEachWindow, type PoolShape } from '../../src/reference/pool-windows.ts';
import { dispatch } from '../support/dispatch.ts';
import { centralDifferences, relativeL2 } from '../support/gradients.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

function randomShape(seed: number, channels: number): PoolShape {
  const random = seeded(seed);
  const [kernelHeight, kernelWidth] = [random.integer(1, 3), random.integer(1, 3)];
  const [strideHeight, strideWidth] = [random.integer(1, 3), random.integer(1, 3)];
  const [height, width] = [random.integer(3, 9), random.integer(3, 9)];
  const [padTop, padLeft] = [random.integer(0, kernelHeight - 1), random.integer(0, kernelWidth - 1)];
  return {
    batch: random.integer(1, 3),
    height,
    width,
    channels,
    outputHeight: Math.floor((height + 2 * padTop - kernelHeight) / strideHeight) + 1,
    outputWidth: Math.floor((width + 2 * padLeft - kernelWidth) / strideWidth) + 1,
    kernelHeight,
    kernelWidth,
    strideHeight,
    strideWidth,
    dilationHeight: 1,
    dilationWidth: 1,
    padTop,
    padLeft,
  };
}

const outputs = (s: PoolShape) => s.batch * s.outputHeight * s.outputWidth * s.channels;
const inputs = (s: PoolShape) => s.batch * s.height * s.width * s.channels;

describe('average-pool2d-gradient', () => {
  test('equals the float64 twin on random windows', async () => {
    for (let seed = 0; seed < 12; seed++) {
      const shape = randomShape(seed, 8);
      const random = seeded(seed);

      const gradient = random.floats(outputs(shape));
      const { channels, dilationHeight: _, dilationWidth: __, ...rest } = shape;
      const { inputGradient } = await dispatch(
        gpu.runtime,
        averagePool2dGradientKernel,
        { gradient },
        { inputGradient: inputs(shape) * 4 },
        { ...rest, channelVectors: channels / 4 },
      );
      const want = averagePool2dGradient(gradient, shape);
      expect(relativeL2(new Float32Array(inputGradient), want), JSON.stringify(shape)).toBeLessThan(1e-5);
    }
  });

  test('the twin is within 1e-7 of central differences', () => {
    for (let seed = 0; seed < 6; seed++) {
      const shape = randomShape(seed, 2);
      const random = seeded(seed);
      const x = random.floats(inputs(shape));
      const dy = random.floats(outputs(shape));
      const loss = (at: Float64Array) => {
        let sum = 0;
        forEachWindow(shape, (output, cells) => {
          const values = cells.map((cell) => at[cell]);
          if (values.length) sum += (dy[output] * values.reduce((a, b) => a + b)) / values.length;
        });
        return sum;
      };
      expect(relativeL2(averagePool2dGradient(dy, shape), centralDifferences(loss, x, 1e-6))).toBeLessThan(
        1e-7,
      );
    }
  });
});
