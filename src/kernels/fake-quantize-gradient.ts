import source from '../../shaders/fake-quantize-gradient.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/** The straight-through estimator of fake-quantize; shapes in `shaders/fake-quantize-gradient.wgsl`. */
export const fakeQuantizeGradientKernel = /* @__PURE__ */ defineKernel({
  name: 'fake-quantize-gradient',
  wgsl: [source],
  bindings: {
    input: { access: 'read', type: 'f32' },
    gradient: { access: 'read', type: 'f32' },
    qparams: { access: 'read', type: 'vec2f' },
    output: { access: 'write', type: 'f32' },
  },
  params: {
    count: 'u32',
    block: 'u32',
    lanes: 'u32',
    quantMin: 'f32',
    quantMax: 'f32',
  },
  overrides: { WORKGROUP_SIZE: { default: 64, allowed: [8, 16, 32, 64, 128, 256] } },
  workgroups: ({ count }, { WORKGROUP_SIZE }) => Math.ceil(count / WORKGROUP_SIZE),
});
