import source from '../../shaders/conv2d-unrolled-broadcast.wgsl?raw';
import affineUnrolled from '../../shaders/lib/affine-unrolled.wgsl?raw';
import convBuffers from '../../shaders/lib/conv-buffers.wgsl?raw';
import convParams from '../../shaders/lib/conv-params.wgsl?raw';
import convPixel from '../../shaders/lib/conv-pixel.wgsl?raw';
import convUnrolled from '../../shaders/lib/conv-unrolled.wgsl?raw';
import keepNan from '../../shaders/lib/keep-nan.wgsl?raw';
import pixelBlocks from '../../shaders/lib/pixel-blocks.wgsl?raw';
import broadcast from '../../shaders/lib/subgroup-broadcast.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { conv2dBindings, conv2dParams } from '../gpu/params.ts';
import { checkWindow } from '../gpu/window.ts';

/** f32 convolution without private arrays whose subgroups load weights together; shapes in `shaders/conv2d-unrolled-broadcast.wgsl`. */
export const conv2dUnrolledBroadcastKernel = /* @__PURE__ */ defineKernel({
  name: 'conv2d-unrolled-broadcast',
  wgsl: [
    broadcast,
    keepNan,
    convParams,
    convBuffers,
    convPixel,
    pixelBlocks,
    convUnrolled,
    affineUnrolled,
    source,
  ],
  bindings: conv2dBindings,
  params: conv2dParams,
  overrides: { WORKGROUP_SIZE: { default: 8, allowed: [8, 16, 32, 64] } },
  constants: { POOL: ['0u', '1u'] },
  requires: ['subgroups'],
  check: checkWindow,
  workgroups: ({ pixelCount, tileCount }, { WORKGROUP_SIZE }) =>
    Math.ceil(pixelCount / (4 * WORKGROUP_SIZE)) * tileCount,
});
