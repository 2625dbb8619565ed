import source from '../../shaders/kmeans-update.wgsl?raw';
import keys from '../../shaders/lib/float-keys.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/**
 * Moves every centroid to the rounded mean of its members and marks the segments that stopped; one workgroup a segment.
 *
 * @example
 * const update = await kmeansUpdate.create(device);
 * const buffers = { scales, totals, centroids, thresholds, done, iterations, remaining };
 * update.bind(buffers, { segments: 9, clusters: 16, planes: 2, tolerance: 0 }).encode(pass);
 */
export const kmeansUpdate = /* @__PURE__ */ defineKernel({
  name: 'kmeans-update',
  wgsl: [keys, source],
  bindings: {
    scales: { access: 'read', type: 'vec4u' },
    totals: { access: 'write', type: 'u32' },
    centroids: { access: 'write', type: 'u32' },
    thresholds: { access: 'write', type: 'u32' },
    done: { access: 'write', type: 'u32' },
    iterations: { access: 'write', type: 'u32' },
    remaining: { access: 'write', type: 'atomic<u32>' },
  },
  params: { segments: 'u32', clusters: 'u32', planes: 'u32', tolerance: 'u32' },
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [32, 64, 128, 256] } },
  workgroups: ({ segments }) => segments,
});
