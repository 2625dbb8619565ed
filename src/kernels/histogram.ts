import source from '../../shaders/histogram.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/**
 * Counts and exact sums over bins with any ascending edges, a set of edges a segment; one workgroup a chunk.
 *
 * @example
 * const count = await histogram.create(device);
 * count.bind({ fixed, chunks, ranges, cells, edges, bins }, { chunkCount: 12 }).encode(pass);
 */
export const histogram = defineKernel({
  name: 'histogram',
  wgsl: [source],
  bindings: {
    fixed: { access: 'read', type: 'u32' },
    chunks: { access: 'read', type: 'vec4u' },
    ranges: { access: 'read', type: 'vec4u' },
    cells: { access: 'read', type: 'u32' },
    edges: { access: 'read', type: 'u32' },
    bins: { access: 'write', type: 'atomic<u32>' },
  },
  params: { chunkCount: 'u32' },
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [32, 64, 128, 256] } },
  workgroups: ({ chunkCount }) => chunkCount,
});
