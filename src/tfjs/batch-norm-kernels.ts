import { batchNormKernel } from '../kernels/batch-norm.ts';
import { batchNormGradientKernel } from '../kernels/batch-norm-gradient.ts';
import { batchNormGradientSumsKernel } from '../kernels/batch-norm-gradient-sums.ts';
import { sumSplitsKernel } from '../kernels/sum-splits.ts';
import { LARGEST, vectorsOf } from '../train/geometry.ts';
import { SPLIT_PIXELS } from '../train/reductions.ts';
import { outputOf, padded } from './conv-kernels.ts';
import type { Recorder, TensorInfo } from './recorder.ts';

/** Every variant that the functions below ask a recorder for. */
export const BATCH_NORM_VARIANTS = [
  [batchNormKernel] as const,
  [batchNormGradientKernel] as const,
  [batchNormGradientSumsKernel] as const,
];

/** Rows of channels, padded: (mean, inverse deviation) and (gamma, beta), as the kernels read them. */
export interface NormRows {
  /** 2 x channels. */
  statistics: TensorInfo;
  /** 2 x channels. */
  affine: TensorInfo;
}

const LIMITS = { low: -LARGEST, high: LARGEST };

/** Normalizes `x` (NHWC) by given statistics. */
export function normalize(recorder: Recorder, x: TensorInfo, rows: NormRows): TensorInfo {
  const operands = paddedRows(recorder, rows);
  const input = padded(recorder, x);
  const result = outputOf(recorder, x.shape, (output) => {
    recorder.run(batchNormKernel, { input, ...operands, output }, { ...sizesOf(x), ...LIMITS });
  });
  recorder.release();
  return result;
}

/**
 * Gradients by `x`, the statistics taken as constants, and by gamma and beta (2 x channels).
 *
 * tfjs differentiates the statistics by themselves: their gradients follow from gamma's and beta's.
 */
export function normalizeGradient(
  recorder: Recorder,
  x: TensorInfo,
  dy: TensorInfo,
  rows: NormRows,
): [dx: TensorInfo, sums: TensorInfo] {
  const sizes = sizesOf(x);
  const { pixelCount, vectors } = sizes;
  const own = { input: padded(recorder, x), gradient: padded(recorder, dy), ...paddedRows(recorder, rows) };
  const splits = Math.ceil(pixelCount / SPLIT_PIXELS);
  const partial = recorder.scratch(splits * vectors * 8);
  recorder.run(
    batchNormGradientSumsKernel,
    { ...own, partial },
    { ...sizes, ...LIMITS, chunk: SPLIT_PIXELS },
  );
  const whole = recorder.scratch(vectors * 8);
  recorder.run(sumSplitsKernel, { partial, output: whole }, { count: vectors * 8, splits });
  const dx = outputOf(recorder, x.shape, (output) => {
    recorder.run(
      batchNormGradientKernel,
      { ...own, sums: whole, output },
      { ...sizes, ...LIMITS, frozen: 1 },
    );
  });
  const sums = outputOf(recorder, [2, x.shape.at(-1)!], (output) => {
    recorder.run(sumSplitsKernel, { partial, output }, { count: vectors * 8, splits });
  });
  recorder.release();
  return [dx, sums];
}

function paddedRows(
  recorder: Recorder,
  { statistics, affine }: NormRows,
): Record<keyof NormRows, TensorInfo> {
  return { statistics: padded(recorder, statistics), affine: padded(recorder, affine) };
}

function sizesOf(x: TensorInfo) {
  const channels = x.shape.at(-1)!;
  return { pixelCount: x.shape.reduce((a, b) => a * b, 1) / channels, vectors: vectorsOf({ channels }) };
}
