import source from '../../shaders/codebook-gradient.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/**
 * Sums of each codebook entry's members, in splits; shapes in `shaders/codebook-gradient.wgsl`.
 *
 * @example
 * const kernel = await kernels.codebookGradient.create(device); // the members of 16 centroids, each in one sum
 * kernel.bind({ members, offsets, values, partial }, { segments: 16, splits: 1, mean: 0 }).encode(pass);
 */
export const codebookGradientKernel = /* @__PURE__ */ defineKernel({
  name: 'codebook-gradient',
  wgsl: [source],
  bindings: {
    members: { access: 'read', type: 'u32' },
    offsets: { access: 'read', type: 'u32' },
    values: { access: 'read', type: 'f32' },
    partial: { access: 'write', type: 'f32' },
  },
  params: {
    segments: 'u32',
    splits: 'u32',
    mean: 'u32',
  },
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [8, 16, 32, 64, 128, 256] } },
  workgroups: ({ segments, splits }, { WORKGROUP_SIZE }) => Math.ceil((segments * splits) / WORKGROUP_SIZE),
});
