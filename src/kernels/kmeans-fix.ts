import source from '../../shaders/kmeans-fix.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/**
 * Float32 weights, in place, to the unsigned fixed point of the other k-means kernels; one workgroup a chunk.
 *
 * @example
 * const fix = await kmeansFix.create(device);
 * fix.bind({ exponents, chunks, elements }, { chunkCount: 12 }).encode(pass);
 */
export const kmeansFix = defineKernel({
  name: 'kmeans-fix',
  wgsl: [source],
  bindings: {
    exponents: { access: 'read', type: 'u32' },
    chunks: { access: 'read', type: 'vec4u' },
    elements: { access: 'write', type: 'u32' },
  },
  params: { chunkCount: 'u32' },
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [32, 64, 128, 256] } },
  workgroups: ({ chunkCount }) => chunkCount,
});
