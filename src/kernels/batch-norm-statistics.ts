import source from '../../shaders/batch-norm-statistics.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/**
 * Mean and squared deviations of each channel, in splits; shapes in `shaders/batch-norm-statistics.wgsl`.
 *
 * @example
 * const kernel = await kernels.batchNormStatistics.create(device); // 72 pixels of eight channels in splits of 16
 * kernel.bind({ input, partial }, { pixelCount: 72, vectors: 2, chunk: 16 }).encode(pass);
 */
export const batchNormStatisticsKernel = /* @__PURE__ */ defineKernel({
  name: 'batch-norm-statistics',
  wgsl: [source],
  bindings: {
    input: { access: 'read', type: 'vec4f' },
    partial: { access: 'write', type: 'vec4f' },
  },
  params: {
    pixelCount: 'u32',
    vectors: 'u32',
    chunk: 'u32',
  },
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [8, 16, 32, 64, 128, 256] } },
  workgroups: ({ pixelCount, vectors, chunk }, { WORKGROUP_SIZE }) =>
    Math.ceil((vectors * Math.ceil(pixelCount / chunk)) / WORKGROUP_SIZE),
});
