import { check } from '../gpu/errors.ts';
import { fakeQuantizeKernel } from '../kernels/fake-quantize.ts';
import { fakeQuantizeGradientKernel } from '../kernels/fake-quantize-gradient.ts';
import { stepSizeGradientKernel } from '../kernels/step-size-gradient.ts';
import { sumSplitsKernel } from '../kernels/sum-splits.ts';
import type { Recorder, TensorInfo } from './recorder.ts';
import type { SharedTfjs } from './share-device.ts';

type Tensor = import('@tensorflow/tfjs').Tensor;

/** Names under which the three operators are registered; tfjs has none of its own. */
export const FAKE_QUANTIZE = 'LloydFakeQuantize';
export const FAKE_QUANTIZE_GRADIENT = 'LloydFakeQuantizeGradient';
export const STEP_SIZE_GRADIENT = 'LloydStepSizeGradient';

/** Every variant that the operators ask a recorder for. */
export const FAKE_QUANTIZE_VARIANTS = [
  [fakeQuantizeKernel] as const,
  [fakeQuantizeGradientKernel] as const,
  [stepSizeGradientKernel] as const,
];

/** How elements share scales, and the range of codes: see `shaders/fake-quantize.wgsl`. */
type Layout = Record<'block' | 'lanes' | 'quantMin' | 'quantMax' | 'gradientScale', number>;

/** The three operators over a recorder's pass; qparams are channels x (scale, zero point). */
export const fakeQuantizeOperators = {
  [FAKE_QUANTIZE](
    recorder: Recorder,
    { x, qparams }: Record<string, TensorInfo>,
    layout: Layout,
  ): TensorInfo {
    const output = recorder.output(x.shape);
    recorder.run(fakeQuantizeKernel, { input: x, qparams, output }, rangeOf(x, layout));
    return output;
  },
  [FAKE_QUANTIZE_GRADIENT](
    recorder: Recorder,
    { x, dy, qparams }: Record<string, TensorInfo>,
    layout: Layout,
  ): TensorInfo {
    const output = recorder.output(x.shape);
    recorder.run(fakeQuantizeGradientKernel, { input: x, gradient: dy, qparams, output }, rangeOf(x, layout));
    return output;
  },
  [STEP_SIZE_GRADIENT](
    recorder: Recorder,
    { x, dy, qparams }: Record<string, TensorInfo>,
    layout: Layout,
  ): TensorInfo {
    const elements = layout.block / layout.lanes;
    const chunk = Math.min(256, elements);
    const splits = Math.ceil(elements / chunk);
    const count = qparams.shape[0] * 2;
    const partial = recorder.scratch(splits * count);
    const { gradientScale } = layout;
    recorder.run(
      stepSizeGradientKernel,
      { input: x, gradient: dy, qparams, partial },
      { ...rangeOf(x, layout), chunk, gradientScale },
    );
    const output = recorder.output(qparams.shape);
    recorder.run(sumSplitsKernel, { partial, output }, { count, splits });
    recorder.release();
    return output;
  },
};

const rangeOf = (x: TensorInfo, { block, lanes, quantMin, quantMax }: Layout) => ({
  count: x.shape.reduce((a, b) => a * b, 1),
  block,
  lanes,
  quantMin,
  quantMax,
});

/** Options of {@link fakeQuantize}. */
export interface FakeQuantizeOptions {
  /** 1 to 8; codes are signed. */
  bits?: number;
  /** Of every channel alike; a whole number. */
  zeroPoint?: number;
  /** The first or the last axis has a scale an index; none: one scale for all. */
  axis?: number;
  /** What the scale's gradient is multiplied by; 1 / sqrt(elements of a channel x largest code) unless given (LSQ). */
  gradientScale?: number;
}

/**
 * Rounds a tensor to integers times a scale, on our kernels, with gradients: straight through for the tensor where its
 * code is inside the range (Bengio et al., 2013), and the learned step size's for the scale (Esser et al., LSQ, 2020).
 *
 * @param x float32 of any shape
 * @param scale float32, above zero: a scalar, or one an index of `axis`
 * @returns float32 of x's shape: (clamp(round(x / scale) + zeroPoint) - zeroPoint) * scale, ties to even
 * @throws LloydError before `registerKernels`, for bits outside 1 to 8, an axis in the middle, or scales of another
 *   shape
 * @example
 * await registerKernels(shared);
 * const rounded = fakeQuantize(shared, filter, scale, { bits: 4, axis: 3 });
 */
export function fakeQuantize(
  { tf }: SharedTfjs,
  x: Tensor,
  scale: Tensor,
  { bits = 8, zeroPoint = 0, axis, gradientScale }: FakeQuantizeOptions = {},
): Tensor {
  check(
    tf.getKernel(FAKE_QUANTIZE, 'webgpu'),
    'fakeQuantize needs our kernels in tfjs',
    'none registered',
    'await registerKernels(shared) first',
  );
  check(Number.isInteger(bits) && bits >= 1 && bits <= 8, 'bits must be an integer from 1 to 8', bits);
  check(
    x.dtype === 'float32' && scale.dtype === 'float32',
    'the tensors must be float32',
    `${x.dtype}, ${scale.dtype}`,
  );
  const last = x.rank - 1;
  check(
    axis === undefined || axis === 0 || axis === last,
    `axis must be 0 or ${last}`,
    axis,
    'transpose the tensor',
  );
  const channels = axis === undefined ? 1 : x.shape[axis];
  check(
    scale.size === channels && scale.rank <= 1,
    `there must be ${channels === 1 ? 'one scale' : `${channels} scales`}`,
    `[${scale.shape}]`,
  );
  const quantMax = 2 ** (bits - 1) - 1;
  const lanes = axis === last && axis !== 0 ? channels : 1;
  const layout: Layout = {
    block: lanes > 1 ? x.size : x.size / channels,
    lanes,
    quantMin: -(2 ** (bits - 1)),
    quantMax,
    gradientScale: gradientScale ?? 1 / Math.sqrt((x.size / channels) * Math.max(1, quantMax)),
  };
  const run = (name: string, inputs: Record<string, Tensor>) =>
    tf.engine().runKernel(name, inputs, { ...layout }) as Tensor;
  const operator = tf.customGrad((...all) => {
    const [input, steps, save] = all as unknown as [Tensor, Tensor, (tensors: Tensor[]) => void];
    const flat = tf.reshape(steps, [channels, 1]);
    const qparams = tf.concat([flat, tf.fill([channels, 1], zeroPoint)], 1);
    save([input, qparams]);
    return {
      value: run(FAKE_QUANTIZE, { x: input, qparams }),
      gradFunc: (dy, saved) => {
        const inputs = { x: saved[0], dy: dy as Tensor, qparams: saved[1] };
        const pairs = () => tf.slice(run(STEP_SIZE_GRADIENT, inputs), [0, 0], [channels, 1]);
        return [run(FAKE_QUANTIZE_GRADIENT, inputs), tf.reshape(pairs(), steps.shape)];
      },
    };
  });
  return operator(x, scale);
}
