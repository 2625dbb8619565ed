// Reported situations of k-means.
import { kmeans } from 'lloyd';
import { describe, expect, test } from 'vitest';
import { useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();
const decoded = ({ codes, codebook }: { codes: Uint8Array; codebook: Float32Array }) =>
  [...codes].map((code) => codebook[code]);

// davisking/dlib#2525: k = 2 on constant data.
test.each([5, -0, 1.401298464324817e-45, 3.4028234663852886e38])(
  'two clusters of a thousand times %f',
  async (value) => {
    const result = await kmeans(gpu.runtime, new Float32Array(1000).fill(value), { bits: 1 });
    expect([result.codebook[result.codes[0]] + 0, result.inertia]).toEqual([value + 0, 0]);
  },
);

test('256 clusters of one value', async () => {
  const result = await kmeans(gpu.runtime, Float32Array.of(5), { bits: 8 });
  expect(decoded(result)).toEqual([5]);
});

// facebookresearch/faiss#5619: many equal values under a common offset gave a centroid beside them.
describe('a common offset', () => {
  test('equal values are their own centroid', async () => {
    const flat = await kmeans(gpu.runtime, new Float32Array(300).fill(999983), { bits: 1, init: 'optimal' });
    expect(flat.codebook[flat.codes[0]]).toBe(999983);
  });
  test.each([0, 9e5, -9e5])('eight bands about %f are found', async (offset) => {
    // Eight values each, 4 apart, a spread of 0.4375: the optimum is the bands.
    const weights = Float32Array.from({ length: 64 }, (_, i) => offset + (i >> 3) * 4 + (i % 8) * 0.0625);
    const { codes } = await kmeans(gpu.runtime, weights, { bits: 3, init: 'optimal' });
    expect([...codes]).toEqual(Array.from(weights, (_, i) => i >> 3));
  });
});

// scikit-learn/scikit-learn#9354, and masks of -3.4e38: as many clusters as distinct values must be lossless.
test.each([1e2, 1e6, 1e7, 1e8, 1e9, 3.4028234663852886e38])(
  'four values by four centroids, one of them %f',
  async (big) => {
    const weights = Float32Array.of(big, 1, 2, 3);
    const result = await kmeans(gpu.runtime, weights, { clusters: 4, init: 'optimal' });
    expect(decoded(result)).toEqual([...weights]);
  },
);

// Seen in a demo: a codebook a channel came out worse than one a tensor, though it has every choice of it and more.
test.each(['optimal', 'kmeans++', 'linear', 'quantile'] as const)(
  '%s: more codebooks never fit worse',
  async (init) => {
    let state = 7;
    const random = () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state / 2 ** 32;
    };
    const normal = () => Math.sqrt(-2 * Math.log(random() + 1e-12)) * Math.cos(2 * Math.PI * random());
    const shape = [64, 32, 3, 3];
    const weights = Float32Array.from(
      { length: 64 * 288 },
      (_, i) => normal() * (0.01 + 0.04 * (Math.floor(i / 288) % 7)),
    );
    const tensor = await kmeans(gpu.runtime, weights, { bits: 4, init, shape });
    const channel = await kmeans(gpu.runtime, weights, {
      bits: 4,
      init,
      shape,
      granularity: { kind: 'perAxis', axis: 0 },
    });
    expect(channel.inertia).toBeLessThanOrEqual(tensor.inertia);
  },
);
