import source from '../../shaders/pack-codes.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/**
 * One code a byte to a dense stream of BITS-bit codes, lowest bit first; layouts in `shaders/pack-codes.wgsl`.
 *
 * @example
 * (await kernels.packCodes.create(device, { BITS: 3 })).bind({ input, output }, { count }).encode(pass);
 */
export const packCodesKernel = /* @__PURE__ */ defineKernel({
  name: 'pack-codes',
  wgsl: [source],
  bindings: {
    input: { access: 'read', type: 'u32' },
    output: { access: 'write', type: 'u32' },
  },
  params: { count: 'u32' },
  overrides: {
    WORKGROUP_SIZE: { default: 256, allowed: [32, 64, 128, 256] },
    BITS: { default: 4, allowed: [1, 2, 3, 4, 5, 6, 7, 8] },
  },
  workgroups: ({ count }, { BITS, WORKGROUP_SIZE }) => Math.ceil((count * BITS) / 32 / WORKGROUP_SIZE),
});
