import source from '../../shaders/conv2d-tiled-codebook.wgsl?raw';
import convParams from '../../shaders/lib/conv-params.wgsl?raw';
import convPixel from '../../shaders/lib/conv-pixel.wgsl?raw';
import keepNan from '../../shaders/lib/keep-nan.wgsl?raw';
import stagedTile from '../../shaders/lib/staged-tile.wgsl?raw';
import tiledFloat from '../../shaders/lib/tiled-float.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { conv2dTiledKernel } from './conv2d-tiled.ts';

const { bindings, params, constants, check, workgroups } = conv2dTiledKernel.declaration;
const { input, scale, shift, output } = bindings;

/** f32 convolution for GPUs that expands codebook weights while it stages them; shapes in `shaders/conv2d-tiled-codebook.wgsl`. */
export const conv2dTiledCodebookKernel = defineKernel({
  name: 'conv2d-tiled-codebook',
  wgsl: [keepNan, convParams, convPixel, stagedTile, tiledFloat, source],
  bindings: {
    input,
    codes: { access: 'read', type: 'u32' },
    codebook: { access: 'read', type: 'f32' },
    scale,
    shift,
    output,
  },
  params,
  constants: { ...constants, CODE_BITS: ['8u', '4u', '2u', '1u'] },
  check,
  workgroups,
});
