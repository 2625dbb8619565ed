import { describe, expect, test } from 'vitest';
import { conv2dInputGradientKernel } from '../../src/kernels/conv2d-input-gradient.ts';
import { tileLayout, tileWeights } from '../../src/quantize/weight-layout.ts';
import { conv2dInputGradient } from '../../src/reference/conv2d-input-gradient.ts';
import { convOutput } from '../../src/reference/conv2d-int8.ts';
import { dispatch } from '../support/dispatch.ts';
import * as g from '../support/gradients.ts';
import { sampled, seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

describe('conv2d-input-gradient', () => {
  test('is within 1e-4 of the float64 twin on random shapes', async () => {
    const cases = g.randomConvs(seeded(21), 40, 21);
    for (const geometry of sampled('input gradients', cases, 14)) {
      const { batch, height, width, inChannels, outChannels, kernel } = geometry;
      const random = seeded(height * 31 + width);
      const [outHeight, outWidth] = convOutput(geometry);
      const weights = random.floats(outChannels * inChannels * kernel[0] * kernel[1], 0.3);
      const gradient = random.floats(batch * outHeight * outWidth * outChannels);
      const [kernelHeight, kernelWidth] = kernel;
      const layout = tileLayout({ outChannels, inChannels, kernelHeight, kernelWidth, groups: 1 }, 4);
      const pixelCount = batch * height * width;
      const { inputGradient } = await dispatch(
        gpu.runtime,
        conv2dInputGradientKernel,
        { gradient: g.padChannels(gradient, outChannels), weights: tileWeights(weights, layout) },
        { inputGradient: pixelCount * Math.ceil(inChannels / 4) * 16 },
        { ...g.convParams(geometry), inputChannels: inChannels, pixelCount },
        { TILE_PIXELS: random.pick(['4u', '8u', '16u']), WORKGROUP_SIZE: random.pick([8, 32]) },
      );
      const got = g.stripChannels(new Float32Array(inputGradient), inChannels);
      const want = conv2dInputGradient(gradient, weights, geometry);
      expect(g.relativeL2(got, want), JSON.stringify(geometry)).toBeLessThan(1e-4);
    }
  });

  test('the twin is within 1e-7 of central differences', () => {
    for (const geometry of g.randomConvs(seeded(22), 6, 3)) {
      const random = seeded(geometry.height);
      const { batch, height, width, inChannels, outChannels, kernel } = geometry;
      const x = random.floats(batch * height * width * inChannels);
      const w = random.floats(outChannels * inChannels * kernel[0] * kernel[1]);
      const dy = random.floats(g.conv64(x, w, geometry).length);
      const numeric = g.centralDifferences((at) => g.dot(g.conv64(at, w, geometry), dy), x, 1e-2);
      expect(g.relativeL2(conv2dInputGradient(dy, w, geometry), numeric)).toBeLessThan(1e-7);
    }
  });
});
