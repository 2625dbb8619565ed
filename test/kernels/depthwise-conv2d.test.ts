import { describe, expect, test } from 'vitest';
import { tileWeights } from '../../src/conv/weight-layout.ts';
import { depthwiseConv2dKernel } from '../../src/kernels/depthwise-conv2d.ts';
import { conv2d } from '../../src/reference/conv2d.ts';
import { type ConvGeometry, convOutput, maxPool2x2 } from '../../src/reference/conv2d-int8.ts';
import { depthwiseConv2d } from '../../src/reference/depthwise-conv2d.ts';
import { depthwiseCase, randomDepthwise } from '../support/depthwise.ts';
import { dispatch } from '../support/dispatch.ts';
import * as g from '../support/gradients.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

interface Epilogue {
  scale: Float32Array;
  shift: Float32Array;
  low: number;
  high: number;
  pool: boolean;
}

/** The kernel's output without padding. */
async function run(geometry: ConvGeometry, { scale, shift, low, high, pool }: Epilogue) {
  const { input, weights, layout, params } = depthwiseCase(geometry);
  const { outputVectors: vectors, ...shapes } = params;
  const { batch, inChannels, outChannels } = geometry;
  const [height, width] = convOutput(geometry);
  const pixelCount = batch * (pool ? (height >> 1) * (width >> 1) * 4 : height * width);
  const padded = (values: Float32Array) => {
    const all = new Float32Array(layout.tileCount * layout.tileChannels);
    all.set(values);
    return all;
  };
  const { output } = await dispatch(
    gpu.runtime,
    depthwiseConv2dKernel,
    {
      input: g.padChannels(input, inChannels),
      weights: tileWeights(weights, layout),
      scale: padded(scale),
      shift: padded(shift),
    },
    { output: (pixelCount / (pool ? 4 : 1)) * vectors * 16 },
    {
      ...shapes,
      inputVectors: Math.ceil(inChannels / 4),
      outputVectors: vectors,
      groupVectors: 1,
      groupTiles: layout.groupTiles,
      tileCount: layout.tileCount,
      pool: Number(pool),
      pixelCount,
      low,
      high,
    },
    { MULTIPLIER: `${outChannels / inChannels}u` },
  );
  return g.stripChannels(new Float32Array(output), outChannels);
}

describe('depthwise-conv2d', () => {
  test('is within 1e-5 of the float64 twin on random shapes, epilogue and pool included', async () => {
    const random = seeded(40);
    let pools = 0;
    for (const geometry of randomDepthwise(41, 36, 37, [1, 1, 2, 3, 5])) {
      const { input, weights } = depthwiseCase(geometry);
      const { batch, inChannels, outChannels } = geometry;
      const [height, width] = convOutput(geometry);
      const pool = random.next() < 0.5 && height > 1 && width > 1;
      if (pool) pools++;
      // Negative scales too: the pool must come after them.
      const [scale, shift] = [random.floats(outChannels), random.floats(outChannels)];
      const [low, high] = random.next() < 0.5 ? [0, 0.7] : [-3e38, 3e38];
      const got = await run(geometry, { scale, shift, low, high, pool });
      const all = conv2d(input, weights, scale, shift, [low, high], geometry);
      const want = pool ? maxPool2x2(all, [batch, height, width, outChannels]) : all;
      expect(g.relativeL2(got, want), JSON.stringify({ ...geometry, pool })).toBeLessThan(1e-5);
      // A filter shifted by one channel is caught.
      if (inChannels > 1) expect(g.relativeL2(got, want.toReversed())).toBeGreaterThan(1e-2);
    }
    expect(pools).toBeGreaterThan(5);
  });

  test('the twin is the grouped convolution', () => {
    for (const geometry of randomDepthwise(42, 6, 5, [1, 2, 3])) {
      const { input, weights } = depthwiseCase(geometry);
      const { outChannels } = geometry;
      const open = [-1e30, 1e30] as const;
      const ones = new Float32Array(outChannels).fill(1);
      const want = conv2d(input, weights, ones, new Float32Array(outChannels), open, geometry);
      expect(g.relativeL2(depthwiseConv2d(input, weights, geometry), want)).toBeLessThan(1e-6);
    }
  });
});
