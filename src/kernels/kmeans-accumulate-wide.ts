import source from '../../shaders/kmeans-accumulate-wide.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/**
 * Counts and 64-bit sums of each centroid's members, for up to 256 centroids; one workgroup a chunk.
 *
 * @example
 * const accumulate = await kmeansAccumulateWide.create(device);
 * accumulate.bind({ fixed, centroids, done, chunks, totals }, { chunkCount: 12, clusters: 256 }).encode(pass);
 */
export const kmeansAccumulateWide = defineKernel({
  name: 'kmeans-accumulate-wide',
  wgsl: [source],
  bindings: {
    fixed: { access: 'read', type: 'u32' },
    centroids: { access: 'read', type: 'u32' },
    done: { access: 'read', type: 'u32' },
    chunks: { access: 'read', type: 'vec4u' },
    totals: { access: 'write', type: 'atomic<u32>' },
  },
  params: { chunkCount: 'u32', clusters: 'u32' },
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [32, 64, 128, 256] } },
  workgroups: ({ chunkCount }) => chunkCount,
});
