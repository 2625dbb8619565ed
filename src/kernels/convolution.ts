import source from '../../shaders/convolution.wgsl?raw';
import { merged } from '../gpu/declaration.ts';
import { defineKernel } from '../gpu/kernel.ts';
import { checkTransposedWindow, checkWindow } from '../gpu/window.ts';
import { spatial, u32s } from './lib/params.ts';

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
  params: /* @__PURE__ */ merged(
    /* @__PURE__ */ u32s('threads', 'channels', 'outputs', 'groupChannels', 'groupOutputs', 'groupTiles'),
    /* @__PURE__ */ spatial('input', 'output', 'kernel', 'stride', 'dilation', 'pad'),
  ),
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
