import { describe, expect, test } from 'vitest';
import { conv2dFilterGradientKernel } from '../../src/kernels/conv2d-filter-gradient.ts';
import { tileLayout, untileWeights } from '../../src/quantize/weight-layout.ts';
import { conv2dFilterGradient } from '../../src/reference/conv2d-filter-gradient.ts';
import { convOutput } from '../../src/reference/conv2d-int8.ts';
import { sumSplits } from '../../src/reference/sum-splits.ts';
import { dispatch } from '../support/dispatch.ts';
import * as g from '../support/gradients.ts';
import { sampled, seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

describe('conv2d-filter-gradient', () => {
  test('is within 1e-4 of the float64 twin on random shapes and splits', async () => {
    const cases = g.randomConvs(seeded(31), 40, 21);
    for (const geometry of sampled('filter gradients', cases, 14)) {
      const { batch, height, width, inChannels, outChannels, kernel } = geometry;
      const random = seeded(height * 31 + width);
      const [outHeight, outWidth] = convOutput(geometry);
      const input = random.floats(batch * height * width * inChannels);
      const gradient = random.floats(batch * outHeight * outWidth * outChannels);
      const [kernelHeight, kernelWidth] = kernel;
      const layout = tileLayout({ outChannels, inChannels, kernelHeight, kernelWidth, groups: 1 }, 4);
      const pixelCount = batch * outHeight * outWidth;
      const chunk = random.integer(1, pixelCount + 2);
      const splits = Math.ceil(pixelCount / chunk);
      const { partial } = await dispatch(
        gpu.runtime,
        conv2dFilterGradientKernel,
        { input: g.padChannels(input, inChannels), gradient: g.padChannels(gradient, outChannels) },
        { partial: splits * layout.length * 4 },
        { ...g.convParams(geometry), inputVectors: Math.ceil(inChannels / 4), pixelCount, chunk },
        { WORKGROUP_SIZE: random.pick([8, 32, 64]) },
      );
      const sums = Float32Array.from(sumSplits(new Float32Array(partial), splits));
      const got = untileWeights(sums, layout);
      // Padded elements are zero, so that a step never moves the padding of the weights.
      expect(sums.filter((v) => v !== 0).length).toBeLessThanOrEqual(got.length);
      const want = conv2dFilterGradient(input, gradient, geometry);
      expect(g.relativeL2(got, want), JSON.stringify({ ...geometry, chunk })).toBeLessThan(1e-4);
    }
  });

  test('the twin is within 1e-7 of central differences', () => {
    for (const geometry of g.randomConvs(seeded(32), 6, 3)) {
      const random = seeded(geometry.height);
      const { batch, height, width, inChannels, outChannels, kernel } = geometry;
      const x = random.floats(batch * height * width * inChannels);
      const w = random.floats(outChannels * inChannels * kernel[0] * kernel[1]);
      const dy = random.floats(g.conv64(x, w, geometry).length);
      const numeric = g.centralDifferences((at) => g.dot(g.conv64(x, at, geometry), dy), w, 1e-2);
      expect(g.relativeL2(conv2dFilterGradient(x, dy, geometry), numeric)).toBeLessThan(1e-7);
    }
  });
});
