import source from '../../shaders/softmax-cross-entropy.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/**
 * Cross entropy of softmax with smoothed labels, and its gradient; shapes in
 * `shaders/softmax-cross-entropy.wgsl`.
 *
 * @example
 * const kernel = await kernels.softmaxCrossEntropy.create(device); // five rows of ten classes, padded to twelve
 * kernel.bind({ logits, labels, gradient, results }, {
 *   batch: 5, classes: 10, stride: 12, smoothing: 0.1,
 * }).encode(pass);
 */
export const softmaxCrossEntropyKernel = /* @__PURE__ */ defineKernel({
  name: 'softmax-cross-entropy',
  wgsl: [source],
  bindings: {
    logits: { access: 'read', type: 'f32' },
    labels: { access: 'read', type: 'u32' },
    gradient: { access: 'write', type: 'f32' },
    results: { access: 'write', type: 'vec2f' },
  },
  params: {
    batch: 'u32',
    classes: 'u32',
    stride: 'u32',
    smoothing: 'f32',
  },
  overrides: { WORKGROUP_SIZE: { default: 32, allowed: [8, 16, 32, 64, 128, 256] } },
  workgroups: ({ batch }, { WORKGROUP_SIZE }) => Math.ceil(batch / WORKGROUP_SIZE),
});
