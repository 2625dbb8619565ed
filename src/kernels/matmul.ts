import source from '../../shaders/matmul.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/**
 * Product of batched matrices; see shaders/matmul.wgsl.
 *
 * @example
 * const kernel = await kernels.matmul.create(device, { Element: 'i32' }); // 9 x 11 by 11 x 13 int32
 * kernel.bind({ a, b, c, pairs, output }, {
 *   batches: 1, M: 9, N: 13, K: 11, alpha: 1, beta: 1, aRowStride: 11, aColumnStride: 1, bRowStride: 13,
 *   bColumnStride: 1, cRowStride: 0, cColumnStride: 0,
 * }).encode(pass);
 */
export const matmul = /* @__PURE__ */ defineKernel({
  name: 'matmul',
  wgsl: [source],
  bindings: {
    a: { access: 'read', type: 'f32' },
    b: { access: 'read', type: 'f32' },
    c: { access: 'read', type: 'f32' },
    pairs: { access: 'read', type: 'vec2u' },
    output: { access: 'write', type: 'f32' },
  },
  params: {
    batches: 'u32',
    M: 'u32',
    N: 'u32',
    K: 'u32',
    aRowStride: 'u32',
    aColumnStride: 'u32',
    bRowStride: 'u32',
    bColumnStride: 'u32',
    cRowStride: 'u32',
    cColumnStride: 'u32',
    alpha: 'f32',
    beta: 'f32',
  },
  overrides: { HAS_ADDEND: { default: 0, allowed: [0, 1] } },
  constants: { Element: ['f32', 'i32', 'u32'] },
  workgroups: ({ batches, M, N }) => batches * Math.ceil(M / 32) * Math.ceil(N / 32),
});
