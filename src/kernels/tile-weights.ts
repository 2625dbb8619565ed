import source from '../../shaders/tile-weights.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/**
 * Reorders a filter between HWIO and the convolution kernels' tiles; shapes in `shaders/tile-weights.wgsl`.
 *
 * @example
 * const kernel = await kernels.tileWeights.create(device); // 3x3 weights, 20 channels to 20
 * kernel.bind({ input, output }, { taps: 9, inputChannels: 20, outputChannels: 20 }).encode(pass);
 */
export const tileWeightsKernel = /* @__PURE__ */ defineKernel({
  name: 'tile-weights',
  wgsl: [source],
  bindings: {
    input: { access: 'read', type: 'f32' },
    output: { access: 'write', type: 'f32' },
  },
  params: { taps: 'u32', inputChannels: 'u32', outputChannels: 'u32' },
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [8, 16, 32, 64, 128, 256] } },
  constants: { BACK: ['0u', '1u'] },
  workgroups: ({ taps, inputChannels, outputChannels }, { WORKGROUP_SIZE }) =>
    Math.ceil(
      (Math.ceil(outputChannels / 16) * 16 * taps * Math.ceil(inputChannels / 4) * 4) / WORKGROUP_SIZE,
    ),
});
