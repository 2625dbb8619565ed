import source from '../../shaders/codebook-expand.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/**
 * Packed codebook codes to f32; layout in `shaders/codebook-expand.wgsl`.
 *
 * @example
 * const kernel = await kernels.codebookExpand.create(device); // 3,456 weights of four bits
 * kernel.bind({ codes, codebook, output }, { vectorCount: 864 }).encode(pass);
 */
export const codebookExpandKernel = /* @__PURE__ */ defineKernel({
  name: 'codebook-expand',
  wgsl: [source],
  bindings: {
    codes: { access: 'read', type: 'u32' },
    codebook: { access: 'read', type: 'f32' },
    output: { access: 'write', type: 'vec4f' },
  },
  params: { vectorCount: 'u32' },
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [32, 64, 128, 256] } },
  constants: { CODE_BITS: ['1u', '2u', '4u', '8u'] },
  workgroups: ({ vectorCount }, { WORKGROUP_SIZE }) => Math.ceil(vectorCount / WORKGROUP_SIZE),
});
