import { conv2dFilterGradientKernel } from '../../src/kernels/conv2d-filter-gradient.ts';
import { conv2dInputGradientKernel } from '../../src/kernels/conv2d-input-gradient.ts';
import { sumSplitsKernel } from '../../src/kernels/sum-splits.ts';
import { tileLayout, tileWeights, untileWeights } from '../../src/quantize/weight-layout.ts';
import { conv2dFilterGradient } from '../../src/reference/conv2d-filter-gradient.ts';
import { conv2dInputGradient } from '../../src/reference/conv2d-input-gradient.ts';
import { seeded } from '../random.ts';
import type { BenchCase, ConvCase, Size } from '../types.ts';
import { type Dispatch, kernelCase, repeated } from './kernel-case.ts';

const shape = (N: number, H: number, C: number, O: number): ConvCase => ({ N, H, C, O, K: 3 });

const SHAPES: Record<Size, readonly ConvCase[]> = {
  tiny: [shape(2, 5, 8, 20)],
  quick: [shape(1, 16, 64, 64)],
  standard: [shape(8, 16, 128, 128)],
  gpu: [shape(250, 16, 256, 256), shape(250, 4, 512, 512)],
};

/** Four vectors of output channels a weight tile: the layout that training keeps. */
const TILE_VECTORS = 4;
const SPLIT_PIXELS = 256;

/** A convolution's gradients by its input and by its weights, as a training step computes them. */
export function gradientCases(size: Size): BenchCase[] {
  return SHAPES[size].flatMap((own) => {
    const { N, H, C, O, K } = own;
    const arguments_ = `(N=${N},H=${H},C=${C},O=${O},K=${K})`;
    const peers = (by: 'input' | 'filter') => ({ kind: 'conv2d-gradient', by, shape: own }) as const;
    return [
      kernelCase(`conv2d-input-gradient${arguments_}`, 'fp32', N, () => inputGradient(own), peers('input')),
      kernelCase(
        `conv2d-filter-gradient${arguments_}`,
        'fp32',
        N,
        () => filterGradient(own),
        peers('filter'),
      ),
    ];
  });
}

/** What both gradients read, NHWC and OIHW; peers are given the same numbers. */
export function gradientInputs({ N, H, C, O, K }: ConvCase) {
  const floats = (seed: number, count: number, scale = 1) =>
    repeated((n) => seeded(seed).floats(n, scale), count);
  return {
    input: floats(50, N * H * H * C),
    gradient: floats(51, N * H * H * O),
    weights: floats(52, O * C * K * K, 0.1),
  };
}

function inputGradient(own: ConvCase): Dispatch {
  const { N, H, C } = own;
  const { gradient, weights } = gradientInputs(own);
  const pixelCount = N * H * H;
  const filled = pixelCount >= 16 * 32;
  return {
    kernel: conv2dInputGradientKernel,
    specialization: { TILE_PIXELS: filled ? '16u' : '4u', WORKGROUP_SIZE: filled ? 32 : 8 },
    buffers: { gradient, weights: tileWeights(weights, layoutOf(own)), inputGradient: pixelCount * C * 4 },
    params: { ...geometryOf(own), inputChannels: C, pixelCount },
    operations: operationsOf(own),
    of: 'inputGradient',
    near: () => conv2dInputGradient(gradient, weights, twinGeometry(own)),
  };
}

function filterGradient(own: ConvCase): Dispatch {
  const { N, H, C } = own;
  const { input, gradient } = gradientInputs(own);
  const layout = layoutOf(own);
  const pixelCount = N * H * H;
  const splits = Math.ceil(pixelCount / SPLIT_PIXELS);
  return {
    kernel: conv2dFilterGradientKernel,
    buffers: { input, gradient, partial: splits * layout.length * 4 },
    params: { ...geometryOf(own), inputVectors: C / 4, pixelCount, chunk: SPLIT_PIXELS },
    next: [
      {
        kernel: sumSplitsKernel,
        buffers: { partial: 'partial', output: layout.length * 4 },
        params: { count: layout.length, splits },
      },
    ],
    operations: operationsOf(own),
    of: 'output',
    view: (output) => untileWeights(output, layout),
    near: () => conv2dFilterGradient(input, gradient, twinGeometry(own)),
  };
}

const operationsOf = ({ N, H, C, O, K }: ConvCase) => 2 * N * H * H * K * K * C * O;

const layoutOf = ({ C, O, K }: ConvCase) =>
  tileLayout({ outChannels: O, inChannels: C, kernelHeight: K, kernelWidth: K, groups: 1 }, TILE_VECTORS);

const geometryOf = ({ H, O, K }: ConvCase) => ({
  inputHeight: H,
  inputWidth: H,
  outputHeight: H,
  outputWidth: H,
  outputVectors: O / 4,
  kernelHeight: K,
  kernelWidth: K,
  strideHeight: 1,
  strideWidth: 1,
  dilationHeight: 1,
  dilationWidth: 1,
  padTop: (K - 1) / 2,
  padLeft: (K - 1) / 2,
});

function twinGeometry({ N, H, C, O, K }: ConvCase) {
  const pad = (K - 1) / 2;
  return {
    batch: N,
    height: H,
    width: H,
    inChannels: C,
    outChannels: O,
    kernel: [K, K],
    strides: [1, 1],
    dilations: [1, 1],
    pads: [pad, pad, pad, pad],
    groups: 1,
  } as const;
}
