import source from '../../shaders/conv2d-broadcast.wgsl?raw';
import affineTile from '../../shaders/lib/affine-tile.wgsl?raw';
import broadcastTile from '../../shaders/lib/broadcast-tile.wgsl?raw';
import convBuffers from '../../shaders/lib/conv-buffers.wgsl?raw';
import convParams from '../../shaders/lib/conv-params.wgsl?raw';
import convPixel from '../../shaders/lib/conv-pixel.wgsl?raw';
import convRegisters from '../../shaders/lib/conv-registers.wgsl?raw';
import keepNan from '../../shaders/lib/keep-nan.wgsl?raw';
import pixelBlocks from '../../shaders/lib/pixel-blocks.wgsl?raw';
import registerTile from '../../shaders/lib/register-tile.wgsl?raw';
import broadcast from '../../shaders/lib/subgroup-broadcast.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { checkWindow } from '../gpu/window.ts';
import { conv2dBindings, conv2dParams } from './lib/params.ts';

/**
 * f32 convolution whose subgroups load weights together, epilogue fused; shapes in
 * `shaders/conv2d-broadcast.wgsl`.
 *
 * @example
 * const kernel = await kernels.conv2dBroadcast.create(device);
 * // 3x3 over a 32 x 32 image, four channels to 64, and a ReLU6
 * kernel.bind({ input, weights, scale, shift, output }, {
 *   inputHeight: 32, inputWidth: 32, outputHeight: 32, outputWidth: 32, kernelHeight: 3, kernelWidth: 3,
 *   strideHeight: 1, strideWidth: 1, dilationHeight: 1, dilationWidth: 1, padTop: 1, padLeft: 1,
 *   pixelCount: 1024, inputVectors: 1, outputVectors: 16, groupVectors: 1, groupTiles: 2, tileCount: 2, pool: 0,
 *   low: 0, high: 6,
 * }).encode(pass);
 */
export const conv2dBroadcastKernel = /* @__PURE__ */ defineKernel({
  name: 'conv2d-broadcast',
  wgsl: [
    broadcast,
    keepNan,
    convParams,
    convBuffers,
    convPixel,
    pixelBlocks,
    registerTile,
    convRegisters,
    broadcastTile,
    affineTile,
    source,
  ],
  bindings: conv2dBindings,
  params: conv2dParams,
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [8, 16, 32, 64] } },
  constants: {
    LANES: ['4u', '8u'],
    TILE_PIXELS: ['4u', '8u'],
    TILE_VECTORS: ['4u', '8u'],
  },
  requires: ['subgroups'],
  check: checkWindow,
  workgroups: ({ pixelCount, tileCount }, { WORKGROUP_SIZE, TILE_PIXELS = 4 }) =>
    Math.ceil(pixelCount / (TILE_PIXELS * WORKGROUP_SIZE)) * tileCount,
});
