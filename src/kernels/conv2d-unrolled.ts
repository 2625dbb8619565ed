import source from '../../shaders/conv2d-unrolled.wgsl?raw';
import affineUnrolled from '../../shaders/lib/affine-unrolled.wgsl?raw';
import convBuffers from '../../shaders/lib/conv-buffers.wgsl?raw';
import convParams from '../../shaders/lib/conv-params.wgsl?raw';
import convPixel from '../../shaders/lib/conv-pixel.wgsl?raw';
import convUnrolled from '../../shaders/lib/conv-unrolled.wgsl?raw';
import keepNan from '../../shaders/lib/keep-nan.wgsl?raw';
import pixelBlocks from '../../shaders/lib/pixel-blocks.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { checkWindow } from '../gpu/window.ts';
import { conv2dBindings, conv2dParams } from './lib/params.ts';

/**
 * f32 convolution without private arrays, with affine epilogue, clamp and 2x2 max-pool fused; shapes in
 * `shaders/conv2d-unrolled.wgsl`.
 *
 * @example
 * const kernel = await kernels.conv2dUnrolled.create(device);
 * // 3x3 over two 5 x 5 images, 12 channels to 20, and a ReLU6
 * kernel.bind({ input, weights, scale, shift, output }, {
 *   inputHeight: 5, inputWidth: 5, outputHeight: 5, outputWidth: 5, kernelHeight: 3, kernelWidth: 3,
 *   strideHeight: 1, strideWidth: 1, dilationHeight: 1, dilationWidth: 1, padTop: 1, padLeft: 1, pixelCount: 50,
 *   inputVectors: 3, outputVectors: 5, groupVectors: 3, groupTiles: 2, tileCount: 2, pool: 0, low: 0, high: 6,
 * }).encode(pass);
 */
export const conv2dUnrolledKernel = /* @__PURE__ */ defineKernel({
  name: 'conv2d-unrolled',
  wgsl: [keepNan, convParams, convBuffers, convPixel, pixelBlocks, convUnrolled, affineUnrolled, source],
  bindings: conv2dBindings,
  params: conv2dParams,
  overrides: { WORKGROUP_SIZE: { default: 8, allowed: [8, 16, 32, 64] } },
  check: checkWindow,
  workgroups: ({ pixelCount, tileCount }, { WORKGROUP_SIZE }) =>
    Math.ceil(pixelCount / (4 * WORKGROUP_SIZE)) * tileCount,
});
