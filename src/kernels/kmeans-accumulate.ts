import source from '../../shaders/kmeans-accumulate.wgsl?raw';
import keys from '../../shaders/lib/float-keys.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/**
 * Counts of each centroid's members, and 64-bit sums of one plane of their limbs, for up to THRESHOLDS + 1 centroids; one workgroup a chunk.
 *
 * @example
 * const accumulate = await kmeansAccumulate.create(device, { THRESHOLDS: '3u' });
 * const params = { chunkCount: 12, clusters: 4, planes: 1, plane: 0 };
 * accumulate.bind({ keys, thresholds, scales, done, chunks, totals }, params).encode(pass);
 */
export const kmeansAccumulate = /* @__PURE__ */ defineKernel({
  name: 'kmeans-accumulate',
  wgsl: [keys, source],
  bindings: {
    keys: { access: 'read', type: 'vec4u' },
    thresholds: { access: 'read', type: 'u32' },
    scales: { access: 'read', type: 'vec4u' },
    done: { access: 'read', type: 'u32' },
    chunks: { access: 'read', type: 'vec4u' },
    totals: { access: 'write', type: 'atomic<u32>' },
  },
  params: { chunkCount: 'u32', clusters: 'u32', planes: 'u32', plane: 'u32' },
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [32, 64, 128, 256] } },
  constants: { THRESHOLDS: ['1u', '3u', '7u', '15u'] },
  workgroups: ({ chunkCount }) => chunkCount,
});
