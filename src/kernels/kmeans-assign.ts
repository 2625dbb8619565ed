import source from '../../shaders/kmeans-assign.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/**
 * Codes of all elements under ascending centroids, four a word; one workgroup a chunk.
 *
 * @example
 * const assign = await kmeansAssign.create(device);
 * assign.bind({ fixed, centroids, chunks, codes }, { chunkCount: 12, clusters: 16 }).encode(pass);
 */
export const kmeansAssign = defineKernel({
  name: 'kmeans-assign',
  wgsl: [source],
  bindings: {
    fixed: { access: 'read', type: 'vec4u' },
    centroids: { access: 'read', type: 'u32' },
    chunks: { access: 'read', type: 'vec4u' },
    codes: { access: 'write', type: 'u32' },
  },
  params: { chunkCount: 'u32', clusters: 'u32' },
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [32, 64, 128, 256] } },
  workgroups: ({ chunkCount }) => chunkCount,
});
