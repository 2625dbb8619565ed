import source from '../../shaders/convolution.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { checkTransposedWindow, checkWindow } from '../gpu/window.ts';

/**
 * Convolution or transposed convolution of floats or integers, channels first; see shaders/convolution.wgsl.
 *
 * @example
 * const kernel = await kernels.convolution.create(device); // 3x3 over a 6 x 6 image of five channels
 * kernel.bind({ input, weights, bias, output }, {
 *   threads: 72, channels: 5, outputs: 5, groupChannels: 5, groupOutputs: 5, groupTiles: 2, inputDepth: 1,
 *   inputHeight: 6, inputWidth: 6, outputDepth: 1, outputHeight: 6, outputWidth: 6, kernelDepth: 1,
 *   kernelHeight: 3, kernelWidth: 3, strideDepth: 1, strideHeight: 1, strideWidth: 1, dilationDepth: 1,
 *   dilationHeight: 1, dilationWidth: 1, padDepth: 0, padHeight: 1, padWidth: 1,
 * }).encode(pass);
 */
export const convolution = /* @__PURE__ */ defineKernel({
  name: 'convolution',
  wgsl: [source],
  bindings: {
    input: { access: 'read', type: 'f32' },
    weights: { access: 'read', type: 'f32' },
    bias: { access: 'read', type: 'f32' },
    output: { access: 'write', type: 'f32' },
  },
  params: {
    ...({
      threads: 'u32',
      channels: 'u32',
      outputs: 'u32',
      groupChannels: 'u32',
      groupOutputs: 'u32',
    } as const),
    ...({ groupTiles: 'u32', inputDepth: 'u32', inputHeight: 'u32', inputWidth: 'u32' } as const),
    ...({ outputDepth: 'u32', outputHeight: 'u32', outputWidth: 'u32', kernelDepth: 'u32' } as const),
    ...({ kernelHeight: 'u32', kernelWidth: 'u32', strideDepth: 'u32', strideHeight: 'u32' } as const),
    ...({ strideWidth: 'u32', dilationDepth: 'u32', dilationHeight: 'u32', dilationWidth: 'u32' } as const),
    ...({ padDepth: 'u32', padHeight: 'u32', padWidth: 'u32' } as const),
  },
  overrides: {
    TRANSPOSED: { default: 0, allowed: [0, 1] },
    HAS_BIAS: { default: 1, allowed: [0, 1] },
    WORKGROUP_SIZE: { default: 64, allowed: [32, 64, 128, 256] },
  },
  constants: { OUTPUTS: ['1u', '4u'], Element: ['f32', 'i32'] },
  check: (name, params, { TRANSPOSED }) =>
    TRANSPOSED === 1 ? checkTransposedWindow(name, params) : checkWindow(name, params),
  workgroups: ({ threads }, { WORKGROUP_SIZE }) => Math.ceil(threads / WORKGROUP_SIZE),
});
