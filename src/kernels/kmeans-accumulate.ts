import source from '../../shaders/kmeans-accumulate.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/**
 * Counts and 64-bit sums of each centroid's members, for up to THRESHOLDS + 1 centroids; one workgroup a chunk.
 *
 * @example
 * const accumulate = await kmeansAccumulate.create(device, { THRESHOLDS: '3u' });
 * accumulate.bind({ fixed, centroids, done, chunks, totals }, { chunkCount: 12, clusters: 4 }).encode(pass);
 */
export const kmeansAccumulate = defineKernel({
  name: 'kmeans-accumulate',
  wgsl: [source],
  bindings: {
    fixed: { access: 'read', type: 'vec4u' },
    centroids: { access: 'read', type: 'u32' },
    done: { access: 'read', type: 'u32' },
    chunks: { access: 'read', type: 'vec4u' },
    totals: { access: 'write', type: 'atomic<u32>' },
  },
  params: { chunkCount: 'u32', clusters: 'u32' },
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [32, 64, 128, 256] } },
  constants: { THRESHOLDS: ['1u', '3u', '7u', '15u'] },
  workgroups: ({ chunkCount }) => chunkCount,
});
