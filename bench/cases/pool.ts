import { averagePool2dGradientKernel } from '../../src/kernels/average-pool2d-gradient.ts';
import { maxPool2dKernel } from '../../src/kernels/max-pool2d.ts';
import { maxPool2dGradientKernel } from '../../src/kernels/max-pool2d-gradient.ts';
import { maxPool2dInt8Kernel } from '../../src/kernels/max-pool2d-int8.ts';
import { averagePool2dGradient } from '../../src/reference/average-pool2d-gradient.ts';
import { maxPool2d } from '../../src/reference/max-pool2d.ts';
import { maxPool2dGradient } from '../../src/reference/max-pool2d-gradient.ts';
import { maxPool2dInt8 } from '../../src/reference/max-pool2d-int8.ts';
import type { PoolShape } from '../../src/reference/pool-windows.ts';
import { seeded } from '../random.ts';
import type { BenchCase, Size } from '../types.ts';
import { kernelCase, repeated } from './kernel-case.ts';

type Shape = readonly [N: number, H: number, C: number];

/** The VGG's first pool, 2x2 over 32 x 32 x 128. */
const SHAPES: Record<Size, Shape> = {
  tiny: [2, 6, 12],
  quick: [2, 32, 128],
  standard: [32, 32, 128],
  gpu: [250, 32, 128],
};

/** 2x2 pools and their gradients, each bound by memory. */
export function poolCases(size: Size): BenchCase[] {
  const [N, H, C] = SHAPES[size];
  const arguments_ = `(N=${N},H=${H},C=${C},K=2)`;
  const shape: PoolShape = {
    batch: N,
    height: H,
    width: H,
    channels: C,
    outputHeight: H / 2,
    outputWidth: H / 2,
    kernelHeight: 2,
    kernelWidth: 2,
    strideHeight: 2,
    strideWidth: 2,
    dilationHeight: 1,
    dilationWidth: 1,
    padTop: 0,
    padLeft: 0,
  };
  const { channels, dilationHeight, dilationWidth, ...geometry } = shape;
  const forward = { ...geometry, dilationHeight, dilationWidth };
  const cells = N * H * H * C;
  // On a coarse grid, so that windows hold equal cells and the gradient's choice among them matters.
  const ties = (seed: number, count: number) =>
    repeated((n) => Float32Array.from(seeded(seed).int8s(n), (code) => code >> 4), count);
  return [
    kernelCase(`max-pool2d${arguments_}`, 'fp32', N, () => {
      const input = repeated((n) => seeded(30).floats(n), cells);
      return {
        kernel: maxPool2dKernel,
        buffers: { input, output: cells },
        params: { ...forward, channelVectors: C / 4 },
        of: 'output',
        exact: () => maxPool2d(input, shape),
      };
    }),
    kernelCase(`max-pool2d-int8${arguments_}`, 'int8', N, () => {
      const input = repeated((n) => seeded(31).int8s(n), cells);
      return {
        kernel: maxPool2dInt8Kernel,
        buffers: { input, output: cells / 4 },
        params: { ...forward, channelWords: C / 4 },
        of: 'output',
        exact: () => maxPool2dInt8(input, shape),
      };
    }),
    kernelCase(`max-pool2d-gradient${arguments_}`, 'fp32', N, () => {
      const [input, gradient] = [ties(32, cells), ties(33, cells / 4)];
      return {
        kernel: maxPool2dGradientKernel,
        buffers: { input, gradient, inputGradient: cells * 4 },
        params: { ...geometry, channelVectors: C / 4 },
        of: 'inputGradient',
        // Every value is copied or zero, so float32 holds them all.
        exact: () => Float32Array.from(maxPool2dGradient(input, gradient, shape)),
      };
    }),
    kernelCase(`average-pool2d-gradient${arguments_}`, 'fp32', N, () => {
      const gradient = repeated((n) => seeded(34).floats(n), cells / 4);
      return {
        kernel: averagePool2dGradientKernel,
        buffers: { gradient, inputGradient: cells * 4 },
        params: { ...geometry, channelVectors: C / 4 },
        of: 'inputGradient',
        near: () => averagePool2dGradient(gradient, shape),
      };
    }),
  ];
}
