import source from '../../shaders/observe-histogram.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/**
 * A tensor's values counted in 4096 bins of equal width around 0, as wide as its extremes want; shapes in
 * `shaders/observe-histogram.wgsl`.
 *
 * @example
 * const observe = await kernels.observeHistogram.create(device);
 * observe.bind({ input, minimum, maximum, counts }, { count, rowLength: 1, channels: 1, slices: 1 }).encode(pass);
 */
export const observeHistogramKernel = /* @__PURE__ */ defineKernel({
  name: 'observe-histogram',
  wgsl: [source],
  bindings: {
    input: { access: 'read', type: 'u32' },
    minimum: { access: 'read', type: 'u32' },
    maximum: { access: 'read', type: 'u32' },
    counts: { access: 'write', type: 'u32' },
  },
  params: { count: 'u32', rowLength: 'u32', channels: 'u32', slices: 'u32' },
  overrides: {
    WORKGROUP_SIZE: { default: 256, allowed: [32, 64, 128, 256] },
  },
  workgroups: ({ slices }) => slices,
});
