import source from '../../shaders/codebook-gather.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/**
 * Looks entries up in codebooks laid end to end; shapes in `shaders/codebook-gather.wgsl`.
 *
 * @example
 * const kernel = await kernels.codebookGather.create(device); // 432 weights
 * kernel.bind({ entries, codebook, output }, { count: 432 }).encode(pass);
 */
export const codebookGatherKernel = /* @__PURE__ */ defineKernel({
  name: 'codebook-gather',
  wgsl: [source],
  bindings: {
    entries: { access: 'read', type: 'u32' },
    codebook: { access: 'read', type: 'u32' },
    output: { access: 'write', type: 'u32' },
  },
  params: { count: 'u32' },
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [8, 16, 32, 64, 128, 256] } },
  workgroups: ({ count }, { WORKGROUP_SIZE }) => Math.ceil(count / WORKGROUP_SIZE),
});
