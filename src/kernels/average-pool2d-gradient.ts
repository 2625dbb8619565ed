import source from '../../shaders/average-pool2d-gradient.wgsl?raw';
import coveringWindow from '../../shaders/lib/covering-window.wgsl?raw';
import poolGradient from '../../shaders/lib/pool-gradient.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { averagePool2dGradientParams } from '../gpu/params.ts';
import { checkWindowGradient } from '../gpu/window.ts';

/** Gradient of average pooling by its input; shapes in `shaders/average-pool2d-gradient.wgsl`. */
export const averagePool2dGradientKernel = /* @__PURE__ */ defineKernel({
  name: 'average-pool2d-gradient',
  wgsl: [coveringWindow, poolGradient, source],
  bindings: {
    gradient: { access: 'read', type: 'vec4f' },
    inputGradient: { access: 'write', type: 'vec4f' },
  },
  params: averagePool2dGradientParams,
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [8, 16, 32, 64, 128, 256] } },
  check: checkWindowGradient,
  workgroups: ({ batch, height, width, channelVectors }, { WORKGROUP_SIZE }) =>
    Math.ceil((batch * height * width * channelVectors) / WORKGROUP_SIZE),
});
