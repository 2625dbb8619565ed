import source from '../../shaders/observe-range.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/**
 * A moving-average observer of one tensor's range and qparams; shapes in `shaders/observe-range.wgsl`.
 *
 * @example
 * const kernel = await kernels.observeRange.create(device); // a quarter of the way to what was seen, as int8
 * kernel.bind({ minimum, maximum, range, qparams }, {
 *   momentum: 0.25, quantMin: -128, quantMax: 127,
 * }).encode(pass);
 */
export const observeRangeKernel = /* @__PURE__ */ defineKernel({
  name: 'observe-range',
  wgsl: [source],
  bindings: {
    minimum: { access: 'read', type: 'f32' },
    maximum: { access: 'read', type: 'f32' },
    range: { access: 'write', type: 'vec2f' },
    qparams: { access: 'write', type: 'vec2f' },
  },
  params: { momentum: 'f32', quantMin: 'f32', quantMax: 'f32' },
  workgroups: () => 1,
});
