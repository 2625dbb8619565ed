import source from '../../shaders/fake-quantize.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/**
 * Quantizes and dequantizes at once, per channel; shapes in `shaders/fake-quantize.wgsl`.
 *
 * @example
 * const kernel = await kernels.fakeQuantize.create(device); // 432 weights of twelve channels, at four bits
 * kernel.bind({ input, qparams, output }, {
 *   count: 432, block: 36, lanes: 1, quantMin: -8, quantMax: 7,
 * }).encode(pass);
 */
export const fakeQuantizeKernel = /* @__PURE__ */ defineKernel({
  name: 'fake-quantize',
  wgsl: [source],
  bindings: {
    input: { access: 'read', type: 'f32' },
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
