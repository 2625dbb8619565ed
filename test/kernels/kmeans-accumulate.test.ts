import { expect, test } from 'vitest';
import { defineKernel } from '../../src/gpu/kernel.ts';
import { kmeansAccumulate } from '../../src/kernels/kmeans-accumulate.ts';
import { type AccumulateCase, accumulateOnCpu, accumulateOnGpu } from '../support/kmeans.ts';
import { useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

const sizes = (lanes: number) => [lanes + 1, 40, 1, lanes - 1, lanes, 70_001];
const cases: AccumulateCase[] = [
  ...[2, 3, 4, 5, 8, 12, 16].flatMap((clusters) =>
    [32, 64, 256].map((lanes) => ({ clusters, lanes, sizes: sizes(lanes), most: 65536 })),
  ),
  { clusters: 16, lanes: 64, sizes: sizes(64), most: 4 },
  { clusters: 16, lanes: 64, sizes: [300_000], most: 300_000 },
];

test.each(cases)(
  'kmeans-accumulate equals its twin: $clusters clusters, $lanes lanes, chunks of $most',
  async (spec) => {
    expect(await accumulateOnGpu(gpu.runtime, kmeansAccumulate, spec)).toEqual(accumulateOnCpu(spec));
  },
);

test.each([
  ['ties go up', /x > vec4u\(own\[j\]\)/, 'x >= vec4u(own[j])'],
  ['the last vector is dropped', /\(chunk\.z \+ 3u\) \/ 4u/, 'chunk.z / 4u'],
  ['a plane is added twice', 'i32(scale.x + 24u * params.plane)', 'i32(scale.x)'],
  ['carries are lost', /high \+ select\(0u, 1u, before \+ low < before\)\);/, 'high);'],
])('a wrong variant is caught: %s', async (_, right, wrong) => {
  const { declaration } = kmeansAccumulate;
  const source = declaration.wgsl[1].replace(right, wrong);
  expect(source).not.toBe(declaration.wgsl[1]);
  const broken = defineKernel({
    ...declaration,
    name: `kmeans-accumulate ${_}`,
    wgsl: [declaration.wgsl[0], source],
  });
  // Many chunks flush into one total, so that its low word wraps there as well.
  const spec: AccumulateCase = { clusters: 8, lanes: 64, sizes: [70_001], most: 1024 };
  expect(await accumulateOnGpu(gpu.runtime, broken, spec)).not.toEqual(accumulateOnCpu(spec));
});
