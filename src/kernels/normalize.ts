import source from '../../shaders/normalize.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

const FLAG = { default: 0, allowed: [0, 1] };

/**
 * Normalization by own or given statistics; see shaders/normalize.wgsl.
 *
 * @example
 * const kernel = await kernels.normalize.create(device); // twelve rows of 25, a scale and a bias an element
 * kernel.bind({ input, scale, bias, means, variances, output, statistics }, {
 *   groups: 12, size: 25, scaleInners: 1, scaleCount: 25, epsilon: 1e-5,
 * }).encode(pass);
 */
export const normalize = /* @__PURE__ */ defineKernel({
  name: 'normalize',
  wgsl: [source],
  bindings: {
    input: { access: 'read', type: 'f32' },
    scale: { access: 'read', type: 'f32' },
    bias: { access: 'read', type: 'f32' },
    means: { access: 'read', type: 'f32' },
    variances: { access: 'read', type: 'f32' },
    output: { access: 'write', type: 'f32' },
    statistics: { access: 'write', type: 'f32' },
  },
  params: { groups: 'u32', size: 'u32', scaleInners: 'u32', scaleCount: 'u32', epsilon: 'f32' },
  overrides: {
    GIVEN: FLAG,
    CENTERED: { default: 1, allowed: [0, 1] },
    HAS_BIAS: { default: 1, allowed: [0, 1] },
    STATISTICS: FLAG,
    LANES: { default: 1, allowed: [1, 64] },
    WORKGROUP_SIZE: { default: 64, allowed: [64, 128, 256] },
  },
  workgroups: ({ groups }, { LANES, WORKGROUP_SIZE }) => Math.ceil((groups * LANES) / WORKGROUP_SIZE),
});
