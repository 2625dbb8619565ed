import source from '../../shaders/conv2d-tiled.wgsl?raw';
import convBuffers from '../../shaders/lib/conv-buffers.wgsl?raw';
import convParams from '../../shaders/lib/conv-params.wgsl?raw';
import convPixel from '../../shaders/lib/conv-pixel.wgsl?raw';
import keepNan from '../../shaders/lib/keep-nan.wgsl?raw';
import stagedTile from '../../shaders/lib/staged-tile.wgsl?raw';
import tiledFloat from '../../shaders/lib/tiled-float.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { conv2dBindings, conv2dParams } from '../gpu/params.ts';
import { checkWindow } from '../gpu/window.ts';

/** f32 convolution for GPUs, staged in workgroup memory; shapes in `shaders/conv2d-tiled.wgsl`. */
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
    POOL: ['0u', '1u'],
  },
  check: checkWindow,
  workgroups: ({ pixelCount, tileCount }, { TILE_PIXELS = 64 }) =>
    Math.ceil(pixelCount / TILE_PIXELS) * tileCount,
});
