import source from '../../shaders/distillation-loss.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/**
 * A teacher's logits mixed into a loss and its gradient; shapes in `shaders/distillation-loss.wgsl`.
 *
 * @example
 * const kernel = await kernels.distillationLoss.create(device); // five rows of ten classes, padded to twelve
 * kernel.bind({ logits, teacher, gradient, results }, {
 *   batch: 5, classes: 10, stride: 12, share: 1, temperature: 4,
 * }).encode(pass);
 */
export const distillationLossKernel = /* @__PURE__ */ defineKernel({
  name: 'distillation-loss',
  wgsl: [source],
  bindings: {
    logits: { access: 'read', type: 'f32' },
    teacher: { access: 'read', type: 'f32' },
    gradient: { access: 'write', type: 'f32' },
    results: { access: 'write', type: 'vec2f' },
  },
  params: {
    batch: 'u32',
    classes: 'u32',
    stride: 'u32',
    share: 'f32',
    temperature: 'f32',
  },
  overrides: { WORKGROUP_SIZE: { default: 32, allowed: [8, 16, 32, 64, 128, 256] } },
  workgroups: ({ batch }, { WORKGROUP_SIZE }) => Math.ceil(batch / WORKGROUP_SIZE),
});
