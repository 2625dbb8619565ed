import source from '../../shaders/kmeans-assign.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/**
 * Codes of all elements between ascending thresholds, four a word; one workgroup a chunk.
 *
 * @example
 * const assign = await kmeansAssign.create(device);
 * assign.bind({ keys, thresholds, chunks, codes }, { chunkCount: 12, clusters: 16 }).encode(pass);
 */
export const kmeansAssign = /* @__PURE__ */ defineKernel({
  name: 'kmeans-assign',
  wgsl: [source],
  bindings: {
    keys: { access: 'read', type: 'vec4u' },
    thresholds: { access: 'read', type: 'u32' },
    chunks: { access: 'read', type: 'vec4u' },
    codes: { access: 'write', type: 'u32' },
  },
  params: { chunkCount: 'u32', clusters: 'u32' },
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [32, 64, 128, 256] } },
  workgroups: ({ chunkCount }) => chunkCount,
});
