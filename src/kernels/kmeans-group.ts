import source from '../../shaders/kmeans-group.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/**
 * Elements of each bin side by side, in any order within a bin; one workgroup a chunk.
 *
 * @example
 * const group = await kmeansGroup.create(device);
 * group.bind({ fixed, chunks, ranges, cells, edges, cursors, grouped }, { chunkCount: 12 }).encode(pass);
 */
export const kmeansGroup = defineKernel({
  name: 'kmeans-group',
  wgsl: [source],
  bindings: {
    fixed: { access: 'read', type: 'u32' },
    chunks: { access: 'read', type: 'vec4u' },
    ranges: { access: 'read', type: 'vec4u' },
    cells: { access: 'read', type: 'u32' },
    edges: { access: 'read', type: 'u32' },
    cursors: { access: 'write', type: 'atomic<u32>' },
    grouped: { access: 'write', type: 'u32' },
  },
  params: { chunkCount: 'u32' },
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [32, 64, 128, 256] } },
  workgroups: ({ chunkCount }) => chunkCount,
});
