import type { Limits } from '../conv/tiled-tile.ts';
import type { Call } from '../gpu/call.ts';
import { batchNormMergeKernel } from '../kernels/batch-norm-merge.ts';
import { batchNormMergeWideKernel } from '../kernels/batch-norm-merge-wide.ts';
import { sumSplitsKernel } from '../kernels/sum-splits.ts';
import { sumSplitsWideKernel } from '../kernels/sum-splits-wide.ts';
import type { Workshop } from './weights.ts';

/** Pixels that one thread sums in batch norm's reductions, where threads are few. */
export const SPLIT_PIXELS = 256;
/** About a thousand threads for every core of a large GPU, of at least so many pixels each. */
const FULL_THREADS = 131072;
const LEAST_PIXELS = 16;
/** Fewer are walked by one thread sooner than a workgroup's lanes meet. */
const WIDE_SPLITS = 64;
/** As many elements fill a GPU by themselves. */
const WIDE_COUNT = 32768;

/** As of `ConvKernels`: limits where a GPU is to be filled. */
interface Kernels {
  limits: Limits | null;
}

/** Pixels of a split of batch norm's reductions over so many vectors of channels: few where a GPU has to be filled. */
export function reductionChunk({ limits }: Kernels, pixelCount: number, vectors: number): number {
  if (!limits) return SPLIT_PIXELS;
  const share = Math.floor((pixelCount * vectors) / FULL_THREADS);
  return Math.min(SPLIT_PIXELS, Math.max(LEAST_PIXELS, share));
}

/** What joins the splits of `batch-norm-statistics`. */
export function mergeKernel({ limits }: Kernels, splits: number) {
  return limits && splits >= WIDE_SPLITS ? batchNormMergeWideKernel : batchNormMergeKernel;
}

/** What adds the parts of a split sum. */
export function sumKernel({ limits }: Kernels, count: number, splits: number) {
  return limits && splits >= WIDE_SPLITS && count < WIDE_COUNT ? sumSplitsWideKernel : sumSplitsKernel;
}

/** Binds the sum of `splits` parts of `count` elements. */
export function bindSum(
  workshop: Workshop,
  kernels: Kernels,
  buffers: Record<'partial' | 'output', GPUBuffer>,
  count: number,
  splits: number,
): Promise<Call> {
  return workshop.bind(sumKernel(kernels, count, splits), buffers, { count, splits });
}
