import source from '../../shaders/conv2d-tiled.wgsl?raw';
import convBuffers from '../../shaders/lib/conv-buffers.wgsl?raw';
import convParams from '../../shaders/lib/conv-params.wgsl?raw';
import convPixel from '../../shaders/lib/conv-pixel.wgsl?raw';
import keepNan from '../../shaders/lib/keep-nan.wgsl?raw';
import stagedTile from '../../shaders/lib/staged-tile.wgsl?raw';
import tiledFloat from '../../shaders/lib/tiled-float.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { checkWindow } from '../gpu/window.ts';
import { conv2dBindings, conv2dParams } from './lib/params.ts';

/**
 * f32 convolution for GPUs, staged in workgroup memory; shapes in `shaders/conv2d-tiled.wgsl`.
 *
 * @example
 * const kernel = await kernels.conv2dTiled.create(device, {
 *   TILE_VECTORS: '8u', THREAD_VECTORS: '1u', BUFFERS: '2u',
 * }); // 3x3 over two 5 x 5 images, 12 channels to 20, and a ReLU6
 * kernel.bind({ input, weights, scale, shift, output }, {
 *   inputHeight: 5, inputWidth: 5, outputHeight: 5, outputWidth: 5, kernelHeight: 3, kernelWidth: 3,
 *   strideHeight: 1, strideWidth: 1, dilationHeight: 1, dilationWidth: 1, padTop: 1, padLeft: 1, pixelCount: 50,
 *   inputVectors: 3, outputVectors: 5, groupVectors: 3, groupTiles: 1, tileCount: 1, pool: 0, low: 0, high: 6,
 * }).encode(pass);
 */
export const conv2dTiledKernel = /* @__PURE__ */ defineKernel({
  name: 'conv2d-tiled',
  wgsl: [keepNan, convParams, convBuffers, convPixel, stagedTile, tiledFloat, source],
  bindings: conv2dBindings,
  params: conv2dParams,
  constants: {
    TILE_PIXELS: ['16u', '32u', '64u', '128u'],
    TILE_VECTORS: ['8u', '16u', '32u'],
    TILE_WORDS: ['4u', '8u', '16u'],
    THREAD_PIXELS: ['4u', '8u'],
    THREAD_VECTORS: ['1u', '2u'],
    BUFFERS: ['1u', '2u'],
  },
  check: checkWindow,
  workgroups: ({ pixelCount, tileCount }, { TILE_PIXELS = 64 }) =>
    Math.ceil(pixelCount / TILE_PIXELS) * tileCount,
});
