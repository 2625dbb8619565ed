import source from '../../shaders/kmeans-keys.wgsl?raw';
import keys from '../../shaders/lib/float-keys.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/**
 * Float32 weights, in place, to unsigned keys of the same order, for the other k-means kernels; one workgroup a chunk.
 *
 * @example
 * const toKeys = await kmeansKeys.create(device);
 * toKeys.bind({ chunks, elements }, { chunkCount: 12 }).encode(pass);
 */
export const kmeansKeys = /* @__PURE__ */ defineKernel({
  name: 'kmeans-keys',
  wgsl: [keys, source],
  bindings: {
    chunks: { access: 'read', type: 'vec4u' },
    elements: { access: 'write', type: 'u32' },
  },
  params: { chunkCount: 'u32' },
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [32, 64, 128, 256] } },
  workgroups: ({ chunkCount }) => chunkCount,
});
