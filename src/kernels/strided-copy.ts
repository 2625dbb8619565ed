import source from '../../shaders/strided-copy.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/**
 * Moves words between strides, with padding and gathering; see shaders/strided-copy.wgsl.
 *
 * @example
 * const kernel = await kernels.stridedCopy.create(device); // 300 words along three axes
 * kernel.bind({ input, indices, axes, windows, fill, output }, {
 *   count: 300, rank: 3, inputOffset: 0, outputOffset: 0,
 * }).encode(pass);
 */
export const stridedCopy = /* @__PURE__ */ defineKernel({
  name: 'strided-copy',
  wgsl: [source],
  bindings: {
    input: { access: 'read', type: 'u32' },
    indices: { access: 'read', type: 'i32' },
    axes: { access: 'read', type: 'vec4i' },
    windows: { access: 'read', type: 'vec4i' },
    fill: { access: 'read', type: 'u32' },
    output: { access: 'write', type: 'u32' },
  },
  params: { count: 'u32', rank: 'u32', inputOffset: 'i32', outputOffset: 'i32' },
  overrides: {
    WINDOWED: { default: 0, allowed: [0, 1] },
    WORKGROUP_SIZE: { default: 64, allowed: [32, 64, 128, 256] },
  },
  workgroups: ({ count }, { WORKGROUP_SIZE }) => Math.ceil(count / WORKGROUP_SIZE),
});
