import source from '../../shaders/kmeans-totals.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/**
 * Counts and 64-bit sums of each centroid's members from prefix sums over bins; one workgroup a centroid.
 *
 * @example
 * const totals = await kmeansTotals.create(device);
 * const buffers = { centroids, done, spans, edges, prefixes, grouped, totals: output };
 * totals.bind(buffers, { segments: 9, clusters: 16 }).encode(pass);
 */
export const kmeansTotals = defineKernel({
  name: 'kmeans-totals',
  wgsl: [source],
  bindings: {
    centroids: { access: 'read', type: 'u32' },
    done: { access: 'read', type: 'u32' },
    spans: { access: 'read', type: 'vec2u' },
    edges: { access: 'read', type: 'u32' },
    prefixes: { access: 'read', type: 'vec4u' },
    grouped: { access: 'read', type: 'u32' },
    totals: { access: 'write', type: 'u32' },
  },
  params: { segments: 'u32', clusters: 'u32' },
  overrides: { WORKGROUP_SIZE: { default: 32, allowed: [32, 64, 128, 256] } },
  workgroups: ({ segments, clusters }) => segments * clusters,
});
