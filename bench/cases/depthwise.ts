import { prepareMultipliers } from '../../src/conv/requantize.ts';
import { depthwiseLayout, tileWeights, untileWeights } from '../../src/conv/weight-layout.ts';
import { depthwiseConv2dKernel } from '../../src/kernels/depthwise-conv2d.ts';
import { depthwiseConv2dInt8Kernel } from '../../src/kernels/depthwise-conv2d-int8.ts';
import { depthwiseFilterGradientKernel } from '../../src/kernels/depthwise-filter-gradient.ts';
import { depthwiseInputGradientKernel } from '../../src/kernels/depthwise-input-gradient.ts';
import { sumSplitsKernel } from '../../src/kernels/sum-splits.ts';
import { FINITE } from '../../src/lower/lower.ts';
import { depthwiseConv2d } from '../../src/reference/depthwise-conv2d.ts';
import { depthwiseConv2dInt8 } from '../../src/reference/depthwise-conv2d-int8.ts';
import { depthwiseFilterGradient } from '../../src/reference/depthwise-filter-gradient.ts';
import { depthwiseInputGradient } from '../../src/reference/depthwise-input-gradient.ts';
import { requantizeReference } from '../../src/reference/requantize.ts';
import { seeded } from '../random.ts';
import type { BenchCase, Size } from '../types.ts';
import { type Dispatch, kernelCase, repeated } from './kernel-case.ts';

/** N images of H x H x C, 3x3 filters, `same` padding. */
interface Shape {
  N: number;
  H: number;
  C: number;
}

const SHAPES: Record<Size, Shape> = {
  tiny: { N: 2, H: 5, C: 20 },
  quick: { N: 1, H: 16, C: 64 },
  standard: { N: 8, H: 16, C: 128 },
  gpu: { N: 250, H: 28, C: 192 },
};
const CHUNK = 256;

/** What half of the codes' sums neither reach nor leave. */
const SCALES = { inputScale: 1 / 256, weightScale: 1 / 64, outputScale: 1 / 2 };

/** Depthwise convolution, float and int8, and its gradients as a training step computes them. */
export function depthwiseCases(size: Size): BenchCase[] {
  const { N, H, C } = SHAPES[size];
  const arguments_ = `(N=${N},H=${H},C=${C},K=3)`;
  const parts = {
    conv2d: forward,
    'conv2d-int8': forwardInt8,
    'input-gradient': inputGradient,
    'filter-gradient': filterGradient,
  };
  return Object.entries(parts).map(([name, make]) =>
    kernelCase(`depthwise-${name}${arguments_}`, name.endsWith('int8') ? 'int8' : 'fp32', N, () =>
      make(SHAPES[size]),
    ),
  );
}

function operands({ N, H, C }: Shape) {
  const floats = (seed: number, count: number) => repeated((n) => seeded(seed).floats(n), count);
  const pixelCount = N * H * H;
  return {
    input: floats(90, pixelCount * C),
    gradient: floats(91, pixelCount * C),
    weights: floats(92, 9 * C),
    layout: depthwiseLayout({ outChannels: C, kernelHeight: 3, kernelWidth: 3 }),
    pixelCount,
    params: {
      ...{ inputHeight: H, inputWidth: H, outputHeight: H, outputWidth: H, outputVectors: C / 4 },
      ...{ kernelHeight: 3, kernelWidth: 3, strideHeight: 1, strideWidth: 1 },
      ...{ dilationHeight: 1, dilationWidth: 1, padTop: 1, padLeft: 1, pixelCount },
    },
    geometry: {
      ...{ batch: N, height: H, width: H, inChannels: C, outChannels: C, groups: C },
      ...({ kernel: [3, 3], strides: [1, 1], dilations: [1, 1], pads: [1, 1, 1, 1] } as const),
    },
  };
}

function forward(shape: Shape): Dispatch {
  const { input, weights, layout, params, geometry } = operands(shape);
  const { outputVectors: vectors, ...window } = params;
  const channels = layout.tileCount * layout.tileChannels;
  return {
    kernel: depthwiseConv2dKernel,
    buffers: {
      input,
      weights: tileWeights(weights, layout),
      scale: new Float32Array(channels).fill(1),
      shift: new Float32Array(channels),
      output: input.byteLength,
    },
    params: {
      ...{ ...window, inputVectors: vectors, outputVectors: vectors, groupVectors: 1 },
      ...{ groupTiles: layout.groupTiles, tileCount: layout.tileCount, pool: 0, low: -FINITE, high: FINITE },
    },
    of: 'output',
    near: () => depthwiseConv2d(input, weights, geometry),
  };
}

function forwardInt8(shape: Shape): Dispatch {
  const { layout, params, geometry, pixelCount } = operands(shape);
  const { C } = shape;
  const codes = (seed: number, count: number) => repeated((n) => seeded(seed).int8s(n), count);
  const [input, weights] = [codes(93, pixelCount * C), codes(94, 9 * C)];
  const { outputVectors: vectors, ...window } = params;
  const channels = layout.tileCount * layout.tileChannels;
  const multipliers = new Uint32Array(channels * 2);
  const { inputScale, weightScale, outputScale } = SCALES;
  multipliers.set(
    prepareMultipliers('ort-f32', inputScale, new Float32Array(C).fill(weightScale), outputScale),
  );
  const bounds = { zeroPoint: 0, low: -128, high: 127 };
  return {
    kernel: depthwiseConv2dInt8Kernel,
    buffers: {
      input,
      weights: tileWeights(weights, layout),
      bias: new Int32Array(channels),
      multipliers,
      output: input.byteLength,
    },
    params: {
      ...{ ...window, inputWords: vectors, outputWords: vectors, groupWords: 1, padWord: 0 },
      ...{ groupTiles: layout.groupTiles, tileCount: layout.tileCount, pool: 0, ...bounds },
    },
    of: 'output',
    exact: () =>
      Int8Array.from(depthwiseConv2dInt8(input, weights, new Int32Array(C), 0, geometry), (sum) =>
        requantizeReference('ort-f32', sum, { ...SCALES, ...bounds }),
      ),
  };
}

function inputGradient(shape: Shape): Dispatch {
  const { gradient, weights, layout, params, geometry } = operands(shape);
  return {
    kernel: depthwiseInputGradientKernel,
    buffers: { gradient, weights: tileWeights(weights, layout), inputGradient: gradient.byteLength },
    params: { ...params, inputChannels: shape.C },
    of: 'inputGradient',
    near: () => depthwiseInputGradient(gradient, weights, geometry),
  };
}

function filterGradient(shape: Shape): Dispatch {
  const { input, gradient, layout, params, geometry, pixelCount } = operands(shape);
  const splits = Math.ceil(pixelCount / CHUNK);
  return {
    kernel: depthwiseFilterGradientKernel,
    buffers: { input, gradient, partial: splits * layout.length * 4 },
    params: { ...params, inputVectors: params.outputVectors, chunk: CHUNK },
    next: [
      {
        kernel: sumSplitsKernel,
        buffers: { partial: 'partial', output: layout.length * 4 },
        params: { count: layout.length, splits },
      },
    ],
    of: 'output',
    view: (output) => untileWeights(output, layout),
    near: () => depthwiseFilterGradient(input, gradient, geometry),
  };
}
