import { expect, test } from 'vitest';
import { tileLayout, tileWeights, untileWeights } from '../../src/conv/weight-layout.ts';
import type { Specialization } from '../../src/gpu/kernel.ts';
import type { Runtime } from '../../src/gpu/runtime.ts';
import type { conv2dFilterGradientKernel } from '../../src/kernels/conv2d-filter-gradient.ts';
import type { conv2dInputGradientKernel } from '../../src/kernels/conv2d-input-gradient.ts';
import { conv2dFilterGradient } from '../../src/reference/conv2d-filter-gradient.ts';
import { conv2dInputGradient } from '../../src/reference/conv2d-input-gradient.ts';
import { type ConvGeometry, convOutput } from '../../src/reference/conv2d-int8.ts';
import { sumSplits } from '../../src/reference/sum-splits.ts';
import { dispatch } from './dispatch.ts';
import * as g from './gradients.ts';
import { sampled, seeded, useRuntime } from './runtime.ts';

type Random = ReturnType<typeof seeded>;
/** A specialization to test a shape at, on the adapter at hand. */
type Pick = (random: Random, runtime: Runtime) => Specialization;

/** Any lanes and tile of a `-broadcast` kernel that the adapter's subgroups allow. */
export const anyBroadcast: Pick = (random, { adapter }) => {
  expect(adapter.subgroupSize).toBeGreaterThanOrEqual(4);
  const LANES = adapter.subgroupSize >= 8 ? random.pick(['4u', '8u']) : '4u';
  const [TILE_VECTORS, WORKGROUP_SIZE] = random.pick([
    ['4u', 32],
    ['8u', 8],
  ]);
  return { LANES, TILE_VECTORS, WORKGROUP_SIZE };
};

const layoutOf = ({ outChannels, inChannels, kernel }: ConvGeometry) =>
  tileLayout({ outChannels, inChannels, kernelHeight: kernel[0], kernelWidth: kernel[1], groups: 1 }, 4);

/** Random shapes through a kernel that computes a convolution's gradient by its input. */
export function testInputGradient(kernel: typeof conv2dInputGradientKernel, pick: Pick): void {
  const gpu = useRuntime();
  test('is within 1e-4 of the float64 twin on random shapes', async () => {
    const cases = g.randomConvs(seeded(21), 40, 21);
    for (const geometry of sampled('input gradients', cases, 14)) {
      const { batch, height, width, inChannels, outChannels, kernel: taps } = geometry;
      const random = seeded(height * 31 + width);
      const [outHeight, outWidth] = convOutput(geometry);
      const weights = random.floats(outChannels * inChannels * taps[0] * taps[1], 0.3);
      const gradient = random.floats(batch * outHeight * outWidth * outChannels);
      const pixelCount = batch * height * width;
      const specialization = pick(random, gpu.runtime);
      const { inputGradient } = await dispatch(
        gpu.runtime,
        kernel,
        {
          gradient: g.padChannels(gradient, outChannels),
          weights: tileWeights(weights, layoutOf(geometry)),
        },
        { inputGradient: pixelCount * Math.ceil(inChannels / 4) * 16 },
        { ...g.convParams(geometry), inputChannels: inChannels, pixelCount },
        specialization,
      );
      const got = g.stripChannels(new Float32Array(inputGradient), inChannels);
      const want = conv2dInputGradient(gradient, weights, geometry);
      expect(g.relativeL2(got, want), JSON.stringify({ ...geometry, specialization })).toBeLessThan(1e-4);
    }
  });
}

/** Random shapes and splits through a kernel that computes a convolution's gradient by its weights. */
export function testFilterGradient(kernel: typeof conv2dFilterGradientKernel, pick: Pick): void {
  const gpu = useRuntime();
  test('is within 1e-4 of the float64 twin on random shapes and splits', async () => {
    const cases = g.randomConvs(seeded(31), 40, 21);
    for (const geometry of sampled('filter gradients', cases, 14)) {
      const { batch, height, width, inChannels, outChannels } = geometry;
      const random = seeded(height * 31 + width);
      const [outHeight, outWidth] = convOutput(geometry);
      const input = random.floats(batch * height * width * inChannels);
      const gradient = random.floats(batch * outHeight * outWidth * outChannels);
      const layout = layoutOf(geometry);
      const pixelCount = batch * outHeight * outWidth;
      const chunk = random.integer(1, pixelCount + 2);
      const splits = Math.ceil(pixelCount / chunk);
      const specialization = pick(random, gpu.runtime);
      const { partial } = await dispatch(
        gpu.runtime,
        kernel,
        { input: g.padChannels(input, inChannels), gradient: g.padChannels(gradient, outChannels) },
        { partial: splits * layout.length * 4 },
        { ...g.convParams(geometry), inputVectors: Math.ceil(inChannels / 4), pixelCount, chunk },
        specialization,
      );
      const sums = Float32Array.from(sumSplits(new Float32Array(partial), splits));
      const got = untileWeights(sums, layout);
      // Padded elements are zero, so that a step never moves the padding of the weights.
      expect(sums.filter((v) => v !== 0).length).toBeLessThanOrEqual(got.length);
      const want = conv2dFilterGradient(input, gradient, geometry);
      const what = JSON.stringify({ ...geometry, chunk, specialization });
      expect(g.relativeL2(got, want), what).toBeLessThan(1e-4);
    }
  });
}
