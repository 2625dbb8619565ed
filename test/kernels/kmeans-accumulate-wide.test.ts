import { expect, test } from 'vitest';
import { defineKernel } from '../../src/gpu/kernel.ts';
import { kmeansAccumulateWide } from '../../src/kernels/kmeans-accumulate-wide.ts';
import { type AccumulateCase, accumulateOnCpu, accumulateOnGpu } from '../support/kmeans.ts';
import { useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

const sizes = (lanes: number) => [lanes + 1, 40, 1, lanes - 1, lanes, 70_001];
const cases: AccumulateCase[] = [2, 3, 16, 17, 100, 255, 256].map((clusters, index) => {
  const lanes = [32, 64, 256][index % 3];
  return { clusters, lanes, sizes: sizes(lanes), most: index % 2 ? 4096 : 65536 };
});

test.each(cases)(
  'kmeans-accumulate-wide equals its twin: $clusters clusters, $lanes lanes, chunks of $most',
  async (spec) => {
    expect(await accumulateOnGpu(gpu.runtime, kmeansAccumulateWide, spec)).toEqual(accumulateOnCpu(spec));
  },
);

test('sums pass 32 bits exactly', () => {
  const totals = accumulateOnCpu({ clusters: 2, lanes: 64, sizes: [300_000], most: 300_000 });
  expect(totals[2] + totals[8]).toBeGreaterThan(0);
});

test.each([
  ['ties go up', 'x > tile_thresholds', 'x >= tile_thresholds'],
  ['the last element is dropped', 'at < chunk.z', 'at + 1u < chunk.z'],
  ['a plane is added twice', 'i32(scale.x + 24u * params.plane)', 'i32(scale.x)'],
  ['carries are lost', 'if (before + limb < before)', 'if (before + limb < 0u)'],
])('a wrong variant is caught: %s', async (name, right, wrong) => {
  const { declaration } = kmeansAccumulateWide;
  const source = declaration.wgsl[1].replace(right, wrong);
  expect(source).not.toBe(declaration.wgsl[1]);
  const broken = defineKernel({
    ...declaration,
    name: `kmeans-accumulate-wide ${name}`,
    wgsl: [declaration.wgsl[0], source],
  });
  const spec: AccumulateCase = { clusters: 20, lanes: 64, sizes: [70_001], most: 65536 };
  expect(await accumulateOnGpu(gpu.runtime, broken, spec)).not.toEqual(accumulateOnCpu(spec));
});
