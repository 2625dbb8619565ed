import { describe, expect, test } from 'vitest';
import { tileWeights } from '../../src/conv/weight-layout.ts';
import { depthwiseInputGradientKernel } from '../../src/kernels/depthwise-input-gradient.ts';
import { depthwiseConv2d } from '../../src/reference/depthwise-conv2d.ts';
import { depthwiseInputGradient } from '../../src/reference/depthwise-input-gradient.ts';
import { depthwiseCase, randomDepthwise } from '../support/depthwise.ts';
import { dispatch } from '../support/dispatch.ts';
import * as g from '../support/gradients.ts';
import { useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

describe('depthwise-input-gradient', () => {
  test('is within 1e-4 of the float64 twin on random shapes', async () => {
    for (const geometry of randomDepthwise(41, 14, 37)) {
      const own = depthwiseCase(geometry);
      const { inputGradient } = await dispatch(
        gpu.runtime,
        depthwiseInputGradientKernel,
        {
          gradient: g.padChannels(own.gradient, own.channels),
          weights: tileWeights(own.weights, own.layout),
        },
        { inputGradient: own.inputPixels * own.params.outputVectors * 16 },
        { ...own.params, inputChannels: own.channels, pixelCount: own.inputPixels },
      );
      const got = g.stripChannels(new Float32Array(inputGradient), own.channels);
      const want = depthwiseInputGradient(own.gradient, own.weights, geometry);
      expect(g.relativeL2(got, want), JSON.stringify(geometry)).toBeLessThan(1e-4);
      // A filter shifted by one channel is caught.
      if (own.channels > 1) expect(g.relativeL2(got, want.toReversed())).toBeGreaterThan(1e-2);
    }
  });

  test('the twin is within 1e-7 of central differences', () => {
    for (const geometry of randomDepthwise(42, 6, 3)) {
      const { input, weights, gradient } = depthwiseCase(geometry);
      const loss = (at: Float64Array) => g.dot(depthwiseConv2d(at, weights, geometry), gradient);
      const numeric = g.centralDifferences(loss, input, 1e-2);
      expect(g.relativeL2(depthwiseInputGradient(gradient, weights, geometry), numeric)).toBeLessThan(1e-7);
    }
  });
});
