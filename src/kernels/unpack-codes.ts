import source from '../../shaders/unpack-codes.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/**
 * A dense stream of BITS-bit codes to one code a byte, sign-extended if SIGNED; layouts in `shaders/unpack-codes.wgsl`.
 *
 * @example
 * (await kernels.unpackCodes.create(device, { BITS: 3 })).bind({ input, output }, { count }).encode(pass);
 */
export const unpackCodesKernel = /* @__PURE__ */ defineKernel({
  name: 'unpack-codes',
  wgsl: [source],
  bindings: {
    input: { access: 'read', type: 'u32' },
    output: { access: 'write', type: 'u32' },
  },
  params: { count: 'u32' },
  overrides: {
    WORKGROUP_SIZE: { default: 256, allowed: [32, 64, 128, 256] },
    BITS: { default: 4, allowed: [1, 2, 3, 4, 5, 6, 7, 8] },
    SIGNED: { default: 1, allowed: [0, 1] },
  },
  workgroups: ({ count }, { WORKGROUP_SIZE }) => Math.ceil(count / 4 / WORKGROUP_SIZE),
});
