import source from '../../shaders/moving-average.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/**
 * Moves an average towards values by the schedule's rate; shapes in `shaders/moving-average.wgsl`.
 *
 * @example
 * const kernel = await kernels.movingAverage.create(device); // 432 values by the rate of schedule entry 0
 * kernel.bind({ schedule, values, average }, { count: 432, entry: 0 }).encode(pass);
 */
export const movingAverageKernel = /* @__PURE__ */ defineKernel({
  name: 'moving-average',
  wgsl: [source],
  bindings: {
    schedule: { access: 'read', type: 'f32' },
    values: { access: 'read', type: 'f32' },
    average: { access: 'write', type: 'f32' },
  },
  params: { count: 'u32', entry: 'u32' },
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [8, 16, 32, 64, 128, 256] } },
  workgroups: ({ count }, { WORKGROUP_SIZE }) => Math.ceil(count / WORKGROUP_SIZE),
});
