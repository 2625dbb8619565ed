import { expect, test } from 'vitest';
import { tileLayout, tileWeights } from '../../src/conv/weight-layout.ts';
import type { Specialization } from '../../src/gpu/kernel.ts';
import type { AdapterReport } from '../../src/gpu/runtime.ts';
import type { conv2dKernel } from '../../src/kernels/conv2d.ts';
import type { ImageGraph } from '../../src/model/graph.ts';
import { conv2d } from '../../src/reference/conv2d.ts';
import { type ConvGeometry, convOutput, maxPool2x2 } from '../../src/reference/conv2d-int8.ts';
import { type CompileOptions, compile } from '../../src/run/session.ts';
import { dispatch } from './dispatch.ts';
import { convParams, padChannels, relativeL2, stripChannels } from './gradients.ts';
import { sampled, seeded, useRuntime } from './runtime.ts';

const random = seeded(11);
const cases = Array.from({ length: 40 }, (_, seed) => {
  const groups = random.pick([1, 1, 2, 3]);
  return {
    seed,
    pool: random.next() < 0.5,
    relu: random.next() < 0.5,
    geometry: {
      batch: random.integer(1, 5),
      height: random.integer(6, 12),
      width: random.integer(6, 12),
      inChannels: groups * random.pick([1, 3, 4, 8, 13, 16]),
      outChannels: groups * random.pick([1, 3, 8, 16, 10, 32, 37]),
      kernel: [random.integer(1, 4), random.integer(1, 4)],
      strides: [random.integer(1, 2), random.integer(1, 2)],
      dilations: [1, random.integer(1, 2)],
      pads: [random.integer(1, 2), random.integer(1, 2), random.integer(0, 2), random.integer(1, 2)],
      groups,
    } as ConvGeometry,
  };
}).filter(({ geometry, pool }) => convOutput(geometry).every((n) => n >= (pool ? 2 : 1)));

interface ConvTestOptions {
  tolerance?: number;
  /** How many geometries run unless all do. */
  sample?: number;
  /** What the adapter is said to have instead of its own. */
  subgroupSize?: number;
}

/** Every geometry through the kernel that `software` adapters or `options` are given, on whatever adapter is there. */
export function testConv2d(
  software: AdapterReport['software'],
  options: CompileOptions = {},
  { tolerance = 1e-5, sample = 16, subgroupSize }: ConvTestOptions = {},
): void {
  const context = useRuntime();
  test('equals the float64 twin within rounding, fused affine, clamp and pool included', async () => {
    for (const { geometry, pool, relu, seed } of sampled('conv2d geometries', cases, sample)) {
      const r = seeded(seed);
      const { batch, height, width, inChannels, outChannels, kernel, groups } = geometry;
      const [outHeight, outWidth] = convOutput(geometry);
      const weight = r.floats((outChannels * inChannels * kernel[0] * kernel[1]) / groups, 0.3);
      const scale = r.floats(outChannels); // negative scales too: pooling must come after them
      const shift = r.floats(outChannels);
      const images = Float32Array.from({ length: batch * height * width * inChannels }, () => r.next());
      const graph: ImageGraph = {
        name: 'one layer',
        input: { name: 'input', height, width, channels: inChannels },
        nodes: [
          { op: 'conv2d', name: 'conv', inputs: ['input'], ...geometry },
          { op: 'batchNorm', name: 'bn', inputs: ['conv'], epsilon: 0 },
          ...(relu ? [{ op: 'relu', name: 'relu', inputs: ['bn'] } as const] : []),
          ...(pool
            ? [
                {
                  op: 'maxPool',
                  name: 'pool',
                  inputs: [relu ? 'relu' : 'bn'],
                  kernel: [2, 2],
                  strides: [2, 2],
                } as const,
              ]
            : []),
          {
            op: 'linear',
            name: 'identity',
            inputs: [pool ? 'pool' : relu ? 'relu' : 'bn'],
            outFeatures: 1,
          },
        ],
        output: 'identity',
      };
      const shapeOut = [pool ? outHeight >> 1 : outHeight, pool ? outWidth >> 1 : outWidth];
      const features = shapeOut[0] * shapeOut[1] * outChannels;
      const tensor = (data: Float32Array, ...dims: number[]) => ({ dtype: 'float32' as const, dims, data });
      const mixing = r.floats(features);
      const { adapter } = context.runtime;
      const session = await compile(
        {
          ...context.runtime,
          adapter: { ...adapter, software, subgroupSize: subgroupSize ?? adapter.subgroupSize },
        },
        {
          graph,
          parameters: new Map([
            ['conv.weight', tensor(weight, outChannels, inChannels / groups, ...kernel)],
            ['bn.weight', tensor(scale, outChannels)],
            ['bn.bias', tensor(shift, outChannels)],
            ['bn.running_mean', tensor(new Float32Array(outChannels), outChannels)],
            ['bn.running_var', tensor(new Float32Array(outChannels).fill(1), outChannels)],
            ['identity.weight', tensor(mixing, 1, features)],
            ['identity.bias', tensor(new Float32Array(1), 1)],
          ]),
        },
        { batch: 2, ...options },
      );
      const output = await session.run(images);
      session.destroy();
      let want = conv2d(images, weight, scale, shift, [relu ? 0 : -Infinity, Infinity], geometry);
      if (pool) want = maxPool2x2(want, [batch, outHeight, outWidth, outChannels]);
      for (let n = 0; n < batch; n++) {
        // A random projection of the whole output, in PyTorch's C x H x W order, sees every misplaced element.
        let sum = 0;
        let norm = 0;
        const area = shapeOut[0] * shapeOut[1];
        for (let p = 0; p < area; p++) {
          for (let c = 0; c < outChannels; c++) {
            const term = want[(n * area + p) * outChannels + c] * mixing[c * area + p];
            sum += term;
            norm += Math.abs(term);
          }
        }
        expect(Math.abs(output[n] - sum), JSON.stringify(geometry)).toBeLessThan(tolerance * norm + 1e-6);
      }
    }
  });
}

/** Ragged pixels into a longer buffer: what lies after them stays. Kernels through a session have no guard words. */
export function testStores(kernel: typeof conv2dKernel, tileVectors: number, specialization: Specialization) {
  const context = useRuntime();
  test.each([1, 2, 3, 4, 5, 6, 7, 9])('stores %i pixels, and none after them', async (width) => {
    const [inChannels, outChannels] = [5, 6];
    const r = seeded(width);
    const shape = { outChannels, inChannels, kernelHeight: 1, kernelWidth: 1, groups: 1 };
    const layout = tileLayout(shape, tileVectors);
    const channels = layout.tileCount * layout.tileChannels;
    const geometry: ConvGeometry = {
      ...{ batch: 1, height: 1, width, inChannels, outChannels, groups: 1 },
      ...{ kernel: [1, 1], strides: [1, 1], dilations: [1, 1], pads: [0, 0, 0, 0] },
    };
    const input = r.floats(width * inChannels);
    const weights = r.floats(outChannels * inChannels);
    const ones = new Float32Array(channels).fill(1, 0, outChannels);
    const { outputVectors, ...sizes } = convParams(geometry);
    const { output } = await dispatch(
      context.runtime,
      kernel,
      {
        input: padChannels(input, inChannels),
        weights: tileWeights(weights, layout),
        scale: ones,
        shift: new Float32Array(channels),
      },
      { output: (width + 4) * outputVectors * 16 },
      {
        ...sizes,
        ...{ inputVectors: 2, outputVectors, groupVectors: 2, groupTiles: layout.groupTiles },
        ...{ pixelCount: width, tileCount: layout.tileCount, pool: 0, low: -1e30, high: 1e30 },
      },
      specialization,
    );
    const stored = width * outputVectors * 4;
    const got = stripChannels(new Float32Array(output).subarray(0, stored), outChannels);
    const want = conv2d(input, weights, ones, new Float32Array(outChannels), [-1e30, 1e30], geometry);
    expect(relativeL2(got, want)).toBeLessThan(1e-6);
    const after = new Uint32Array(output).subarray(stored);
    expect([...new Set(after)]).toEqual([0xdeadbeef]);
  });
}
