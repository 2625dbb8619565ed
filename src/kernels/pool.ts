import elementNan from '../../shaders/lib/element-nan.wgsl?raw';
import source from '../../shaders/pool.wgsl?raw';
import { merged } from '../gpu/declaration.ts';
import { defineKernel } from '../gpu/kernel.ts';
import { spatial, u32s } from '../gpu/params.ts';
import { checkWindow } from '../gpu/window.ts';

/** Maximum or average of windows, channels first; see shaders/pool.wgsl. */
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
