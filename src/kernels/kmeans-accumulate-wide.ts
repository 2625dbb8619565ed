import source from '../../shaders/kmeans-accumulate-wide.wgsl?raw';
import keys from '../../shaders/lib/float-keys.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/**
 * Counts of each centroid's members, and 64-bit sums of one plane of their limbs, for up to 256 centroids; one workgroup a chunk.
 *
 * @example
 * const accumulate = await kmeansAccumulateWide.create(device);
 * const params = { chunkCount: 12, clusters: 256, planes: 1, plane: 0 };
 * accumulate.bind({ keys, thresholds, scales, done, chunks, totals }, params).encode(pass);
 */
export const kmeansAccumulateWide = /* @__PURE__ */ defineKernel({
  name: 'kmeans-accumulate-wide',
  wgsl: [keys, source],
  bindings: {
    keys: { access: 'read', type: 'u32' },
    thresholds: { access: 'read', type: 'u32' },
    scales: { access: 'read', type: 'vec4u' },
    done: { access: 'read', type: 'u32' },
    chunks: { access: 'read', type: 'vec4u' },
    totals: { access: 'write', type: 'atomic<u32>' },
  },
  params: { chunkCount: 'u32', clusters: 'u32', planes: 'u32', plane: 'u32' },
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [32, 64, 128, 256] } },
  workgroups: ({ chunkCount }) => chunkCount,
});
