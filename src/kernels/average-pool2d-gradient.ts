import source from '../../shaders/average-pool2d-gradient.wgsl?raw';
import coveringWindow from '../../shaders/lib/covering-window.wgsl?raw';
import poolGradient from '../../shaders/lib/pool-gradient.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { checkWindowGradient } from '../gpu/window.ts';
import { averagePool2dGradientParams } from './lib/params.ts';

/**
 * Gradient of average pooling by its input; shapes in `shaders/average-pool2d-gradient.wgsl`.
 *
 * @example
 * const kernel = await kernels.averagePool2dGradient.create(device);
 * // of 2x2 windows over two 6 x 6 images of 12 channels
 * kernel.bind({ gradient, inputGradient }, {
 *   batch: 2, height: 6, width: 6, outputHeight: 3, outputWidth: 3, kernelHeight: 2, kernelWidth: 2,
 *   strideHeight: 2, strideWidth: 2, padTop: 0, padLeft: 0, channelVectors: 3,
 * }).encode(pass);
 */
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
