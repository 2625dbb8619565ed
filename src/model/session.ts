import { check, LloydError } from '../gpu/errors.ts';
import { guardOf } from '../gpu/guard.ts';
import { checkRuntime, type Runtime } from '../gpu/runtime.ts';
import type { KernelPreference } from '../quantize/kernel-choice.ts';
import { adapterKey } from '../tune/store.ts';
import { checkNetwork } from './check-network.ts';
import { checkValues } from './check-values.ts';
import { buildEngine, type Engine } from './engine.ts';
import type { PlanEntry } from './executor.ts';
import type { ImageShape, Model } from './graph.ts';
import { checkFiniteImages, type Images } from './image-values.ts';
import type { KernelChooser } from './lower.ts';
import { lowerModel } from './lower-model.ts';
import { isQuantized, type QuantizedModel } from './precision.ts';
import { createRunQueue } from './run-queue.ts';
import { type TuneOptions, tuneKernels } from './tune.ts';

/** Options of one {@link Session.run}. */
export interface RunOptions {
  /** Ends the run before its next batch; the promise is rejected with the signal's reason at once. */
  signal?: AbortSignal;
}

/** A model compiled for one device and batch size: every pipeline, buffer and bind group already exists. */
export interface Session {
  /** Where it runs: another one after `recover`. */
  readonly runtime: Runtime;
  readonly batch: number;
  /** Values of one image's output: the classes of a classifier, height x width x channels where an image comes out. */
  readonly classes: number;
  /** Bytes of GPU memory: weights as they are stored there, activations, staging. */
  readonly gpuBytes: { weights: number; activations: number; staging: number; total: number };
  /**
   * The whole output, flat, of any number of images: a classifier's logits, or all of an image's pixels. Calls queue up,
   * in order; the images are read before a call returns, so that one array may serve them all.
   *
   * @param images NHWC; Uint8Array of pixels 0-255, which stand for 0 to 1, or Float32Array as the network takes them,
   *   all finite. An integer model saturates what is outside its calibrated range. A last partial batch is fine.
   * @returns images x classes floats, row-major; an output of several pixels, flattened by the network or not, is NHWC.
   * @throws LloydError when the length is not a whole number of images, for a NaN or an infinity (naming the image), when
   *   the session was destroyed, or the GPU failed in any way; a DeviceLostError when the device is lost, before or
   *   meanwhile; the signal's reason
   * @example
   * const logits = await session.run(pixels, { signal: AbortSignal.timeout(1000) });
   */
  run(images: Images, options?: RunOptions): Promise<Float32Array>;
  /**
   * Takes the session over to another runtime, after its own has lost its device: pipelines and buffers are made again
   * from the model and the options that `compile` was given, the picks of its tuning included. Runs that were called
   * before end first, later ones wait. The model must still be what it was.
   *
   * @throws what `compile` throws; the session then stays as it was, and may be recovered again
   * @example
   * const { reason } = await session.runtime.lost;
   * await session.recover(await createRuntime());
   */
  recover(runtime: Runtime): Promise<void>;
  /** The dispatches in order. */
  plan(): PlanEntry[];
  /** Milliseconds of GPU time for each dispatch of one batch; null without `timestamp-query`. */
  profile(images: Uint8Array): Promise<{ layer: string; kernel: string; milliseconds: number }[] | null>;
  /** Frees everything on the GPU; runs under way and later ones are rejected with a LloydError. */
  destroy(): void;
}

/** Options of {@link compile}. */
export interface CompileOptions {
  /** Images a forward pass takes at once (default 32). */
  batch?: number;
  /** Which kernels run the products; `auto` (default) chooses by the adapter. Integer results are the same bits. */
  kernels?: KernelPreference;
  /** f16 products in float layers without a codebook; needs `shader-f16` and the tiled kernels (default false). */
  float16?: boolean;
  /**
   * Measure which kernels and tiles run each layer fastest here, instead of choosing by the adapter: `true`, or a
   * budget and more. What was measured is remembered for this adapter and driver. Integer results stay the same, bit
   * for bit.
   */
  tune?: boolean | TuneOptions;
  /** Ends compiling and tuning; what was measured is kept, the promise is rejected with the signal's reason. */
  signal?: AbortSignal;
}

/**
 * Compiles a model, quantized or not, into a session: kernels chosen for the adapter, buffers placed by lifetime, bind
 * groups made, one encoder and one submit a forward pass.
 *
 * @throws LloydError when a parameter is not what the graph says (by name), is NaN or infinite or a negative variance, a
 *   layer has no kernel, an accumulator could overflow, a limit of the adapter is exceeded, its memory runs out, or the
 *   device is lost; nothing stays allocated then
 * @example
 * const session = await compile(runtime, quantized, { batch: 32 });
 * const logits = await session.run(pixels); // Uint8Array, N x 32 x 32 x 3
 * session.destroy();
 * @example
 * const tuned = await compile(runtime, quantized, { tune: { budgetMs: 5000 } });
 */
export async function compile(
  runtime: Runtime,
  model: Model | QuantizedModel,
  options: CompileOptions = {},
): Promise<Session> {
  checkRuntime(runtime);
  const { batch = 32, kernels, float16 = false, tune = false, signal } = options;
  check(Number.isInteger(batch) && batch >= 1, 'batch must be a positive integer', batch);
  check(!(tune && float16), 'float16 is not tuned', 'both', 'leave one of them out');
  checkNetwork(model);
  const { input } = isQuantized(model) ? model.model.graph : model.graph;
  if (isQuantized(model)) checkValues(model.model, model.layers);
  else checkValues(model);
  let tuned: { adapter: string; choose: KernelChooser } | undefined;

  const build = async (on: Runtime) => {
    // A candidate that fails is no failure of the compilation: tuning stays out of its operation.
    if (tune && tuned?.adapter !== adapterKey(on)) {
      const settings = { signal, ...(tune === true ? {} : tune) };
      const choose = await tuneKernels(on, model, batch, settings, kernels);
      tuned = { adapter: adapterKey(on), choose };
    }
    signal?.throwIfAborted();
    let engine: Engine | undefined;
    try {
      return await guardOf(on.device).operation(async () => {
        const lowered = await lowerModel(on, model, batch, { kernels, float16, choose: tuned?.choose });
        engine = await buildEngine(on, lowered, input, signal);
        return engine;
      });
    } catch (error) {
      engine?.destroy();
      throw error;
    }
  };

  let engine = await build(runtime);
  const queue = createRunQueue();
  let destroyed = false;
  const gone = () =>
    new LloydError('a session runs until it is destroyed', 'a session destroyed', 'compile the model again');
  const pixelsPerImage = input.height * input.width * input.channels;

  return {
    get runtime() {
      return engine.runtime;
    },
    batch,
    get classes() {
      return engine.classes;
    },
    get gpuBytes() {
      return bytesOf(engine);
    },
    run(images, { signal } = {}) {
      checkImages(images, input, pixelsPerImage);
      // What has to wait is copied: the caller may change it meanwhile.
      const own = queue.idle ? images : images.slice();
      return queue.add(() => engine.run(own, signal), signal);
    },
    recover(on) {
      return queue.add(async () => {
        checkRuntime(on);
        const next = await build(on);
        if (destroyed) {
          next.destroy();
          throw gone();
        }
        engine.destroy();
        engine = next;
      });
    },
    plan: () => engine.executor.plan,
    profile: (images) => queue.add(() => engine.executor.profile(images.subarray(0, batch * pixelsPerImage))),
    destroy() {
      destroyed = true;
      queue.close(gone);
      engine.destroy();
    },
  };
}

function checkImages(images: Images, { height, width, channels }: ImageShape, pixelsPerImage: number): void {
  check(
    images instanceof Uint8Array || images instanceof Float32Array,
    'images must be a Uint8Array of pixels 0-255 or a Float32Array as the network takes them, NHWC',
    Object.prototype.toString.call(images),
  );
  check(
    images.length > 0 && images.length % pixelsPerImage === 0,
    `images must hold whole images of ${height} x ${width} x ${channels} values`,
    images.length,
  );
  checkFiniteImages('images', images, pixelsPerImage);
}

function bytesOf({ executor: { arena, stagedBytes }, stagingBytes }: Engine): Session['gpuBytes'] {
  const { constantBytes: weights, activationBytes } = arena;
  const activations = activationBytes + stagedBytes;
  return { weights, activations, staging: stagingBytes, total: weights + activations + stagingBytes };
}
