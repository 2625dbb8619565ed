import floatMath from '../../shaders/lib/float-math.wgsl?raw';
import source from '../../shaders/recurrent.wgsl?raw';
import { defineKernel } from '../gpu/kernel.ts';

/** Names of `override CELL` in shaders/recurrent.wgsl. */
export const CELLS = { RNN: 0, GRU: 1, LSTM: 2 } as const;

/** Names of `override F`, `G` and `H`, as ONNX has them. */
export const CELL_ACTIVATIONS = {
  ...{ Relu: 1, Tanh: 2, Sigmoid: 3, Affine: 4, LeakyRelu: 5, ThresholdedRelu: 6 },
  ...{ ScaledTanh: 7, HardSigmoid: 8, Elu: 9, Softsign: 10, Softplus: 11 },
} as const;

const flag = { default: 0, allowed: [0, 1] };
const allowed = /* @__PURE__ */ Object.values(CELL_ACTIVATIONS);

/**
 * A recurrent cell over whole sequences; see shaders/recurrent.wgsl.
 *
 * @example
 * const kernel = await kernels.recurrent.create(device); // six times of one sequence, five hidden values
 * kernel.bind({ inputs, weights, extra, lengths, states, output }, {
 *   times: 6, batches: 1, hidden: 5, inputTime: 20, inputBatch: 20, weightOffset: 0, extraOffset: 0,
 *   outputTime: 5, outputBatch: 5, outputOffset: 0, clip: 0, fAlpha: 0, fBeta: 0, gAlpha: 0, gBeta: 0, hAlpha: 0,
 *   hBeta: 0,
 * }).encode(pass);
 */
export const recurrent = /* @__PURE__ */ defineKernel({
  name: 'recurrent',
  wgsl: [floatMath, source],
  bindings: {
    inputs: { access: 'read', type: 'f32' },
    weights: { access: 'read', type: 'f32' },
    extra: { access: 'read', type: 'f32' },
    lengths: { access: 'read', type: 'i32' },
    states: { access: 'write', type: 'f32' },
    output: { access: 'write', type: 'f32' },
  },
  params: {
    ...{ times: 'u32', batches: 'u32', hidden: 'u32', inputTime: 'u32', inputBatch: 'u32' },
    ...{
      weightOffset: 'u32',
      extraOffset: 'u32',
      outputTime: 'u32',
      outputBatch: 'u32',
      outputOffset: 'u32',
    },
    ...{ clip: 'f32', fAlpha: 'f32', fBeta: 'f32', gAlpha: 'f32', gBeta: 'f32', hAlpha: 'f32', hBeta: 'f32' },
  },
  overrides: {
    CELL: { default: 2, allowed: /* @__PURE__ */ Object.values(CELLS) },
    ...{ LINEAR: flag, COUPLED: flag, PEEPHOLES: flag, LENGTHS: flag, REVERSE: flag },
    ...{ F: { default: 3, allowed }, G: { default: 2, allowed }, H: { default: 2, allowed } },
    WORKGROUP_SIZE: { default: 64, allowed: [32, 64, 128, 256] },
  },
  workgroups: ({ batches }) => batches,
});
