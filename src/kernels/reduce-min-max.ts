import source from '../../shaders/reduce-min-max.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/**
 * Smallest and largest f32 of the whole tensor, of each index of an axis, or of each group; segment s holds the
 * elements with `(i / axisStride) % axisSize == s`. Exact; two-stage use in `shaders/reduce-min-max.wgsl`.
 *
 * @example
 * const reduce = await kernels.reduceMinMax.create(device);
 * reduce.bind({ input, minimum, maximum }, { count, axisSize: 64, axisStride: count / 64, slices: 1 }).encode(pass);
 */
export const reduceMinMaxKernel = /* @__PURE__ */ defineKernel({
  name: 'reduce-min-max',
  wgsl: [source],
  bindings: {
    input: { access: 'read', type: 'u32' },
    minimum: { access: 'write', type: 'u32' },
    maximum: { access: 'write', type: 'u32' },
  },
  params: { count: 'u32', axisSize: 'u32', axisStride: 'u32', slices: 'u32' },
  overrides: {
    WORKGROUP_SIZE: { default: 256, allowed: [32, 64, 128, 256] },
  },
  workgroups: ({ axisSize, slices }) => axisSize * slices,
});
