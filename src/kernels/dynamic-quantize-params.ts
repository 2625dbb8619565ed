import source from '../../shaders/dynamic-quantize-params.wgsl?raw';
import exactFloat from '../../shaders/lib/exact-float.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/**
 * Scale and uint8 zero point of a tensor's range; see shaders/dynamic-quantize-params.wgsl.
 *
 * @example
 * const kernel = await kernels.dynamicQuantizeParams.create(device); // of 480 floats
 * kernel.bind({ input, scale, zeroPoint }, { count: 480 }).encode(pass);
 */
export const dynamicQuantizeParams = /* @__PURE__ */ defineKernel({
  name: 'dynamic-quantize-params',
  wgsl: [exactFloat, source],
  bindings: {
    input: { access: 'read', type: 'u32' },
    scale: { access: 'write', type: 'u32' },
    zeroPoint: { access: 'write', type: 'i32' },
  },
  params: { count: 'u32' },
  overrides: { WORKGROUP_SIZE: { default: 256, allowed: [32, 64, 128, 256] } },
  workgroups: () => 1,
});
