import elementNan from '../../shaders/lib/element-nan.wgsl?raw';
import source from '../../shaders/pool.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';
import { checkWindow } from '../gpu/window.ts';

/** Maximum or average of windows, channels first; see shaders/pool.wgsl. */
export const pool = /* @__PURE__ */ defineKernel({
  name: 'pool',
  wgsl: [elementNan, source],
  bindings: {
    input: { access: 'read', type: 'f32' },
    output: { access: 'write', type: 'u32' },
  },
  params: {
    ...({
      count: 'u32',
      inputDepth: 'u32',
      inputHeight: 'u32',
      inputWidth: 'u32',
      outputDepth: 'u32',
    } as const),
    ...({ outputHeight: 'u32', outputWidth: 'u32', kernelDepth: 'u32', kernelHeight: 'u32' } as const),
    ...({ kernelWidth: 'u32', strideDepth: 'u32', strideHeight: 'u32', strideWidth: 'u32' } as const),
    ...({ dilationDepth: 'u32', dilationHeight: 'u32', dilationWidth: 'u32', padDepth: 'u32' } as const),
    ...({ padHeight: 'u32', padWidth: 'u32', endDepth: 'u32', endHeight: 'u32', endWidth: 'u32' } as const),
    ...({ indexStrideDepth: 'u32', indexStrideHeight: 'u32', indexStrideWidth: 'u32' } as const),
  },
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
