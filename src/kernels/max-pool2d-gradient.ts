import coveringWindow from '../../shaders/lib/covering-window.wgsl?raw';
import poolGradient from '../../shaders/lib/pool-gradient.wgsl?raw';
import source from '../../shaders/max-pool2d-gradient.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { averagePool2dGradientKernel } from './average-pool2d-gradient.ts';

const { params, check } = averagePool2dGradientKernel.declaration;

/** Gradient of max pooling by its input; shapes in `shaders/max-pool2d-gradient.wgsl`. */
export const maxPool2dGradientKernel = defineKernel({
  name: 'max-pool2d-gradient',
  wgsl: [coveringWindow, poolGradient, source],
  bindings: {
    input: { access: 'read', type: 'vec4f' },
    gradient: { access: 'read', type: 'vec4f' },
    inputGradient: { access: 'write', type: 'vec4f' },
  },
  params,
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [8, 16, 32, 64, 128, 256] } },
  check,
  workgroups: ({ batch, height, width, channelVectors }, { WORKGROUP_SIZE }) =>
    Math.ceil((batch * height * width * channelVectors) / WORKGROUP_SIZE),
});
