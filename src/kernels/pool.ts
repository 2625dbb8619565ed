import elementNan from '../../shaders/lib/element-nan.wgsl?raw';
import source from '../../shaders/pool.wgsl?raw';
import { merged } from '../gpu/declaration.ts';
import { defineKernel } from '../gpu/kernel.ts';
import { checkWindow } from '../gpu/window.ts';
import { spatial, u32s } from './lib/params.ts';

/**
 * Maximum or average of windows, channels first; see shaders/pool.wgsl.
 *
 * @example
 * const kernel = await kernels.pool.create(device, { OP: 0 });
 * // 3x3, every second pixel, over twelve 5 x 5 images: the maximum
 * kernel.bind({ input, output }, {
 *   count: 108, inputDepth: 1, inputHeight: 5, inputWidth: 5, outputDepth: 1, outputHeight: 3, outputWidth: 3,
 *   kernelDepth: 1, kernelHeight: 3, kernelWidth: 3, strideDepth: 1, strideHeight: 2, strideWidth: 2,
 *   dilationDepth: 1, dilationHeight: 1, dilationWidth: 1, padDepth: 0, padHeight: 1, padWidth: 1, endDepth: 1,
 *   endHeight: 7, endWidth: 7, indexStrideDepth: 0, indexStrideHeight: 5, indexStrideWidth: 1,
 * }).encode(pass);
 */
export const pool = /* @__PURE__ */ defineKernel({
  name: 'pool',
  wgsl: [elementNan, source],
  bindings: {
    input: { access: 'read', type: 'f32' },
    output: { access: 'write', type: 'u32' },
  },
  params: /* @__PURE__ */ merged(
    /* @__PURE__ */ u32s('count'),
    /* @__PURE__ */ spatial('input', 'output', 'kernel', 'stride', 'dilation', 'pad', 'end', 'indexStride'),
  ),
  overrides: {
    OP: { default: 1, allowed: [0, 1, 2] },
    IS_FLOAT: { default: 1, allowed: [0, 1] },
    COUNT_PADS: { default: 0, allowed: [0, 1] },
    WORKGROUP_SIZE: { default: 64, allowed: [32, 64, 128, 256] },
  },
  constants: { Element: ['f32', 'i32'] },
  check: checkWindow,
  workgroups: ({ count }, { WORKGROUP_SIZE }) => Math.ceil(count / WORKGROUP_SIZE),
});
