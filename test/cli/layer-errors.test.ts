import { expect, test } from 'vitest';
import { layerErrors } from '../../src/cli/quantize.ts';
import { quantizeModel } from '../../src/run/precision.ts';
import { useRuntime } from '../support/runtime.ts';
import { smallModel } from '../support/small-model.ts';

const gpu = useRuntime();

test('the error of a layer is that of its own codebooks, however many', async () => {
  const model = smallModel();
  let before = Number.POSITIVE_INFINITY;
  for (const granularity of [
    'perTensor',
    { kind: 'perAxis', axis: 0 },
    { kind: 'perGroup', groupSize: 9 },
  ] as const) {
    const options = { method: 'kmeans', bits: 2, init: 'optimal', granularity } as const;
    const quantized = await quantizeModel(gpu.runtime, model, options);
    for (const { layer, mse, sqnrDb, weights } of layerErrors(quantized)) {
      const own = quantized.layers.get(layer);
      if (own?.method !== 'kmeans') throw new Error(`${layer} was not clustered`);
      const exact = model.parameters.get(`${layer}.weight`)!.data as Float32Array;
      const clusters = own.codebook.length / (own.groups ?? 1);
      let [noise, signal] = [0, 0];
      for (let i = 0; i < weights; i++) {
        const group = Math.floor(i / (own.groupStride ?? weights)) % (own.groups ?? 1);
        noise += (exact[i] - own.codebook[group * clusters + own.codes[i]]) ** 2;
        signal += exact[i] ** 2;
      }
      expect(mse).toBeCloseTo(noise / weights, 12);
      expect(sqnrDb).toBeCloseTo(noise === 0 ? Number.POSITIVE_INFINITY : 10 * Math.log10(signal / noise), 9);
    }
    const total = layerErrors(quantized).reduce((sum, { mse, weights }) => sum + mse * weights, 0);
    expect(total).toBeLessThan(before);
    before = total;
  }
});
