import { describe, expect, test } from 'vitest';
import { tileLayout, tileWeights as tileOihw } from '../../src/conv/weight-layout.ts';
import { tileWeightsKernel } from '../../src/kernels/tile-weights.ts';
import { tileWeights, untileWeights } from '../../src/reference/tile-weights.ts';
import { dispatch, firstDifference } from '../support/dispatch.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

const SHAPES = [
  [1, 1, 1],
  [9, 3, 16],
  [9, 4, 17],
  [4, 7, 40],
  [25, 64, 10],
].map(([taps, inputChannels, outputChannels]) => ({ taps, inputChannels, outputChannels }));

describe('tile-weights', () => {
  test.each(SHAPES)(
    '$taps taps, $inputChannels to $outputChannels channels, there and back',
    async (shape) => {
      const filter = seeded(shape.taps).floats(shape.taps * shape.inputChannels * shape.outputChannels);
      const want = tileWeights(filter, shape);
      const { output } = await dispatch(
        gpu.runtime,
        tileWeightsKernel,
        { input: filter },
        { output: want.byteLength },
        shape,
      );
      expect(firstDifference(new Float32Array(output), want)).toBe(-1);
      const back = await dispatch(
        gpu.runtime,
        tileWeightsKernel,
        { input: want },
        { output: filter.byteLength },
        shape,
        { BACK: '1u' },
      );
      expect(firstDifference(new Float32Array(back.output), filter)).toBe(-1);
      expect(firstDifference(untileWeights(want, shape), filter)).toBe(-1);
      // A swapped pair of channels is caught.
      if (filter.length > 1)
        expect(firstDifference(new Float32Array(output), want.toReversed())).not.toBe(-1);
    },
  );

  test('the twin is the order that the convolutions read', () => {
    const [inChannels, outChannels, kernelHeight, kernelWidth] = [5, 18, 2, 3];
    const layout = tileLayout({ inChannels, outChannels, kernelHeight, kernelWidth, groups: 1 }, 4);
    const oihw = seeded(4).floats(outChannels * inChannels * 6);
    const hwio = Float32Array.from(oihw, (_, i) => {
      const [tap, c, o] = [Math.floor(i / 90), Math.floor(i / 18) % 5, i % 18];
      return oihw[(o * 5 + c) * 6 + tap];
    });
    const tiled = tileWeights(hwio, { taps: 6, inputChannels: 5, outputChannels: 18 });
    expect(firstDifference(tiled, tileOihw(oihw, layout))).toBe(-1);
  });
});
