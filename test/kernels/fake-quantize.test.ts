import { describe, expect, test } from 'vitest';
import { fakeQuantizeKernel } from '../../src/kernels/fake-quantize.ts';
import { fakeQuantize } from '../../src/reference/fake-quantize.ts';
import { dispatch } from '../support/dispatch.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();
const layouts = [
  {
    name: 'per tensor, zero point',
    count: 100,
    block: 100,
    lanes: 1,
    quantMin: -128,
    quantMax: 127,
    zeroPoint: -7,
  },
  { name: 'per row', count: 9 * 27, block: 27, lanes: 1, quantMin: -8, quantMax: 7, zeroPoint: 0 },
  {
    name: 'tiled weights',
    count: 3 * 9 * 4 * 8,
    block: 9 * 4 * 8,
    lanes: 8,
    quantMin: -2,
    quantMax: 1,
    zeroPoint: 0,
  },
];

describe('fake-quantize', () => {
  for (const { name, zeroPoint, ...layout } of layouts) {
    test(`equals the twin, ${name}: powers of two land on ties, exactly`, async () => {
      const random = seeded(layout.count);
      const channels = (layout.count / layout.block) * layout.lanes;
      const qparams = new Float32Array(channels * 2);
      for (let c = 0; c < channels; c++) qparams.set([2 ** random.integer(-5, -1), zeroPoint], c * 2);
      const input = random.ties(layout.count, 1 / 64, 200);
      const { output } = await dispatch(
        gpu.runtime,
        fakeQuantizeKernel,
        { input, qparams },
        { output: input.byteLength },
        layout,
      );
      const want = fakeQuantize(input, qparams, layout);
      // -0 where the twin has 0 is the same value.
      expect([...new Float32Array(output)].map((v) => v + 0)).toEqual([...want].map((v) => v + 0));
    });
  }
});
