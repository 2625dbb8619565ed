import source from '../../shaders/conv2d.wgsl?raw';
import affineTile from '../../shaders/lib/affine-tile.wgsl?raw';
import convBuffers from '../../shaders/lib/conv-buffers.wgsl?raw';
import convParams from '../../shaders/lib/conv-params.wgsl?raw';
import convPixel from '../../shaders/lib/conv-pixel.wgsl?raw';
import convRegisters from '../../shaders/lib/conv-registers.wgsl?raw';
import keepNan from '../../shaders/lib/keep-nan.wgsl?raw';
import pixelBlocks from '../../shaders/lib/pixel-blocks.wgsl?raw';
import registerTile from '../../shaders/lib/register-tile.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { checkWindow } from '../gpu/window.ts';
import { conv2dBindings, conv2dParams } from './lib/params.ts';

/**
 * f32 convolution with affine epilogue, clamp and 2x2 max-pool fused; shapes in `shaders/conv2d.wgsl`.
 * @example
 * const kernel = await kernels.conv2d.create(device, { TILE_PIXELS: '4u', TILE_VECTORS: '1u' });
 * // 3x3 over two 5 x 5 images, 12 channels to 20, and a ReLU6
 * kernel.bind({ input, weights, scale, shift, output }, {
 *   inputHeight: 5, inputWidth: 5, outputHeight: 5, outputWidth: 5, kernelHeight: 3, kernelWidth: 3,
 *   strideHeight: 1, strideWidth: 1, dilationHeight: 1, dilationWidth: 1, padTop: 1, padLeft: 1, pixelCount: 50,
 *   inputVectors: 3, outputVectors: 5, groupVectors: 3, groupTiles: 5, tileCount: 5, pool: 0, low: 0, high: 6,
 * }).encode(pass);
 */
export const conv2dKernel = /* @__PURE__ */ defineKernel({
  name: 'conv2d',
  wgsl: [
    keepNan,
    convParams,
    convBuffers,
    convPixel,
    pixelBlocks,
    registerTile,
    convRegisters,
    affineTile,
    source,
  ],
  bindings: conv2dBindings,
  params: conv2dParams,
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [8, 16, 32, 64] } },
  constants: { TILE_PIXELS: ['4u', '8u', '16u'], TILE_VECTORS: ['1u', '2u', '4u'] },
  check: checkWindow,
  workgroups: ({ pixelCount, tileCount }, { WORKGROUP_SIZE, TILE_PIXELS = 8 }) =>
    Math.ceil(pixelCount / (TILE_PIXELS * WORKGROUP_SIZE)) * tileCount,
});
