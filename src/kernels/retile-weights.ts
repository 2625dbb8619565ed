import source from '../../shaders/retile-weights.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/**
 * Moves trained weights to a workgroup-tiled convolution's tiles; shapes in `shaders/retile-weights.wgsl`.
 *
 * @example
 * const kernel = await kernels.retileWeights.create(device); // 3x3 weights, eight channels to 20
 * kernel.bind({ weights, retiled }, { taps: 9, inputChannels: 8, outputChannels: 20 }).encode(pass);
 */
export const retileWeightsKernel = /* @__PURE__ */ defineKernel({
  name: 'retile-weights',
  wgsl: [source],
  bindings: {
    weights: { access: 'read', type: 'vec4f' },
    retiled: { access: 'write', type: 'vec4f' },
  },
  params: { taps: 'u32', inputChannels: 'u32', outputChannels: 'u32' },
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [8, 16, 32, 64, 128, 256] } },
  constants: { SWAP: ['0u', '1u'], TILE_VECTORS: ['8u', '16u', '32u'] },
  workgroups: ({ taps, inputChannels, outputChannels }, { WORKGROUP_SIZE, TILE_VECTORS = 16, SWAP = 0 }) => {
    const [rows, columns] = SWAP === 1 ? [outputChannels, inputChannels] : [inputChannels, outputChannels];
    const tiles = Math.ceil(columns / (TILE_VECTORS * 4));
    return Math.ceil((tiles * taps * Math.ceil(rows / 4) * TILE_VECTORS) / WORKGROUP_SIZE);
  },
});
