import source from '../../shaders/depthwise-conv2d.wgsl?raw';
import convBuffers from '../../shaders/lib/conv-buffers.wgsl?raw';
import convParams from '../../shaders/lib/conv-params.wgsl?raw';
import depthwise from '../../shaders/lib/depthwise.wgsl?raw';
import keepNan from '../../shaders/lib/keep-nan.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { conv2dBindings, conv2dParams } from '../gpu/params.ts';
import { checkWindow } from '../gpu/window.ts';

/** f32 convolution of each channel by its own filter, with affine epilogue, clamp and 2x2 max-pool fused; shapes in `shaders/depthwise-conv2d.wgsl`. */
export const depthwiseConv2dKernel = /* @__PURE__ */ defineKernel({
  name: 'depthwise-conv2d',
  wgsl: [keepNan, convParams, convBuffers, depthwise, source],
  bindings: conv2dBindings,
  params: conv2dParams,
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [8, 16, 32, 64, 128, 256] } },
  constants: { POOL: ['0u', '1u'], MULTIPLIER: [] },
  check: checkWindow,
  workgroups: ({ pixelCount, outputWidth, outputVectors }, { WORKGROUP_SIZE, POOL = 0 }) => {
    const strips = POOL === 1 ? pixelCount / 4 : (pixelCount / outputWidth) * Math.ceil(outputWidth / 4);
    return Math.ceil((strips * outputVectors) / WORKGROUP_SIZE);
  },
});
