import source from '../../shaders/depthwise-conv2d.wgsl?raw';
import convBuffers from '../../shaders/lib/conv-buffers.wgsl?raw';
import convParams from '../../shaders/lib/conv-params.wgsl?raw';
import depthwise from '../../shaders/lib/depthwise.wgsl?raw';
import keepNan from '../../shaders/lib/keep-nan.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { checkWindow } from '../gpu/window.ts';
import { conv2dBindings, conv2dParams } from './lib/params.ts';

/**
 * f32 convolution of each channel by its own filter, with affine epilogue, clamp and 2x2 max-pool fused; shapes
 * in `shaders/depthwise-conv2d.wgsl`.
 *
 * @example
 * const kernel = await kernels.depthwiseConv2d.create(device);
 * // 3x3 over two 5 x 5 images of 20 channels, and a ReLU6
 * kernel.bind({ input, weights, scale, shift, output }, {
 *   inputHeight: 5, inputWidth: 5, outputHeight: 5, outputWidth: 5, kernelHeight: 3, kernelWidth: 3,
 *   strideHeight: 1, strideWidth: 1, dilationHeight: 1, dilationWidth: 1, padTop: 1, padLeft: 1, pixelCount: 50,
 *   inputVectors: 5, outputVectors: 5, groupVectors: 1, groupTiles: 2, tileCount: 2, pool: 0, low: 0, high: 6,
 * }).encode(pass);
 */
export const depthwiseConv2dKernel = /* @__PURE__ */ defineKernel({
  name: 'depthwise-conv2d',
  wgsl: [keepNan, convParams, convBuffers, depthwise, source],
  bindings: conv2dBindings,
  params: conv2dParams,
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [8, 16, 32, 64, 128, 256] } },
  constants: { MULTIPLIER: [] },
  check: checkWindow,
  workgroups: ({ pixelCount, outputWidth, outputVectors, pool }, { WORKGROUP_SIZE }) => {
    const strips = pool === 1 ? pixelCount / 4 : (pixelCount / outputWidth) * Math.ceil(outputWidth / 4);
    return Math.ceil((strips * outputVectors) / WORKGROUP_SIZE);
  },
});
