import source from '../../shaders/batch-norm-gradient.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/**
 * Gradient of batch norm and its clamp by their input; shapes in `shaders/batch-norm-gradient.wgsl`.
 *
 * @example
 * const kernel = await kernels.batchNormGradient.create(device); // 72 pixels of eight channels, behind a ReLU
 * kernel.bind({ input, gradient, statistics, affine, sums, output }, {
 *   pixelCount: 72, vectors: 2, low: 0, high: 3.4e38, frozen: 0,
 * }).encode(pass);
 */
export const batchNormGradientKernel = /* @__PURE__ */ defineKernel({
  name: 'batch-norm-gradient',
  wgsl: [source],
  bindings: {
    input: { access: 'read', type: 'vec4f' },
    gradient: { access: 'read', type: 'vec4f' },
    statistics: { access: 'read', type: 'vec4f' },
    affine: { access: 'read', type: 'vec4f' },
    sums: { access: 'read', type: 'vec4f' },
    output: { access: 'write', type: 'vec4f' },
  },
  params: {
    pixelCount: 'u32',
    vectors: 'u32',
    low: 'f32',
    high: 'f32',
    frozen: 'u32',
  },
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [8, 16, 32, 64, 128, 256] } },
  workgroups: ({ pixelCount, vectors }, { WORKGROUP_SIZE }) =>
    Math.ceil((pixelCount * vectors) / WORKGROUP_SIZE),
});
