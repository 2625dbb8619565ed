import source from '../../shaders/kmeans-totals.wgsl?raw';
import keys from '../../shaders/lib/float-keys.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/**
 * Counts of each centroid's members, and 64-bit sums of their limbs, from sorted keys; one workgroup a centroid.
 *
 * @example
 * const totals = await kmeansTotals.create(device);
 * const buffers = { thresholds, scales, done, spans, sorted, prefixes, totals: output };
 * totals.bind(buffers, { segments: 9, clusters: 16, planes: 2 }).encode(pass);
 */
export const kmeansTotals = /* @__PURE__ */ defineKernel({
  name: 'kmeans-totals',
  wgsl: [keys, source],
  bindings: {
    thresholds: { access: 'read', type: 'u32' },
    scales: { access: 'read', type: 'vec4u' },
    done: { access: 'read', type: 'u32' },
    spans: { access: 'read', type: 'vec4u' },
    sorted: { access: 'read', type: 'u32' },
    prefixes: { access: 'read', type: 'vec2u' },
    totals: { access: 'write', type: 'u32' },
  },
  params: { segments: 'u32', clusters: 'u32', planes: 'u32' },
  overrides: { WORKGROUP_SIZE: { default: 32, allowed: [32, 64, 128, 256] } },
  workgroups: ({ segments, clusters }) => segments * clusters,
});
