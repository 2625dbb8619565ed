import source from '../../shaders/conv2d-int8-tiled.wgsl?raw';
import convPixel from '../../shaders/lib/conv-pixel.wgsl?raw';
import exactFloat from '../../shaders/lib/exact-float.wgsl?raw';
import int8Buffers from '../../shaders/lib/int8-buffers.wgsl?raw';
import epilogue from '../../shaders/lib/int8-epilogue.wgsl?raw';
import narrowWeights from '../../shaders/lib/narrow-weights.wgsl?raw';
import packedWeights from '../../shaders/lib/packed-weights.wgsl?raw';
import requantize from '../../shaders/lib/requantize.wgsl?raw';
import stagedTile from '../../shaders/lib/staged-tile.wgsl?raw';
import { merged } from '../gpu/declaration.ts';
import { defineKernel } from '../gpu/kernel.ts';
import { conv2dInt8Bindings, conv2dInt8Params } from '../gpu/params.ts';
import { checkWindow } from '../gpu/window.ts';

/** int8 convolution and matrix product for GPUs, staged in workgroup memory; shapes in `shaders/conv2d-int8-tiled.wgsl`. */
export const conv2dInt8TiledKernel = /* @__PURE__ */ defineKernel({
  name: 'conv2d-int8-tiled',
  wgsl: [
    exactFloat,
    requantize,
    narrowWeights,
    packedWeights,
    epilogue,
    int8Buffers,
    convPixel,
    stagedTile,
    source,
  ],
  bindings: conv2dInt8Bindings,
  params: /* @__PURE__ */ merged(conv2dInt8Params, { splits: 'u32' }),
  constants: {
    TILE_PIXELS: ['16u', '32u', '64u', '128u'],
    TILE_VECTORS: ['8u', '16u', '32u'],
    TILE_WORDS: ['8u', '16u', '32u'],
    THREAD_PIXELS: ['4u', '8u'],
    THREAD_VECTORS: ['1u', '2u'],
    WORD_RUN: ['1u', '2u', '4u'],
    BUFFERS: ['1u', '2u'],
    POOL: ['0u', '1u'],
    OUTPUT: ['0u', '1u', '2u'],
    SPLIT: ['0u', '1u'],
    WEIGHT_BITS: ['8u', '4u', '2u'],
    REQUANTIZE: [],
  },
  check: checkWindow,
  workgroups: ({ pixelCount, tileCount, splits }, { TILE_PIXELS = 64 }) =>
    Math.ceil(pixelCount / TILE_PIXELS) * tileCount * splits,
});
