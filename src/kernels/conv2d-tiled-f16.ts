import source from '../../shaders/conv2d-tiled-f16.wgsl?raw';
import convParams from '../../shaders/lib/conv-params.wgsl?raw';
import convPixel from '../../shaders/lib/conv-pixel.wgsl?raw';
import enableF16 from '../../shaders/lib/enable-f16.wgsl?raw';
import keepNan from '../../shaders/lib/keep-nan.wgsl?raw';
import stagedTile from '../../shaders/lib/staged-tile.wgsl?raw';
import tiledFloat from '../../shaders/lib/tiled-float.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { conv2dTiledKernel } from './conv2d-tiled.ts';

const { bindings, params, constants, check, workgroups } = conv2dTiledKernel.declaration;

/** Convolution for GPUs with f16 products and f32 sums; shapes in `shaders/conv2d-tiled-f16.wgsl`. */
export const conv2dTiledF16Kernel = defineKernel({
  name: 'conv2d-tiled-f16',
  wgsl: [enableF16, keepNan, convParams, convPixel, stagedTile, tiledFloat, source],
  bindings: { ...bindings, weights: { access: 'read', type: 'vec4h' } },
  params,
  constants,
  requires: ['shader-f16'],
  check,
  workgroups,
});
