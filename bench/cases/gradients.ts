import { tileWeights, untileWeights } from '../../src/conv/weight-layout.ts';
import { sumSplitsKernel } from '../../src/kernels/sum-splits.ts';
import { conv2dFilterGradient } from '../../src/reference/conv2d-filter-gradient.ts';
import { conv2dInputGradient } from '../../src/reference/conv2d-input-gradient.ts';
import { convKernels, filterParts, tiledBackward } from '../../src/train/convolution.ts';
import { type ConvGeometry, planInputGradient, weightLayout } from '../../src/train/geometry.ts';
import { seeded } from '../random.ts';
import type { BenchCase, BenchContext, ConvCase, Size } from '../types.ts';
import { type Dispatch, kernelCase, repeated } from './kernel-case.ts';

const shape = (N: number, H: number, C: number, O: number): ConvCase => ({ N, H, C, O, K: 3 });

const SHAPES: Record<Size, readonly ConvCase[]> = {
  tiny: [shape(2, 5, 8, 20)],
  quick: [shape(1, 16, 64, 64)],
  standard: [shape(8, 16, 128, 128)],
  gpu: [shape(250, 16, 256, 256), shape(250, 4, 512, 512)],
};

/** A convolution's gradients by its input and by its weights, as a training step computes them on the adapter. */
export function gradientCases(size: Size): BenchCase[] {
  return SHAPES[size].flatMap((own) => {
    const { N, H, C, O, K } = own;
    const arguments_ = `(N=${N},H=${H},C=${C},O=${O},K=${K})`;
    const peers = (by: 'input' | 'filter') => ({ kind: 'conv2d-gradient', by, shape: own }) as const;
    return [
      kernelCase(
        `conv2d-input-gradient${arguments_}`,
        'fp32',
        N,
        (context) => inputGradient(context, own),
        peers('input'),
      ),
      kernelCase(
        `conv2d-filter-gradient${arguments_}`,
        'fp32',
        N,
        (context) => filterGradient(context, own),
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

function inputGradient({ runtime }: BenchContext, own: ConvCase): Dispatch {
  const { N, H, C } = own;
  const { gradient, weights } = gradientInputs(own);
  const geometry = geometryOf(own);
  const kernels = convKernels(runtime);
  const ordered = tileWeights(weights, weightLayout(geometry));
  const bytes = N * H * H * C * 4;
  const check = {
    operations: operationsOf(own),
    near: () => conv2dInputGradient(gradient, weights, twinGeometry(own)),
  };
  const tiled = tiledBackward(kernels, geometry, N);
  if (!tiled) {
    return {
      ...planInputGradient(geometry, N, kernels.lanes),
      buffers: { gradient, weights: ordered, inputGradient: bytes },
      of: 'inputGradient',
      ...check,
    };
  }
  const channels = tiled.layout.tileCount * tiled.layout.tileChannels;
  const epilogue = { scale: new Float32Array(channels).fill(1), shift: new Float32Array(channels) };
  return {
    ...tiled.retile,
    buffers: { weights: ordered, retiled: tiled.layout.length * 4 },
    next: [
      { ...tiled.product, buffers: { input: gradient, weights: 'retiled', output: bytes, ...epilogue } },
    ],
    of: 'output',
    ...check,
  };
}

function filterGradient({ runtime }: BenchContext, own: ConvCase): Dispatch {
  const { input, gradient } = gradientInputs(own);
  const geometry = geometryOf(own);
  const { splits, length, ...plan } = filterParts(convKernels(runtime), geometry, own.N);
  return {
    ...plan,
    buffers: { input, gradient, partial: splits * length * 4 },
    next: [
      {
        kernel: sumSplitsKernel,
        buffers: { partial: 'partial', output: length * 4 },
        params: { count: length, splits },
      },
    ],
    operations: operationsOf(own),
    of: 'output',
    view: (output) => untileWeights(output, weightLayout(geometry)),
    near: () => conv2dFilterGradient(input, gradient, twinGeometry(own)),
  };
}

const operationsOf = ({ N, H, C, O, K }: ConvCase) => 2 * N * H * H * K * K * C * O;

const geometryOf = ({ H, C, O, K }: ConvCase): ConvGeometry => ({
  input: { height: H, width: H, channels: C },
  shape: { height: H, width: H, channels: O },
  kernel: [K, K],
  strides: [1, 1],
  dilations: [1, 1],
  pads: [(K - 1) / 2, (K - 1) / 2, (K - 1) / 2, (K - 1) / 2],
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
