import source from '../../shaders/fake-quantize-gradient.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/**
 * The straight-through estimator of fake-quantize; shapes in `shaders/fake-quantize-gradient.wgsl`.
 *
 * @example
 * const kernel = await kernels.fakeQuantizeGradient.create(device); // 432 weights of twelve channels, at four bits
 * kernel.bind({ input, gradient, qparams, output }, {
 *   count: 432, block: 36, lanes: 1, quantMin: -8, quantMax: 7,
 * }).encode(pass);
 */
export const fakeQuantizeGradientKernel = /* @__PURE__ */ defineKernel({
  name: 'fake-quantize-gradient',
  wgsl: [source],
  bindings: {
    input: { access: 'read', type: 'f32' },
    gradient: { access: 'read', type: 'f32' },
    qparams: { access: 'read', type: 'vec2f' },
    output: { access: 'write', type: 'f32' },
  },
  params: {
    count: 'u32',
    block: 'u32',
    lanes: 'u32',
    quantMin: 'f32',
    quantMax: 'f32',
  },
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [8, 16, 32, 64, 128, 256] } },
  workgroups: ({ count }, { WORKGROUP_SIZE }) => Math.ceil(count / WORKGROUP_SIZE),
});
