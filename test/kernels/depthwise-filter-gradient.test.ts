import { describe, expect, test } from 'vitest';
import { untileWeights } from '../../src/conv/weight-layout.ts';
import { depthwiseFilterGradientKernel } from '../../src/kernels/depthwise-filter-gradient.ts';
import { depthwiseConv2d } from '../../src/reference/depthwise-conv2d.ts';
import { depthwiseFilterGradient } from '../../src/reference/depthwise-filter-gradient.ts';
import { sumSplits } from '../../src/reference/sum-splits.ts';
import { depthwiseCase, randomDepthwise } from '../support/depthwise.ts';
import { dispatch } from '../support/dispatch.ts';
import * as g from '../support/gradients.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

describe('depthwise-filter-gradient', () => {
  test('is within 1e-4 of the float64 twin on random shapes', async () => {
    for (const geometry of randomDepthwise(41, 14, 37)) {
      const own = depthwiseCase(geometry);
      const chunk = seeded(own.outputPixels).integer(1, own.outputPixels + 2);
      const splits = Math.ceil(own.outputPixels / chunk);
      const { partial } = await dispatch(
        gpu.runtime,
        depthwiseFilterGradientKernel,
        {
          input: g.padChannels(own.input, own.channels),
          gradient: g.padChannels(own.gradient, own.channels),
        },
        { partial: splits * own.layout.length * 4 },
        { ...own.params, inputVectors: own.params.outputVectors, pixelCount: own.outputPixels, chunk },
      );
      const sums = Float32Array.from(sumSplits(new Float32Array(partial), splits));
      const got = untileWeights(sums, own.layout);
      // Padding stays zero, so that a step never moves it.
      expect(sums.filter((v) => v !== 0).length).toBeLessThanOrEqual(got.length);
      const want = depthwiseFilterGradient(own.input, own.gradient, geometry);
      expect(g.relativeL2(got, want), JSON.stringify(geometry)).toBeLessThan(1e-4);
      // A filter shifted by one channel is caught.
      if (own.channels > 1) expect(g.relativeL2(got, want.toReversed())).toBeGreaterThan(1e-2);
    }
  });

  test('the twin is within 1e-7 of central differences', () => {
    for (const geometry of randomDepthwise(42, 6, 3)) {
      const { input, weights, gradient } = depthwiseCase(geometry);
      const loss = (at: Float64Array) => g.dot(depthwiseConv2d(input, at, geometry), gradient);
      const numeric = g.centralDifferences(loss, weights, 1e-2);
      expect(g.relativeL2(depthwiseFilterGradient(input, gradient, geometry), numeric)).toBeLessThan(1e-7);
    }
  });
});
