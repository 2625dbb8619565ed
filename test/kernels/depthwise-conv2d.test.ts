import { describe, expect, test } from 'vitest';
import { depthwiseConv2dKernel } from '../../src/kernels/depthwise-conv2d.ts';
import { tileWeights } from '../../src/quantize/weight-layout.ts';
import { conv2d } from '../../src/reference/conv2d.ts';
import { depthwiseConv2d } from '../../src/reference/depthwise-conv2d.ts';
import { depthwiseCase, randomDepthwise } from '../support/depthwise.ts';
import { dispatch } from '../support/dispatch.ts';
import * as g from '../support/gradients.ts';
import { useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

describe('depthwise-conv2d', () => {
  test('is within 1e-4 of the float64 twin on random shapes', async () => {
    for (const geometry of randomDepthwise(41, 14, 37)) {
      const own = depthwiseCase(geometry);
      const { output } = await dispatch(
        gpu.runtime,
        depthwiseConv2dKernel,
        { input: g.padChannels(own.input, own.channels), weights: tileWeights(own.weights, own.layout) },
        { output: own.outputPixels * own.params.vectors * 16 },
        { ...own.params, pixelCount: own.outputPixels },
      );
      const got = g.stripChannels(new Float32Array(output), own.channels);
      const want = depthwiseConv2d(own.input, own.weights, geometry);
      expect(g.relativeL2(got, want), JSON.stringify(geometry)).toBeLessThan(1e-4);
      // A filter shifted by one channel is caught.
      if (own.channels > 1) expect(g.relativeL2(got, want.toReversed())).toBeGreaterThan(1e-2);
    }
  });

  test('the twin is the grouped convolution', () => {
    for (const geometry of randomDepthwise(42, 6, 5)) {
      const { input, weights, channels } = depthwiseCase(geometry);
      const open = [-1e30, 1e30] as const;
      const ones = new Float32Array(channels).fill(1);
      const want = conv2d(input, weights, ones, new Float32Array(channels), open, geometry);
      expect(g.relativeL2(depthwiseConv2d(input, weights, geometry), want)).toBeLessThan(1e-6);
    }
  });
});
