import { describe, expect, test } from 'vitest';
import { foldZeroPoint } from '../../src/conv/accumulator.ts';
import { conv2dInt8 } from '../../src/conv/conv-int8.ts';
import { prepareMultipliers, requantizeConstant, requantizeRules } from '../../src/conv/requantize.ts';
import { type ConvPlane, chooseTile, fitsWinograd } from '../../src/conv/tile.ts';
import { packTiles, tileLayout } from '../../src/conv/weight-layout.ts';
import type { Kernel } from '../../src/gpu/kernel.ts';
import { conv2dInt8WinogradKernel } from '../../src/kernels/conv2d-int8-winograd.ts';
import {
  type ConvGeometry,
  conv2dAccumulators,
  convOutput,
  maxPool2x2,
} from '../../src/reference/conv2d-int8.ts';
import { conv2dInt8Winograd } from '../../src/reference/conv2d-int8-winograd.ts';
import { requantizeReference } from '../../src/reference/requantize.ts';
import { dispatch, firstDifference } from '../support/dispatch.ts';
import { sampled, seeded, useRuntime } from '../support/runtime.ts';

const context = useRuntime();

interface Case {
  geometry: ConvGeometry;
  bits: 8 | 4 | 2;
  pool: boolean;
  size: number;
  zeroPoint: number;
}

const random = seeded(11);
const cases: Case[] = Array.from({ length: 24 }, () => {
  const groups = random.pick([1, 1, 1, 2]);
  const height = random.pick([2, 4, 6, 10]);
  const width = random.pick([4, 8, 12]);
  const kernelHeight = random.integer(1, 4);
  const [padLeft, padTop] = [random.integer(0, 2), random.integer(0, kernelHeight - 1)];
  return {
    geometry: {
      batch: random.integer(1, 3),
      // The output's extent is what the kernel is particular about.
      height: height + kernelHeight - 1 - padTop,
      width: width + 2 - padLeft - 1,
      inChannels: groups * random.pick([16, 32, 48]),
      outChannels: groups * random.pick(groups === 1 ? [1, 7, 16, 20, 37] : [16, 32]),
      kernel: [kernelHeight, 3],
      strides: [1, 1],
      dilations: [1, 1],
      pads: [padTop, padLeft, 0, 1],
      groups,
    },
    // Few combinations: an adapter that is a CPU takes seconds to compile one.
    ...random.pick([
      { bits: 8, pool: false, size: 16 },
      { bits: 8, pool: true, size: 8 },
      { bits: 4, pool: false, size: 64 },
      { bits: 2, pool: true, size: 16 },
    ] as const),
    zeroPoint: random.pick([0, -128, 127, 3]),
  };
});

function inputsOf({ geometry, bits, zeroPoint }: Case) {
  const r = seeded(geometry.width + geometry.inChannels + bits);
  const { batch, height, width, inChannels, outChannels, kernel, groups } = geometry;
  const input = r.int8s(batch * height * width * inChannels);
  const least = -(2 ** (bits - 1));
  const weight = r.int8s((outChannels * inChannels * kernel[0] * 3) / groups, least, -least - 1);
  const bias = Int32Array.from({ length: outChannels }, () => r.integer(-5000, 5000));
  return { input, weight, bias, folded: foldZeroPoint(weight, bias, zeroPoint) };
}

/** What float outputs are clamped to; some are beyond either. */
const [FLOAT_LOW, FLOAT_HIGH] = [-100, 3000];

/** The kernel itself, its epilogue leaving int32 sums, int8 codes by a rule, or floats. */
async function run(kase: Case, form?: (typeof requantizeRules)[number] | 'float') {
  const { geometry, bits, pool, size, zeroPoint } = kase;
  const { input, weight, folded } = inputsOf(kase);
  const { batch, height, width, inChannels, outChannels, kernel, pads, groups } = geometry;
  const [outHeight, outWidth] = convOutput(geometry);
  const own = inChannels / groups;
  const shape = { outChannels, inChannels: own, kernelHeight: kernel[0], kernelWidth: 3, groups };
  const layout = tileLayout(shape, 4);
  const channels = layout.tileCount * layout.tileChannels;
  const bias = new Int32Array(channels);
  bias.set(folded);
  const multipliers = new Uint32Array(channels * 2);
  const rule = form === 'float' ? undefined : form;
  const [low, high] = new Int32Array(Float32Array.of(FLOAT_LOW, FLOAT_HIGH).buffer);
  if (rule) multipliers.set(prepareMultipliers(rule, 0.5, scalesOf(outChannels), 64));
  else for (const [c, s] of scalesOf(channels).entries()) new Float32Array(multipliers.buffer)[c * 2] = s;
  const outputWords = rule ? Math.ceil(outChannels / 4) : outChannels;
  const pixels = (batch * outHeight * outWidth) / (pool ? 4 : 1);
  const { output } = await dispatch(
    context.runtime,
    conv2dInt8WinogradKernel as unknown as Kernel,
    { input, weights: packTiles(weight, layout, bits), bias, multipliers },
    { output: pixels * outputWords * 4 },
    {
      inputHeight: height,
      inputWidth: width,
      inputWords: inChannels / 4,
      outputHeight: outHeight,
      outputWidth: outWidth,
      outputWords,
      kernelHeight: kernel[0],
      kernelWidth: 3,
      strideHeight: 1,
      strideWidth: 1,
      dilationHeight: 1,
      dilationWidth: 1,
      padTop: pads[0],
      padLeft: pads[1],
      groupWords: layout.paddedChannels / 4,
      groupTiles: layout.groupTiles,
      pixelCount: batch * outHeight * outWidth,
      tileCount: layout.tileCount,
      pool: Number(pool),
      padWord: ((zeroPoint & 255) * 0x01010101) >>> 0,
      zeroPoint: rule ? 3 : 0,
      low: form === 'float' ? low : rule ? 3 : -128,
      high: form === 'float' ? high : 127,
    },
    {
      LANES: '4u',
      TILE_VECTORS: '4u',
      WORKGROUP_SIZE: size,
      OUTPUT: form === 'float' ? '2u' : rule ? '0u' : '1u',
      WEIGHT_BITS: `${bits}u`,
      REQUANTIZE: rule ? await requantizeConstant(context.runtime, rule) : '0u',
    },
  );
  return output;
}

/** Powers of two: half of all outputs are on ties. */
const scalesOf = (channels: number) => Float32Array.from({ length: channels }, (_, i) => 2 ** -(i % 4));

function accumulators(kase: Case): Int32Array {
  const { geometry, pool, zeroPoint } = kase;
  const { input, weight, bias } = inputsOf(kase);
  const all = conv2dAccumulators(input, weight, bias, zeroPoint, geometry);
  return pool ? maxPool2x2(all, [geometry.batch, ...convOutput(geometry), geometry.outChannels]) : all;
}

describe('conv2d-int8-winograd', () => {
  test('the twin is the convolution itself', () => {
    for (const kase of cases) {
      const { input, weight, bias } = inputsOf(kase);
      const rest = [input, weight, bias, kase.zeroPoint, kase.geometry] as const;
      expect(conv2dInt8Winograd(...rest)).toEqual(conv2dAccumulators(...rest));
    }
  });

  test('sums equal the twin: every padding, grouping, pool and weight width', async () => {
    for (const kase of sampled('conv2d-int8-winograd geometries', cases, 8)) {
      const actual = new Int32Array(await run(kase));
      expect(firstDifference(actual, accumulators(kase)), JSON.stringify(kase)).toBe(-1);
    }
  });

  test.each(sampled('requantization rules', requantizeRules, 2))(
    'requantizes by %s, bit for bit',
    async (rule) => {
      const geometry = { ...cases[0].geometry, groups: 1, inChannels: 32, outChannels: 20 };
      const kase: Case = { geometry, bits: 8, pool: rule === 'ort-f32', size: 16, zeroPoint: 7 };
      const settings = { inputScale: 0.5, outputScale: 64, zeroPoint: 3, low: 3, high: 127 };
      const scales = scalesOf(20);
      const want = Int8Array.from(accumulators(kase), (sum, i) =>
        requantizeReference(rule, sum, { ...settings, weightScale: scales[i % 20] }),
      );
      expect(firstDifference(new Int8Array(await run(kase, rule)), want)).toBe(-1);
    },
  );

  test.each([false, true])(
    'leaves floats within the bounds of a fused activation (pool %s)',
    async (pool) => {
      const geometry = { ...cases[0].geometry, groups: 1, inChannels: 32, outChannels: 20 };
      const kase: Case = { geometry, bits: 8, pool, size: 16, zeroPoint: 7 };
      const scales = scalesOf(20);
      const want = Float32Array.from(accumulators(kase), (sum, i) =>
        Math.min(FLOAT_HIGH, Math.max(FLOAT_LOW, sum * scales[i % 20])),
      );
      expect(want).toContain(FLOAT_LOW);
      expect(want).toContain(FLOAT_HIGH);
      expect(firstDifference(new Float32Array(await run(kase, 'float')), want)).toBe(-1);
    },
  );

  test('extreme codes do not overflow', async () => {
    const geometry: ConvGeometry = {
      ...{ batch: 1, height: 4, width: 4, inChannels: 512, outChannels: 4, groups: 1 },
      ...{ kernel: [3, 3], strides: [1, 1], dilations: [1, 1], pads: [1, 1, 1, 1] },
    };
    const input = new Int8Array(4 * 4 * 512).fill(-128);
    const weight = new Int8Array(4 * 512 * 9).map((_, i) => (i < 512 * 18 ? -128 : 127));
    const bias = new Int32Array(4);
    const twin = conv2dInt8Winograd(input, weight, bias, 0, geometry);
    expect(twin).toEqual(conv2dAccumulators(input, weight, bias, 0, geometry));
    const forced = { ...context.runtime.adapter, software: 'lavapipe' } as const;
    const { data } = await conv2dInt8(
      { ...context.runtime, adapter: forced },
      // Eight copies, so that there are pixels enough for this kernel to be chosen.
      { dtype: 'int8', dims: [8, 4, 4, 512], data: new Int8Array(8 * 4 * 4 * 512).fill(-128) },
      { dtype: 'int8', dims: [4, 512, 3, 3], data: weight },
      { pads: [1, 1, 1, 1] },
    );
    for (let copy = 0; copy < 8; copy++)
      expect(firstDifference(data.slice(copy * 64, (copy + 1) * 64), twin)).toBe(-1);
  });

  test('the comparison sees a wrong sign', () => {
    const kase = cases.find(({ geometry }) => geometry.kernel[0] > 1)!;
    const { input, weight, bias } = inputsOf(kase);
    const right = conv2dAccumulators(input, weight, bias, kase.zeroPoint, kase.geometry);
    const wrong = conv2dInt8Winograd(
      input,
      weight.map((w, i) => (i % 3 === 2 ? -w : w)),
      bias,
      kase.zeroPoint,
      kase.geometry,
    );
    expect(firstDifference(wrong, right)).not.toBe(-1);
  });
});

describe('fitsWinograd', () => {
  const adapter = { software: 'lavapipe', subgroupSize: 8 } as const;
  const runtime = { adapter } as unknown as Parameters<typeof fitsWinograd>[0];
  const shape = { outChannels: 64, inChannels: 32, kernelHeight: 3, kernelWidth: 3, groups: 1 };
  const plane: ConvPlane = {
    ...{ inputHeight: 8, inputWidth: 8, outputHeight: 8, outputWidth: 8 },
    ...{ strideHeight: 1, strideWidth: 1, dilationWidth: 1, pixelCount: 256 },
  };

  test('fits the layers of a VGG, and is what lavapipe gets', () => {
    expect(fitsWinograd(runtime, shape, plane, true)).toBe(true);
    expect(chooseTile(runtime, 256, shape, true, plane).variant).toBe('winograd');
    expect(chooseTile(runtime, 16, shape, true, { ...plane, pixelCount: 16 }).variant).toBe('winograd');
    expect(chooseTile(runtime, 8, shape, true, { ...plane, pixelCount: 8 }).variant).toBe('broadcast');
  });

  const wrongs: [string, Partial<typeof shape>, Partial<ConvPlane>][] = [
    ['a wider kernel', { kernelWidth: 5 }, {}],
    ['a stride', {}, { strideWidth: 2 }],
    ['a vertical stride', {}, { strideHeight: 2 }],
    ['a dilation', {}, { dilationWidth: 2 }],
    ['an odd height', {}, { outputHeight: 7 }],
    ['a width that is no whole four', {}, { outputWidth: 6 }],
    ['few channels', { outChannels: 16 }, {}],
    ['groups that are no whole tiles', { outChannels: 40, groups: 2 }, {}],
    ['channels that are no whole texels', { inChannels: 20, groups: 2 }, {}],
    ['sums that need all of int32', { inChannels: 4096 }, {}],
    ['more bytes than a texture has', {}, { pixelCount: 2 ** 26 }],
  ];
  test.each(wrongs)('does not fit %s', (_, other, otherPlane) => {
    expect(fitsWinograd(runtime, { ...shape, ...other }, { ...plane, ...otherPlane }, true)).toBe(false);
  });

  test('nor an adapter without subgroups', () => {
    const bare = { adapter: { ...adapter, subgroupSize: 0 } } as unknown as typeof runtime;
    expect(fitsWinograd(bare, shape, plane, true)).toBe(false);
  });
});
