import source from '../../shaders/add.wgsl?raw';
import keepNan from '../../shaders/lib/keep-nan.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/**
 * Adds two f32 tensors and clamps; see shaders/add.wgsl.
 *
 * @example
 * const kernel = await kernels.add.create(device); // 600 floats, and a ReLU
 * kernel.bind({ a, b, output }, { count: 150, low: 0, high: 3.4e38 }).encode(pass);
 */
export const add = /* @__PURE__ */ defineKernel({
  name: 'add',
  wgsl: [keepNan, source],
  bindings: {
    a: { access: 'read', type: 'vec4f' },
    b: { access: 'read', type: 'vec4f' },
    output: { access: 'write', type: 'vec4f' },
  },
  params: { count: 'u32', low: 'f32', high: 'f32' },
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [32, 64, 128, 256] } },
  workgroups: ({ count }, { WORKGROUP_SIZE }) => Math.ceil(count / WORKGROUP_SIZE),
});
