import source from '../../shaders/conv2d-tiled-codebook.wgsl?raw';
import convParams from '../../shaders/lib/conv-params.wgsl?raw';
import convPixel from '../../shaders/lib/conv-pixel.wgsl?raw';
import keepNan from '../../shaders/lib/keep-nan.wgsl?raw';
import tiledFloat from '../../shaders/lib/tiled-float.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { conv2dKernel } from './conv2d.ts';

const { bindings, params, check } = conv2dKernel.declaration;
const { input, scale, shift, output } = bindings;

/** f32 convolution for GPUs that expands codebook weights while it stages them; shapes in `shaders/conv2d-tiled-codebook.wgsl`. */
export const conv2dTiledCodebookKernel = defineKernel({
  name: 'conv2d-tiled-codebook',
  wgsl: [keepNan, convPixel, tiledFloat, convParams, source],
  bindings: {
    input,
    codes: { access: 'read', type: 'u32' },
    codebook: { access: 'read', type: 'f32' },
    scale,
    shift,
    output,
  },
  params,
  constants: {
    TILE_PIXELS: ['16u', '32u', '64u', '128u'],
    TILE_VECTORS: ['8u', '16u', '32u'],
    TILE_WORDS: ['4u', '8u', '16u'],
    THREAD_PIXELS: ['4u', '8u'],
    THREAD_VECTORS: ['1u', '2u'],
    BUFFERS: ['1u', '2u'],
    POOL: ['0u', '1u'],
    CODE_BITS: ['8u', '4u', '2u', '1u'],
  },
  check,
  workgroups: ({ pixelCount, tileCount }, { TILE_PIXELS = 64 }) =>
    Math.ceil(pixelCount / TILE_PIXELS) * tileCount,
});
