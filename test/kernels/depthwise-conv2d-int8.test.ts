import { describe, expect, test } from 'vitest';
import { foldZeroPoint } from '../../src/conv/accumulator.ts';
import { prepareMultipliers, requantizeConstant, requantizeRules } from '../../src/conv/requantize.ts';
import {
  denseGroups,
  depthwiseLayout,
  packTiles,
  type TileLayout,
  tileLayout,
  tileWeights,
} from '../../src/conv/weight-layout.ts';
import type { Specialization } from '../../src/gpu/kernel.ts';
import { conv2dInt8Kernel } from '../../src/kernels/conv2d-int8.ts';
import { depthwiseConv2dInt8Kernel } from '../../src/kernels/depthwise-conv2d-int8.ts';
import { type ConvGeometry, convOutput, maxPool2x2 } from '../../src/reference/conv2d-int8.ts';
import { depthwiseConv2dInt8 } from '../../src/reference/depthwise-conv2d-int8.ts';
import { requantizeReference } from '../../src/reference/requantize.ts';
import { randomDepthwise } from '../support/depthwise.ts';
import { dispatch, firstDifference } from '../support/dispatch.ts';
import { convParams } from '../support/gradients.ts';
import { sampled, seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

const random = seeded(70);
const all = randomDepthwise(71, 60, 41, [1, 2, 1, 3, 1, 4, 1]).map((geometry) => {
  const [height, width] = convOutput(geometry);
  return {
    geometry,
    pool: random.next() < 0.4 && height > 1 && width > 1,
    bits: ([8, 8, 4, 2] as const)[random.integer(0, 3)],
    zeroPoint: random.pick([0, -128, 127, 3]),
  };
});
type Case = (typeof all)[number] & { rule?: (typeof requantizeRules)[number] };

/** Some floats are below these, some between, some above. */
const FLOAT_BOUNDS = [-30, 50] as const;
/** Powers of two put many sums on ties, where an odd zero point tells the rules apart. */
const SCALES = { inputScale: 0.5, outputScale: 16 };
const scaleOf = (channel: number) => 2 ** -(channel % 4);
const OUTPUT_ZERO_POINT = 3;

function operands({ geometry, bits, zeroPoint }: Case) {
  const { batch, height, width, inChannels, outChannels, kernel } = geometry;
  const r = seeded(height * 100 + width);
  const weights = r.int8s(outChannels * kernel[0] * kernel[1], -(2 ** (bits - 1)), 2 ** (bits - 1) - 1);
  const bias = Int32Array.from({ length: outChannels }, () => r.integer(-300, 300));
  return { input: r.int8s(batch * height * width * inChannels), weights, bias, zeroPoint };
}

/** Rows of channels padded to whole words; what pads them must not be seen. */
function packInput(codes: Int8Array, channels: number): Int8Array {
  const stride = Math.ceil(channels / 4) * 4;
  const packed = new Int8Array((codes.length / channels) * stride).fill(77);
  for (const [i, code] of codes.entries()) packed[Math.floor(i / channels) * stride + (i % channels)] = code;
  return packed;
}

/** Everything an output of `output` kind is, by the depthwise kernel or, made dense, by `conv2d-int8`. */
async function run(kase: Case, output: '0u' | '1u' | '2u', dense: boolean): Promise<ArrayBuffer> {
  const { geometry, pool, rule = 'ort-f32', bits } = kase;
  const { input, weights, bias, zeroPoint } = operands(kase);
  const { batch, inChannels, outChannels, kernel, groups } = geometry;
  const shape = { outChannels, inChannels: 1, kernelHeight: kernel[0], kernelWidth: kernel[1], groups };
  const whole = denseGroups(weights, shape);
  const layout: TileLayout = dense ? tileLayout(whole.shape, 1) : depthwiseLayout(shape);
  const packed = dense ? packTiles(whole.codes, layout, bits) : tileWeights(weights, layout);
  const channels = layout.tileCount * layout.tileChannels;
  const folded = new Int32Array(channels);
  folded.set(foldZeroPoint(weights, bias, zeroPoint));
  const weightScale = Float32Array.from({ length: outChannels }, (_, c) => scaleOf(c));
  const multipliers = new Uint32Array(channels * 2);
  if (output === '0u')
    multipliers.set(prepareMultipliers(rule, SCALES.inputScale, weightScale, SCALES.outputScale));
  else for (const [c, scale] of weightScale.entries()) new Float32Array(multipliers.buffer)[c * 2] = scale;
  const [low, high] = output === '2u' ? new Int32Array(Float32Array.from(FLOAT_BOUNDS).buffer) : [-90, 100];
  const [height, width] = convOutput(geometry);
  const pixels = batch * (pool ? (height >> 1) * (width >> 1) : height * width);
  const { outputVectors, ...shapes } = convParams(geometry);
  const outputWords = output === '0u' ? outputVectors : outChannels;
  const specialization: Specialization = {
    OUTPUT: output,
    REQUANTIZE: output === '0u' ? await requantizeConstant(gpu.runtime, rule) : '0u',
    ...(dense
      ? { WEIGHT_BITS: `${bits}u`, TILE_PIXELS: '4u', TILE_VECTORS: '1u' }
      : { MULTIPLIER: `${outChannels / inChannels}u` }),
  };
  const results = await dispatch(
    gpu.runtime,
    dense ? conv2dInt8Kernel : depthwiseConv2dInt8Kernel,
    { input: packInput(input, inChannels), weights: packed, bias: folded, multipliers },
    { output: pixels * outputWords * 4 },
    {
      ...shapes,
      inputWords: Math.ceil(inChannels / 4),
      outputWords,
      groupWords: Math.ceil(layout.paddedChannels / 4),
      groupTiles: layout.groupTiles,
      tileCount: layout.tileCount,
      pool: Number(pool),
      pixelCount: pixels * (pool ? 4 : 1),
      padWord: ((zeroPoint & 255) * 0x01010101) >>> 0,
      zeroPoint: OUTPUT_ZERO_POINT,
      low,
      high,
    },
    specialization,
  );
  return results.output;
}

function sums({ geometry, pool, ...kase }: Case): Int32Array {
  const { input, weights, bias, zeroPoint } = operands({ geometry, pool, ...kase });
  const each = depthwiseConv2dInt8(input, weights, bias, zeroPoint, geometry);
  return pool ? maxPool2x2(each, [geometry.batch, ...convOutput(geometry), geometry.outChannels]) : each;
}

/** One for each rule, with outputs enough for some on ties. */
const ofRules = all
  .filter((kase) => sums(kase).length > 1000)
  .slice(0, requantizeRules.length)
  .map((kase, i) => ({ ...kase, rule: requantizeRules[i] }));

describe('depthwise-conv2d-int8', () => {
  test('has the sums of its twin and of the dense convolution', async () => {
    for (const kase of sampled('depthwise-conv2d-int8 geometries', all, 24)) {
      const want = sums(kase);
      const got = new Int32Array(await run(kase, '1u', false));
      expect(firstDifference(got, want), JSON.stringify(kase)).toBe(-1);
      const dense = new Int32Array(await run(kase, '1u', true));
      expect(firstDifference(got, dense), JSON.stringify(kase)).toBe(-1);
      // Another channel's filter is seen.
      if (kase.geometry.outChannels > 3) expect(got).not.toEqual(want.toReversed());
    }
  });

  test.each(ofRules)('requantizes by $rule to the bytes of the dense convolution', async (kase) => {
    const { geometry, rule } = kase;
    const { outChannels } = geometry;
    const bytes = new Int8Array(await run(kase, '0u', false));
    const dense = new Int8Array(await run(kase, '0u', true));
    expect(firstDifference(bytes, dense), JSON.stringify(kase)).toBe(-1);
    const settings = { ...SCALES, zeroPoint: OUTPUT_ZERO_POINT, low: -90, high: 100 };
    const want = Int8Array.from(sums(kase), (sum, i) =>
      requantizeReference(rule, sum, { ...settings, weightScale: scaleOf(i % outChannels) }),
    );
    const stride = Math.ceil(outChannels / 4) * 4;
    const codes = bytes.filter((_, i) => i % stride < outChannels);
    expect(firstDifference(codes, want), JSON.stringify(kase)).toBe(-1);
    const ties = Array.from(sums(kase), (sum, i) => Math.abs((sum * scaleOf(i % outChannels)) / 32) % 1);
    expect(ties.filter((fraction) => fraction === 0.5).length).toBeGreaterThan(9);
  });

  test('gives floats within their bounds, a word a channel', async () => {
    for (const kase of all.slice(0, 4)) {
      const { outChannels } = kase.geometry;
      const floats = new Float32Array(await run(kase, '2u', false));
      const bounded = Float32Array.from(sums(kase), (sum, i) =>
        Math.min(FLOAT_BOUNDS[1], Math.max(FLOAT_BOUNDS[0], sum * scaleOf(i % outChannels))),
      );
      expect(firstDifference(floats, bounded), JSON.stringify(kase)).toBe(-1);
    }
  });

  test('the cases have what they are about', () => {
    const some = (what: (geometry: ConvGeometry) => boolean) =>
      all.filter((own) => what(own.geometry)).length;
    expect(ofRules).toHaveLength(requantizeRules.length);
    expect(all.filter(({ pool }) => pool).length).toBeGreaterThan(9);
    expect(some(({ inChannels }) => inChannels % 4 !== 0)).toBeGreaterThan(9);
    expect(some(({ inChannels, outChannels }) => inChannels < outChannels)).toBeGreaterThan(9);
    expect(some(({ strides, dilations }) => strides[1] === 1 && dilations[1] === 1)).toBeGreaterThan(9);
    expect(some(({ strides }) => strides[1] > 1)).toBeGreaterThan(9);
    expect(some(({ dilations }) => dilations[1] > 1)).toBeGreaterThan(9);
    expect(some(({ pads }) => pads[0] !== pads[2] && pads[1] !== pads[3])).toBeGreaterThan(9);
  });
});
