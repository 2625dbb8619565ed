import source from '../../shaders/sum-splits.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

export const sumSplitsBindings = {
  partial: { access: 'read', type: 'f32' },
  output: { access: 'write', type: 'f32' },
} as const;

export const sumSplitsParams = {
  count: 'u32',
  splits: 'u32',
} as const;

/**
 * Adds the partial sums of a split reduction in order; shapes in `shaders/sum-splits.wgsl`.
 *
 * @example
 * const kernel = await kernels.sumSplits.create(device); // 288 sums of four splits
 * kernel.bind({ partial, output }, { count: 288, splits: 4 }).encode(pass);
 */
export const sumSplitsKernel = /* @__PURE__ */ defineKernel({
  name: 'sum-splits',
  wgsl: [source],
  bindings: sumSplitsBindings,
  params: sumSplitsParams,
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [8, 16, 32, 64, 128, 256] } },
  workgroups: ({ count }, { WORKGROUP_SIZE }) => Math.ceil(count / WORKGROUP_SIZE),
});
