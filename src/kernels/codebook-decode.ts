import source from '../../shaders/codebook-decode.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/**
 * Values of 8-bit codes, four a word, from one codebook or one a group; one thread a word.
 *
 * @example
 * const decode = await codebookDecode.create(device);
 * const params = { count: 4608, clusters: 16, groups: 1, groupStride: 4608 };
 * decode.bind({ codes, codebook, output }, params).encode(pass);
 */
export const codebookDecode = /* @__PURE__ */ defineKernel({
  name: 'codebook-decode',
  wgsl: [source],
  bindings: {
    codes: { access: 'read', type: 'u32' },
    codebook: { access: 'read', type: 'u32' },
    output: { access: 'write', type: 'u32' },
  },
  params: { count: 'u32', clusters: 'u32', groups: 'u32', groupStride: 'u32' },
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [32, 64, 128, 256] } },
  workgroups: ({ count }, { WORKGROUP_SIZE }) => Math.ceil(count / 4 / WORKGROUP_SIZE),
});
