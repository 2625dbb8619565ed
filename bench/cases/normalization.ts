import { batchNormKernel } from '../../src/kernels/batch-norm.ts';
import { batchNormGradientKernel } from '../../src/kernels/batch-norm-gradient.ts';
import { batchNormGradientSumsKernel } from '../../src/kernels/batch-norm-gradient-sums.ts';
import { batchNormStatisticsKernel } from '../../src/kernels/batch-norm-statistics.ts';
import { batchNorm } from '../../src/reference/batch-norm.ts';
import { batchNormGradient } from '../../src/reference/batch-norm-gradient.ts';
import { batchNormGradientSums } from '../../src/reference/batch-norm-gradient-sums.ts';
import { batchNormMerge } from '../../src/reference/batch-norm-merge.ts';
import { batchNormStatistics } from '../../src/reference/batch-norm-statistics.ts';
import { sumSplits } from '../../src/reference/sum-splits.ts';
import { convKernels } from '../../src/train/convolution.ts';
import { mergeKernel, reductionChunk } from '../../src/train/reductions.ts';
import { seeded } from '../random.ts';
import type { BenchCase, BenchContext, Size } from '../types.ts';
import { kernelCase, repeated } from './kernel-case.ts';

type Shape = readonly [N: number, H: number, C: number];

const SHAPES: Record<Size, Shape> = {
  tiny: [2, 6, 8],
  quick: [4, 32, 64],
  standard: [32, 32, 64],
  gpu: [250, 32, 64],
};

const [LOW, HIGH] = [0, 3.4028234663852886e38];

/** The five kernels of a batch norm with its ReLU, forwards and back, bound by memory. */
export function normalizationCases(size: Size): BenchCase[] {
  const [N, H, C] = SHAPES[size];
  const arguments_ = `(N=${N},H=${H},C=${C})`;
  const pixelCount = N * H * H;
  const bytes = pixelCount * C * 4;
  /** Splits as training on the adapter takes them; at the smallest size several all the same. */
  const split = ({ runtime }: BenchContext) => {
    const kernels = convKernels(runtime);
    const chunk = size === 'tiny' ? 16 : reductionChunk(kernels, pixelCount, C / 4);
    const splits = Math.ceil(pixelCount / chunk);
    const of = (values: Float32Array, s: number) => values.subarray(s * chunk * C, (s + 1) * chunk * C);
    return { chunk, splits, of, merge: mergeKernel(kernels, splits) };
  };
  const counts = { pixelCount, vectors: C / 4 };
  const limits = { low: LOW, high: HIGH };
  const floats = (seed: number, count: number) => repeated((n) => seeded(seed).floats(n), count);
  const input = () => floats(40, pixelCount * C);
  const gradient = () => floats(41, pixelCount * C);
  // Mean and inverse deviation, gamma and beta.
  const statistics = pairs(C, 42, [0, 1]);
  const affine = pairs(C, 43, [1, 0]);
  return [
    kernelCase(`batch-norm-statistics${arguments_}`, 'fp32', N, (context) => {
      const { chunk, splits, of } = split(context);
      const x = input();
      return {
        kernel: batchNormStatisticsKernel,
        buffers: { input: x, partial: splits * C * 8 },
        params: { ...counts, chunk },
        of: 'partial',
        near: () => Array.from({ length: splits }, (_, s) => [...batchNormStatistics(of(x, s), C)]).flat(),
      };
    }),
    kernelCase(`batch-norm-merge${arguments_}`, 'fp32', N, (context) => {
      const { chunk, splits, merge } = split(context);
      const partial = floats(44, splits * C * 2).map(Math.abs);
      const running = pairs(C, 45, [0, 1]);
      const options = { epsilon: Math.fround(1e-5), momentum: Math.fround(0.1) };
      const parts = Array.from({ length: splits }, (_, s) => partial.subarray(s * C * 2, (s + 1) * C * 2));
      const sizes = parts.map((_, s) => Math.min(chunk, pixelCount - s * chunk));
      return {
        kernel: merge,
        buffers: { partial, statistics: C * 8, running },
        params: { ...counts, chunk, ...options },
        of: 'running',
        near: () => batchNormMerge(parts, sizes, running, options).running,
      };
    }),
    kernelCase(`batch-norm${arguments_}`, 'fp32', N, () => {
      const x = input();
      return {
        kernel: batchNormKernel,
        buffers: { input: x, statistics, affine, output: bytes },
        params: { ...counts, ...limits },
        of: 'output',
        near: () => batchNorm(x, statistics, affine, [LOW, HIGH]),
      };
    }),
    kernelCase(`batch-norm-gradient-sums${arguments_}`, 'fp32', N, (context) => {
      const { chunk, splits } = split(context);
      const [x, dy] = [input(), gradient()];
      return {
        kernel: batchNormGradientSumsKernel,
        buffers: { input: x, gradient: dy, statistics, affine, partial: splits * C * 8 },
        params: { ...counts, chunk, ...limits },
        of: 'partial',
        view: (partial) => sumSplits(partial, splits),
        near: () => batchNormGradientSums(x, dy, statistics, affine, [LOW, HIGH]),
      };
    }),
    kernelCase(`batch-norm-gradient${arguments_}`, 'fp32', N, () => {
      const [x, dy] = [input(), gradient()];
      // The true sums take the twin seconds at the large sizes, and any others cost the kernel the same.
      const sums =
        size === 'tiny'
          ? Float32Array.from(batchNormGradientSums(x, dy, statistics, affine, [LOW, HIGH]))
          : pairs(C, 46, [0, 0]);
      return {
        kernel: batchNormGradientKernel,
        buffers: { input: x, gradient: dy, statistics, affine, sums, output: bytes },
        params: { ...counts, ...limits, frozen: 0 },
        of: 'output',
        near: () => batchNormGradient(x, dy, statistics, affine, [LOW, HIGH]),
      };
    }),
  ];
}

/** Two rows of channels, each around its own centre. */
function pairs(
  channels: number,
  seed: number,
  centres: readonly [number, number],
): Float32Array<ArrayBuffer> {
  return seeded(seed)
    .floats(channels * 2, 0.1)
    .map((value, i) => value + centres[i < channels ? 0 : 1]);
}
