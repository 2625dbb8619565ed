import source from '../../shaders/sum-splits-wide.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { sumSplitsBindings, sumSplitsParams } from './sum-splits.ts';

/**
 * Adds the partial sums of a split reduction, many of few elements; shapes in `shaders/sum-splits-wide.wgsl`.
 *
 * @example
 * const kernel = await kernels.sumSplitsWide.create(device); // 512 sums of a thousand splits
 * kernel.bind({ partial, output }, { count: 512, splits: 1000 }).encode(pass);
 */
export const sumSplitsWideKernel = /* @__PURE__ */ defineKernel({
  name: 'sum-splits-wide',
  wgsl: [source],
  bindings: sumSplitsBindings,
  params: sumSplitsParams,
  workgroups: ({ count }) => Math.ceil(count / 4),
});
