import { describe, expect, test } from 'vitest';
import { tileLayout, tileWeights } from '../../src/conv/weight-layout.ts';
import { retileWeightsKernel } from '../../src/kernels/retile-weights.ts';
import { retileWeights } from '../../src/reference/retile-weights.ts';
import { dispatch, firstDifference } from '../support/dispatch.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

const SHAPES = [
  [1, 1, 1, 1],
  [3, 3, 3, 16],
  [2, 3, 5, 18],
  [1, 4, 37, 70],
  [5, 5, 131, 10],
] as const;

/** OIHW weights of the flipped convolution from outputs to inputs. */
function flipped(oihw: Float32Array, taps: number, inputs: number, outputs: number): Float32Array {
  const result = new Float32Array(oihw.length);
  for (let o = 0; o < outputs; o++)
    for (let c = 0; c < inputs; c++)
      for (let tap = 0; tap < taps; tap++)
        result[(c * outputs + o) * taps + taps - 1 - tap] = oihw[(o * inputs + c) * taps + tap];
  return result;
}

describe('retile-weights', () => {
  test.each(SHAPES)('%i x %i taps, %i to %i channels, to tiles of either convolution', async (...shape) => {
    const [kernelHeight, kernelWidth, inputChannels, outputChannels] = shape;
    const taps = kernelHeight * kernelWidth;
    const sizes = { taps, inputChannels, outputChannels };
    const own = { kernelHeight, kernelWidth, groups: 1 };
    const oihw = seeded(taps).floats(taps * inputChannels * outputChannels);
    const layout = tileLayout({ ...own, inChannels: inputChannels, outChannels: outputChannels }, 4);
    const clean = tileWeights(oihw, layout);
    // What pads the trainer's tiles need not be zero: codebooks decode it to a centroid.
    const weights = tileWeights(oihw, layout, 7);
    for (const vectors of [8, 16, 32]) {
      for (const swap of [false, true]) {
        const [inChannels, outChannels] = swap
          ? [outputChannels, inputChannels]
          : [inputChannels, outputChannels];
        const target = tileLayout({ ...own, inChannels, outChannels }, vectors);
        const values = swap ? flipped(oihw, taps, inputChannels, outputChannels) : oihw;
        const want = tileWeights(values, target);
        expect(firstDifference(retileWeights(weights, sizes, vectors, swap), want)).toBe(-1);
        const { retiled } = await dispatch(
          gpu.runtime,
          retileWeightsKernel,
          { weights },
          { retiled: want.byteLength },
          sizes,
          { SWAP: swap ? '1u' : '0u', TILE_VECTORS: `${vectors}u` },
        );
        expect(firstDifference(new Float32Array(retiled), want), `${vectors} ${swap}`).toBe(-1);
        // Weights that are not flipped are caught.
        if (swap && taps > 1)
          expect(firstDifference(retileWeights(clean.toReversed(), sizes, vectors, swap), want)).not.toBe(-1);
      }
    }
  });
});
