import source from '../../shaders/step-size-gradient.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/**
 * The learned step size's gradient, in split sums a channel; shapes in `shaders/step-size-gradient.wgsl`.
 *
 * @example
 * const kernel = await kernels.stepSizeGradient.create(device); // 432 weights of twelve channels, at four bits
 * kernel.bind({ input, gradient, qparams, partial }, {
 *   count: 432, block: 36, lanes: 1, quantMin: -8, quantMax: 7, chunk: 36, gradientScale: 0.25,
 * }).encode(pass);
 */
export const stepSizeGradientKernel = /* @__PURE__ */ defineKernel({
  name: 'step-size-gradient',
  wgsl: [source],
  bindings: {
    input: { access: 'read', type: 'f32' },
    gradient: { access: 'read', type: 'f32' },
    qparams: { access: 'read', type: 'vec2f' },
    partial: { access: 'write', type: 'vec2f' },
  },
  params: {
    count: 'u32',
    block: 'u32',
    lanes: 'u32',
    chunk: 'u32',
    quantMin: 'f32',
    quantMax: 'f32',
    gradientScale: 'f32',
  },
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [8, 16, 32, 64, 128, 256] } },
  workgroups: ({ count, block, lanes, chunk }, { WORKGROUP_SIZE }) =>
    Math.ceil(((count / block) * lanes * Math.ceil(block / lanes / chunk)) / WORKGROUP_SIZE),
});
