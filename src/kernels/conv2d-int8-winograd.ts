import source from '../../shaders/conv2d-int8-winograd.wgsl?raw';
import convParams from '../../shaders/lib/conv-int8-params.wgsl?raw';
import exactFloat from '../../shaders/lib/exact-float.wgsl?raw';
import epilogue from '../../shaders/lib/int8-epilogue.wgsl?raw';
import narrowWeights from '../../shaders/lib/narrow-weights.wgsl?raw';
import requantize from '../../shaders/lib/requantize.wgsl?raw';
import broadcast from '../../shaders/lib/subgroup-broadcast.wgsl?raw';
import texels from '../../shaders/lib/texels.wgsl?raw';
import { merged } from '../gpu/declaration.ts';
import { defineKernel, TEXELS } from '../gpu/kernel.ts';
import { conv2dInt8Bindings, conv2dInt8Params } from '../gpu/params.ts';
import { checkWindow } from '../gpu/window.ts';

/**
 * int8 convolution by Winograd's F(2, 3) in exact integers, epilogue fused; geometries and shapes in
 * `shaders/conv2d-int8-winograd.wgsl`.
 */
export const conv2dInt8WinogradKernel = /* @__PURE__ */ defineKernel({
  name: 'conv2d-int8-winograd',
  wgsl: [broadcast, exactFloat, requantize, narrowWeights, texels, epilogue, convParams, source],
  bindings: /* @__PURE__ */ merged(conv2dInt8Bindings, {
    input: { access: 'read', type: TEXELS },
    weights: { access: 'read', type: TEXELS },
  }),
  params: conv2dInt8Params,
  overrides: { WORKGROUP_SIZE: { default: 16, allowed: [8, 16, 32, 64] } },
  constants: {
    LANES: ['4u', '8u'],
    TILE_VECTORS: ['4u', '8u'],
    POOL: ['0u', '1u'],
    OUTPUT: ['0u', '1u', '2u'],
    WEIGHT_BITS: ['8u', '4u', '2u'],
    REQUANTIZE: [],
  },
  requires: ['subgroups'],
  check: checkWindow,
  workgroups: ({ pixelCount, tileCount }, { WORKGROUP_SIZE }) =>
    Math.ceil(pixelCount / (8 * WORKGROUP_SIZE)) * tileCount,
});
