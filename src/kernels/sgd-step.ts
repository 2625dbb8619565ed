import source from '../../shaders/sgd-step.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/**
 * One step of SGD with momentum or Nesterov's; shapes in `shaders/sgd-step.wgsl`.
 *
 * @example
 * const kernel = await kernels.sgdStep.create(device); // 432 weights, Nesterov
 * kernel.bind({ gradient, schedule, weights, velocity }, {
 *   first: 0, count: 432, nesterov: 1, momentum: 0.9, weightDecay: 0.0005,
 * }).encode(pass);
 */
export const sgdStepKernel = /* @__PURE__ */ defineKernel({
  name: 'sgd-step',
  wgsl: [source],
  bindings: {
    gradient: { access: 'read', type: 'f32' },
    schedule: { access: 'read', type: 'f32' },
    weights: { access: 'write', type: 'f32' },
    velocity: { access: 'write', type: 'f32' },
  },
  params: {
    first: 'u32',
    count: 'u32',
    nesterov: 'u32',
    momentum: 'f32',
    weightDecay: 'f32',
  },
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [8, 16, 32, 64, 128, 256] } },
  workgroups: ({ count }, { WORKGROUP_SIZE }) => Math.ceil(count / WORKGROUP_SIZE),
});
