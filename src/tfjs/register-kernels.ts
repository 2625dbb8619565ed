import { broadcastLanes } from '../conv/tile.ts';
import { check } from '../gpu/errors.ts';
import { BATCH_NORM_VARIANTS, normalize, normalizeGradient } from './batch-norm-kernels.ts';
import {
  type ConvAttributes,
  convolve,
  convVariants,
  filterGradient,
  geometryOf,
  inputGradient,
} from './conv-kernels.ts';
import { FAKE_QUANTIZE_VARIANTS, fakeQuantizeOperators } from './fake-quantize.ts';
import { createRecorders, type Recorder, type TensorInfo } from './recorder.ts';
import { flush, type SharedTfjs, type Tfjs } from './share-device.ts';

type Tensor = import('@tensorflow/tfjs').Tensor;
type Inputs = Record<string, TensorInfo>;
/** An operator of ours, or null where tfjs shall run its own. */
type Operator = (recorder: Recorder, inputs: Inputs, attributes: never) => TensorInfo | TensorInfo[] | null;

const BACKEND = 'webgpu';
const NORM = 'FusedBatchNorm';
const NORM_GRADIENT = 'LloydBatchNormGradient';
const CLAMPS: Readonly<Record<string, { low?: number; high?: number }>> = {
  linear: {},
  relu: { low: 0 },
  relu6: { low: 0, high: 6 },
};

/** From the first call on, so that a second one meanwhile does not register everything again. */
let registered: Registration | undefined;

interface Registration {
  shared: SharedTfjs;
  done: Promise<() => void>;
}

/**
 * Puts our kernels in the place of tfjs' own on the shared device, so that any tfjs model runs and trains on them:
 * Conv2D, FusedConv2D (bias; linear, ReLU, ReLU6), Conv2DBackpropInput, Conv2DBackpropFilter, FusedBatchNorm and its
 * gradient; and adds what {@link fakeQuantize} runs.
 *
 * What ours do not cover (NCHW, other activations, other dtypes) tfjs computes as before. Sums have a fixed order:
 * training gives the same weights in every run on one adapter. Values beyond float32 saturate at its largest.
 *
 * @returns puts tfjs' own kernels back
 * @throws LloydError when the kernels are registered for another device already
 * @example
 * const shared = await shareDevice(await createRuntime());
 * const unregister = await registerKernels(shared);
 * await model.fit(images, labels, { epochs: 5 });
 * unregister();
 */
export async function registerKernels(shared: SharedTfjs): Promise<() => void> {
  if (registered?.shared === shared) return registered.done;
  check(!registered, 'our kernels serve one device at a time', 'a second', 'call unregister() first');
  const done = replaceKernels(shared).then((restore) => () => {
    if (registered !== own) return;
    registered = undefined;
    restore();
  });
  const own: Registration = { shared, done };
  registered = own;
  done.catch(() => {
    if (registered === own) registered = undefined;
  });
  return done;
}

/** @returns puts tfjs' own kernels back */
async function replaceKernels(shared: SharedTfjs): Promise<() => void> {
  const recorders = await createRecorders(shared, [
    ...convVariants(broadcastLanes(shared.runtime)),
    ...BATCH_NORM_VARIANTS,
    ...FAKE_QUANTIZE_VARIANTS,
  ]);
  const { tf } = shared;
  const restore = Object.entries(operators(tf)).map(([name, operator]) => {
    const own = tf.getKernel(name, BACKEND);
    if (own) tf.unregisterKernel(name, BACKEND);
    tf.registerKernel({
      kernelName: name,
      backendName: BACKEND,
      kernelFunc(call) {
        // A backend started anew has another device.
        const ours = call.backend === shared.backend && supported(call.inputs as Inputs);
        const result = ours ? operator(recorders.begin(), call.inputs as Inputs, call.attrs as never) : null;
        if (result) return result;
        check(own, `${name} takes float32 tensors of the shared device`, 'others');
        return own.kernelFunc(call);
      },
    });
    return () => {
      tf.unregisterKernel(name, BACKEND);
      if (own) tf.registerKernel(own);
    };
  });
  restore.push(registerNormGradient(shared), () => recorders.destroy());
  return () => {
    try {
      flush(shared);
    } finally {
      for (const undo of restore) undo();
    }
  };
}

function operators(tf: Tfjs): Record<string, Operator> {
  return {
    Conv2D(recorder, { x, filter }, attributes: ConvAttributes) {
      const geometry = geometryOf(tf, x.shape, filter.shape, attributes);
      return geometry && convolve(recorder, geometry, x, filter);
    },
    FusedConv2D(recorder, inputs, attributes: ConvAttributes & { activation?: string }) {
      const { x, filter, bias, preluActivationWeights } = inputs;
      const clamp = CLAMPS[attributes.activation ?? 'linear'];
      const geometry = geometryOf(tf, x.shape, filter.shape, attributes);
      if (!geometry || !clamp || preluActivationWeights) return null;
      if (bias && (bias.shape.length !== 1 || bias.shape[0] !== filter.shape[3])) return null;
      return convolve(recorder, geometry, x, filter, { bias, ...clamp });
    },
    Conv2DBackpropInput(recorder, { dy, filter }, attributes: ConvAttributes & { inputShape: number[] }) {
      const geometry = geometryOf(tf, attributes.inputShape, filter.shape, { ...attributes, dilations: 1 });
      return geometry && inputGradient(recorder, geometry, dy, filter);
    },
    Conv2DBackpropFilter(recorder, { x, dy }, attributes: ConvAttributes & { filterShape: number[] }) {
      const geometry = geometryOf(tf, x.shape, attributes.filterShape, { ...attributes, dilations: 1 });
      return geometry && filterGradient(recorder, geometry, x, dy);
    },
    [NORM](recorder, inputs, { varianceEpsilon }: { varianceEpsilon: number }) {
      const { x, mean, variance, offset, scale } = inputs as Record<string, Tensor>;
      if (mean.shape.length !== 1 || variance.shape.length !== 1) return null;
      if ([offset, scale].some((tensor) => tensor && tensor.shape.length !== 1)) return null;
      const rows = tf.tidy(() => {
        const made = normRows(tf, { mean, variance, offset, scale }, varianceEpsilon);
        return { statistics: made.statistics, affine: made.affine };
      });
      const result = normalize(recorder, x, rows);
      tf.dispose(rows);
      return result;
    },
    [NORM_GRADIENT]: (recorder, { x, dy, statistics, affine }) =>
      normalizeGradient(recorder, x, dy, { statistics, affine }),
    ...fakeQuantizeOperators,
  };
}

/** (mean, inverse deviation) and (gamma, beta) as rows of channels. */
function normRows(
  tf: Tfjs,
  { mean, variance, offset, scale }: Partial<Record<string, Tensor>>,
  epsilon: number,
): { statistics: Tensor; affine: Tensor; inverse: Tensor; gamma: Tensor } {
  const inverse = tf.rsqrt(tf.add(variance!, epsilon));
  const gamma = scale ?? tf.onesLike(mean!);
  return {
    inverse,
    gamma,
    statistics: tf.stack([mean!, inverse]),
    affine: tf.stack([gamma, offset ?? tf.zerosLike(mean!)]),
  };
}

/** tfjs' gradient of batch norm costs a dozen passes over the activations; ours two. */
function registerNormGradient({ tf, backend }: SharedTfjs): () => void {
  const own = tf.getGradient(NORM)!;
  tf.unregisterGradient(NORM);
  tf.registerGradient({
    ...own,
    inputsToSave: ['x', 'mean', 'variance', 'scale'],
    gradFunc(dy, saved, attributes) {
      const [x, mean, variance, scale] = saved;
      const ours = tf.backend() === (backend as unknown) && mean.rank === 1 && x.dtype === 'float32';
      if (!ours) return own.gradFunc(dy, saved, attributes);
      const { varianceEpsilon } = attributes as unknown as { varianceEpsilon: number };
      const rows = normRows(tf, { mean, variance, scale }, varianceEpsilon);
      const { inverse, gamma, statistics, affine } = rows;
      const inputs = { x, dy: dy as Tensor, statistics, affine };
      const [dx, sums] = tf.engine().runKernel(NORM_GRADIENT, inputs, {}) as Tensor[];
      const [dScale, dOffset] = tf.unstack(sums);
      const slope = tf.mul(gamma, inverse);
      return {
        x: () => dx,
        scale: () => dScale,
        offset: () => dOffset,
        mean: () => tf.neg(tf.mul(slope, dOffset)),
        variance: () => tf.mul(tf.mul(tf.mul(slope, inverse), dScale), -0.5),
      };
    },
  });
  return () => {
    tf.unregisterGradient(NORM);
    tf.registerGradient(own);
  };
}

function supported(inputs: Inputs): boolean {
  const given = Object.values(inputs).filter(Boolean);
  return given.every(({ dtype, shape }) => dtype === 'float32' && shape.every((n) => n > 0));
}
