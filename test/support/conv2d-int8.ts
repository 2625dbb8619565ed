import { expect, test } from 'vitest';
import { conv2dInt8 } from '../../src/conv/conv-int8.ts';
import { prepareMultipliers, requantizeConstant, requantizeRules } from '../../src/conv/requantize.ts';
import { packTiles, tileLayout } from '../../src/conv/weight-layout.ts';
import type { Kernel, Specialization } from '../../src/gpu/kernel.ts';
import type { AdapterReport } from '../../src/gpu/runtime.ts';
import {
  type ConvGeometry,
  conv2dAccumulators,
  convOutput,
  maxPool2x2,
} from '../../src/reference/conv2d-int8.ts';
import { requantizeReference } from '../../src/reference/requantize.ts';
import { firstDifference } from './dispatch.ts';
import { guardedOutput, sampled, seeded, useRuntime } from './runtime.ts';

interface Case {
  geometry: ConvGeometry;
  pool: boolean;
  seed: number;
}

const random = seeded(7);
const cases: Case[] = Array.from({ length: 60 }, (_, seed) => {
  const groups = random.pick([1, 1, 1, 2, 4]);
  const kernel = [random.integer(1, 5), random.integer(1, 5)] as const;
  return {
    seed,
    pool: random.next() < 0.4,
    geometry: {
      batch: random.integer(1, 3),
      height: random.integer(5, 13),
      width: random.integer(5, 13),
      inChannels: groups * random.pick([1, 2, 3, 4, 5, 8, 13, 16, 17, 32]),
      outChannels: groups * random.pick([1, 3, 4, 8, 11, 16, 32, 37]),
      kernel,
      strides: [random.integer(1, 3), random.integer(1, 2)] as const,
      dilations: [random.integer(1, 2), 1] as const,
      pads: [random.integer(2, 4), random.integer(0, 2), random.integer(2, 4), random.integer(0, 2)] as const,
      groups,
    },
  };
}).filter(({ geometry, pool }) => convOutput(geometry).every((n) => n >= (pool ? 2 : 1)));
// Depthwise, a plain 3x3 wide enough to fill several tiles, and a 1x1.
const named: ConvGeometry[] = [
  { batch: 2, height: 9, width: 9, inChannels: 12, outChannels: 12, groups: 12, kernel: [3, 3] },
  { batch: 3, height: 16, width: 15, inChannels: 64, outChannels: 40, groups: 1, kernel: [3, 3] },
  { batch: 5, height: 3, width: 3, inChannels: 33, outChannels: 9, groups: 1, kernel: [1, 1] },
].map((g) => ({
  ...g,
  kernel: g.kernel as [number, number],
  strides: [1, 1],
  dilations: [1, 1],
  pads: [1, 1, 1, 1],
}));
cases.push(...named.map((geometry, i) => ({ geometry, pool: i === 1, seed: 1000 + i })));

/** What float outputs are clamped to: some are below, some between, some above. */
const FLOAT_BOUNDS = [-30, 500] as const;

function makeCase({ geometry, seed }: Case) {
  const r = seeded(seed);
  const { batch, height, width, inChannels, outChannels, kernel, groups } = geometry;
  return {
    input: r.int8s(batch * height * width * inChannels),
    weight: r.int8s((outChannels * inChannels * kernel[0] * kernel[1]) / groups),
    bias: Int32Array.from({ length: outChannels }, () => r.integer(-5000, 5000)),
    zeroPoint: r.pick([0, -128, 127, 3]),
  };
}

function expected(kase: Case, inputs: ReturnType<typeof makeCase>): Int32Array {
  const { geometry, pool } = kase;
  const all = conv2dAccumulators(inputs.input, inputs.weight, inputs.bias, inputs.zeroPoint, geometry);
  return pool ? maxPool2x2(all, [geometry.batch, ...convOutput(geometry), geometry.outChannels]) : all;
}

/**
 * Every geometry, rule and weight width through one kernel.
 *
 * @param software the kind of adapter that is given this kernel; it runs on whatever adapter is there
 * @param tiles the specializations to try, and the weight tile each reads
 * @param inChannels of the convolution they are tried on
 */
export function testConv2dInt8(
  software: AdapterReport['software'],
  kernelUnderTest: Kernel,
  tiles: readonly { tileVectors: number; specialization: Specialization }[],
  inChannels = 12,
): void {
  const context = useRuntime();
  const runtimeFor = () => ({ ...context.runtime, adapter: { ...context.runtime.adapter, software } });

  test('accumulators equal the twin, every stride, padding, dilation and grouping', async () => {
    for (const kase of sampled('conv2d-int8 geometries', cases, 24)) {
      const { geometry, pool } = kase;
      const inputs = makeCase(kase);
      const { batch, height, width, inChannels, outChannels, kernel, strides, dilations, pads, groups } =
        geometry;
      const output = await conv2dInt8(
        runtimeFor(),
        { dtype: 'int8', dims: [batch, height, width, inChannels], data: inputs.input },
        { dtype: 'int8', dims: [outChannels, inChannels / groups, ...kernel], data: inputs.weight },
        { strides, dilations, pads, groups, pool, bias: inputs.bias, inputZeroPoint: inputs.zeroPoint },
      );
      expect(output.data, JSON.stringify(kase)).toEqual(expected(kase, inputs));
    }
  });

  test.each(sampled('requantization rules', requantizeRules, requantizeRules.length))(
    'requantizes by %s, bit for bit',
    async (rule) => {
      const kase = cases.at(-2)!;
      const inputs = makeCase(kase);
      const { geometry, pool } = kase;
      // Powers of two put half of all outputs on ties, an odd zero point tells the rules apart there.
      const scales = { inputScale: 0.5, outputScale: 64, outputZeroPoint: 3 };
      const weightScale = Float32Array.from({ length: geometry.outChannels }, (_, i) => 2 ** -(i % 4));
      const output = await conv2dInt8(
        runtimeFor(),
        { dtype: 'int8', dims: [3, 16, 15, 64], data: inputs.input },
        { dtype: 'int8', dims: [40, 64, 3, 3], data: inputs.weight },
        {
          ...scales,
          weightScale,
          low: 3,
          pads: geometry.pads,
          pool,
          bias: inputs.bias,
          inputZeroPoint: inputs.zeroPoint,
          requantize: rule,
        },
      );
      const settings = { inputScale: 0.5, outputScale: 64, zeroPoint: 3, low: 3, high: 127 };
      const want = Int8Array.from(expected(kase, inputs), (acc, i) =>
        requantizeReference(rule, acc, { ...settings, weightScale: weightScale[i % 40] }),
      );
      expect(output.data).toEqual(want);
      // The comparator sees a wrong rule: half away from zero differs from this one somewhere on these ties.
      const wrong = Int8Array.from(expected(kase, inputs), (acc, i) => {
        const x = (acc * 0.5 * weightScale[i % 40]) / 64;
        return Math.min(127, Math.max(3, Math.sign(x) * Math.floor(Math.abs(x) + 0.25) + 3));
      });
      expect(output.data).not.toEqual(wrong);
    },
  );

  test.each(['8u', '4u', '2u'])(
    'reads %s-bit weights, in every tile shape, inside its output only',
    async (width) => {
      const bits = Number.parseInt(width, 10) as 8 | 4 | 2;
      const r = seeded(bits);
      const geometry = { ...named[1], batch: 1, height: 7, width: 6, inChannels, outChannels: 20 };
      const input = r.int8s(7 * 6 * inChannels);
      const weight = r.int8s(20 * inChannels * 9, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1);
      const bias = Int32Array.from({ length: 20 }, () => r.integer(-99, 99));
      const want = conv2dAccumulators(input, weight, bias, 0, geometry);
      const { runtime } = context;
      for (const { tileVectors, specialization } of tiles) {
        const layout = tileLayout(
          { outChannels: 20, inChannels, kernelHeight: 3, kernelWidth: 3, groups: 1 },
          tileVectors,
        );
        const channels = layout.tileCount * layout.tileChannels;
        const padded = new Int32Array(channels);
        padded.set(bias);
        // Sums as they are; once also as floats, which a fused activation bounds. Powers of two round nothing.
        const floats = Float32Array.from(want, (sum, i) =>
          Math.min(FLOAT_BOUNDS[1], Math.max(FLOAT_BOUNDS[0], sum * 2 ** -(i % 20))),
        );
        const multipliers = new Float32Array(channels * 2);
        for (let c = 0; c < 20; c++) multipliers[c * 2] = 2 ** -c;
        const [low, high] = new Int32Array(Float32Array.from(FLOAT_BOUNDS).buffer);
        for (const [OUTPUT, expected, bounds] of [
          ['1u', want, { low: -128, high: 127 }],
          ['2u', floats, { low, high }],
        ] as const) {
          if (OUTPUT === '2u' && (bits !== 8 || tileVectors !== tiles[0].tileVectors)) continue;
          const kernel = await kernelUnderTest.create(runtime.device, {
            ...specialization,
            OUTPUT,
            WEIGHT_BITS: width,
          });
          const output = guardedOutput(runtime, want.byteLength);
          const call = kernel.bind(
            {
              input: runtime.upload(input),
              weights: runtime.upload(packTiles(weight, layout, bits)),
              bias: runtime.upload(padded),
              multipliers: runtime.upload(multipliers),
              output: output.slice,
            },
            {
              inputHeight: 7,
              inputWidth: 6,
              inputWords: inChannels / 4,
              outputHeight: 7,
              outputWidth: 6,
              outputWords: 20,
              kernelHeight: 3,
              kernelWidth: 3,
              strideHeight: 1,
              strideWidth: 1,
              dilationHeight: 1,
              dilationWidth: 1,
              padTop: 1,
              padLeft: 1,
              groupWords: inChannels / 4,
              groupTiles: layout.groupTiles,
              pixelCount: 42,
              tileCount: layout.tileCount,
              pool: 0,
              padWord: 0,
              zeroPoint: 0,
              ...bounds,
            },
          );
          runtime.submit([call]);
          const bytes = await output.read();
          const actual = OUTPUT === '1u' ? new Int32Array(bytes) : new Float32Array(bytes);
          expect(firstDifference(actual, expected), JSON.stringify(kernel.specialization)).toBe(-1);
        }
      }
    },
  );

  test('refuses bad input before anything is dispatched', async () => {
    const { runtime } = context;
    const input = { dtype: 'int8', dims: [1, 2, 2, 1], data: new Int8Array(4) } as const;
    const weight = { dtype: 'int8', dims: [1, 1, 3, 3], data: new Int8Array(9) } as const;
    await expect(conv2dInt8(runtime, input, weight)).rejects.toThrow(/window must fit/);
    await expect(conv2dInt8(runtime, { ...input, dtype: 'uint8' }, weight)).rejects.toThrow(/int8 tensor/);
    await expect(conv2dInt8(runtime, { ...input, dims: [1, 2, 2] }, weight)).rejects.toThrow(/4 dimensions/);
    await expect(conv2dInt8(runtime, { ...input, dims: [0, 2, 2, 1] }, weight)).rejects.toThrow(
      /not be empty/,
    );
    await expect(conv2dInt8(runtime, input, weight, { groups: 2 })).rejects.toThrow(/groups/);
    await expect(conv2dInt8(runtime, input, weight, { strides: [0, 1] })).rejects.toThrow(/strides/);
    const large = {
      dtype: 'int8',
      dims: [1, 140_000, 1, 1],
      data: new Int8Array(140_000).fill(127),
    } as const;
    const wide = { dtype: 'int8', dims: [1, 1, 1, 140_000], data: new Int8Array(140_000) } as const;
    await expect(conv2dInt8(runtime, wide, large)).rejects.toThrow(/int32/);
    const pads = [1, 1, 1, 1] as const;
    await expect(conv2dInt8(runtime, input, weight, { pads, outputScale: 0 })).rejects.toThrow(/outputScale/);
  });

  test('the multipliers and the rule come from one place', async () => {
    const constant = await requantizeConstant(context.runtime, 'ort-f32');
    expect(['0u', '1u']).toContain(constant);
    expect(prepareMultipliers('ort-f32', 1, Float32Array.of(0.5), 2)).toEqual(
      new Uint32Array([new Uint32Array(Float32Array.of(0.25).buffer)[0], 0]),
    );
  });
}
