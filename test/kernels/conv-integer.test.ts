import { describe, expect, test } from 'vitest';
import { convInteger } from '../../src/kernels/conv-integer.ts';
import { prepareMultipliers, requantizeConstant } from '../../src/quantize/requantize.ts';
import { type ConvGeometry, convIntegerReference } from '../../src/reference/conv-integer.ts';
import { requantizeReference } from '../../src/reference/requantize.ts';
import { dispatch, firstDifference } from '../support/dispatch.ts';
import { seeded, testUnlessSlow, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

/** Unsigned bytes, zero points 7 and 5: other types and attributes are test/onnx/conformance.test.ts's. */
async function convolve(geometry: ConvGeometry, seed: number, workgroup = 64) {
  const random = seeded(seed);
  const product = (dims: readonly number[]) => dims.reduce((a, b) => a * b, 1);
  const input = Uint8Array.from({ length: product(geometry.input) }, () => random.integer(0, 255));
  const weights = Uint8Array.from({ length: product(geometry.weights) }, () => random.integer(0, 255));
  const count = product(geometry.output);
  const [, channels, inputDepth, inputHeight, inputWidth] = geometry.input;
  const [outputChannels, groupChannels, kernelDepth, kernelHeight, kernelWidth] = geometry.weights;
  const [, , outputDepth, outputHeight, outputWidth] = geometry.output;
  const { strides, dilations, pads } = geometry;
  const params = {
    ...{ count, channels, inputDepth, inputHeight, inputWidth },
    ...{ outputChannels, outputDepth, outputHeight, outputWidth },
    ...{
      groupChannels,
      groupOutputs: outputChannels / geometry.groups,
      kernelDepth,
      kernelHeight,
      kernelWidth,
    },
    ...{ strideDepth: strides[0], strideHeight: strides[1], strideWidth: strides[2] },
    ...{ dilationDepth: dilations[0], dilationHeight: dilations[1], dilationWidth: dilations[2] },
    ...{ padDepth: pads[0], padHeight: pads[1], padWidth: pads[2] },
    ...{ inputFlip: 0, weightFlip: 0, inputZero: 7, weightZeroStride: 0, biasStride: 0, multiplierStride: 0 },
    ...{ zeroPoint: 3, low: 0, high: 255 },
  };
  const multipliers = prepareMultipliers('ort-f32', 0.25, Float32Array.of(0.125), 8);
  const inputs = { input, weights, weightZeros: Int32Array.of(5), bias: Int32Array.of(11), multipliers };
  const sums = await dispatch(gpu.runtime, convInteger, inputs, { output: count * 4 }, params, {
    OUTPUT: '0u',
    WORKGROUP_SIZE: workgroup,
  });
  const codes = await dispatch(gpu.runtime, convInteger, inputs, { output: count }, params, {
    OUTPUT: '1u',
    REQUANTIZE: await requantizeConstant(gpu.runtime, 'ort-f32'),
    WORKGROUP_SIZE: workgroup,
  });
  const expected = convIntegerReference(
    input,
    weights,
    { inputZero: 7, weightZeros: [5], bias: [11] },
    geometry,
  );
  const settings = { inputScale: 0.25, weightScale: 0.125, outputScale: 8, zeroPoint: 3, low: 0, high: 255 };
  return [
    firstDifference(new Int32Array(sums.output), expected),
    firstDifference(
      new Uint8Array(codes.output),
      Array.from(expected, (sum) => requantizeReference('ort-f32', sum, settings)),
    ),
  ];
}

describe('conv-integer', () => {
  const plain = { groups: 1, strides: [1, 1, 1], dilations: [1, 1, 1], pads: [0, 0, 0] };
  for (const width of [1, 3, 4, 5, 63, 64, 65, 255, 256, 257]) {
    test(`tail(outputs=${width})`, async () => {
      const geometry = {
        ...plain,
        input: [1, 1, 1, 1, width + 2],
        weights: [1, 1, 1, 1, 3],
        output: [1, 1, 1, 1, width],
      };
      expect(await convolve(geometry, width)).toEqual([-1, -1]);
      expect(await convolve(geometry, width, 256)).toEqual([-1, -1]);
    });
  }

  test('three dimensions, groups, strides, dilations and padding', async () => {
    const geometry = {
      input: [2, 4, 5, 7, 9],
      weights: [6, 2, 2, 3, 2],
      output: [2, 6, 2, 4, 9],
      groups: 2,
      strides: [2, 2, 1],
      dilations: [2, 1, 3],
      pads: [0, 1, 2],
    };
    expect(await convolve(geometry, 9)).toEqual([-1, -1]);
  });

  testUnlessSlow('a dispatch wider than 65,535 workgroups is folded', async () => {
    const width = 65_535 * 32 + 77;
    const geometry = {
      ...plain,
      input: [1, 1, 1, 1, width],
      weights: [1, 1, 1, 1, 1],
      output: [1, 1, 1, 1, width],
    };
    expect(await convolve(geometry, 1, 32)).toEqual([-1, -1]);
  });
});
