import type { KernelPreference } from '../conv/kernel-choice.ts';
import { check, LloydError } from '../gpu/errors.ts';
import { guardOf } from '../gpu/guard.ts';
import { checkRuntime, type Runtime } from '../gpu/runtime.ts';
import type { Port } from '../graph/concrete-inputs.ts';
import type { ShapeOptions } from '../graph/graph.ts';
import type { OnnxTensor } from '../graph/ops/tensors.ts';
import { sizeOf } from '../graph/ops/tensors.ts';
import { checkValues } from '../lower/check-values.ts';
import { type FusedGraph, fuseGraph } from '../lower/fuse.ts';
import { importIntegers } from '../lower/import-qoperator.ts';
import type { KernelChooser } from '../lower/lower.ts';
import { lowerFused } from '../lower/lower-model.ts';
import { checkNetwork } from '../model/check-network.ts';
import { isImageModel, type Model } from '../model/graph.ts';
import { isQuantized, type QuantizedModel } from '../model/quantized-model.ts';
import { toGraphModel } from '../model/translate.ts';
import { adapterKey } from '../tune/store.ts';
import { buildEngine, type Engine } from './engine.ts';
import type { PlanEntry } from './executor.ts';
import type { External } from './external.ts';
import { checkFeed } from './feed.ts';
import { checkFiniteImages, type Images } from './image-values.ts';
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
  /** The inputs in order, with the shapes that it was compiled for; `run` takes others where they had symbols. */
  readonly inputs: readonly Port[];
  /** The outputs in order. */
  readonly outputs: readonly Port[];
  /** Values of one image's first output: the classes of a classifier, height x width x channels where an image comes out. */
  readonly classes: number;
  /** Bytes of GPU memory: weights as they are stored there, activations, staging. */
  readonly gpuBytes: { weights: number; activations: number; staging: number; total: number };
  /**
   * The whole first output, flat, of any number of images: a classifier's scores, or all of an image's pixels. Calls
   * queue up, in order; the images are read before a call returns, so that one array may serve them all. For networks of
   * one input; images come NHWC, whatever order of dimensions the network has, other inputs as they lie.
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
   * All outputs by name, for inputs by name, in ONNX's logical shapes. Where an input's shape has symbols, other sizes
   * than it was compiled for are taken too: the program for them is made at the first such call and kept, the eight last
   * ones of them.
   *
   * @throws LloydError for a missing or unknown input, another dtype, or a shape that contradicts the network's
   * @example
   * const { scores } = await session.run({ image: { dtype: 'float32', dims: [1, 3, 224, 224], data } });
   */
  run(
    inputs: Readonly<Record<string, OnnxTensor>>,
    options?: RunOptions,
  ): Promise<Record<string, OnnxTensor>>;
  /**
   * Records a pass into the caller's encoder, from and to the caller's buffers: a word an element (float32, or int32 for
   * integers), in the usual order of the shapes that it was compiled for. Nothing is submitted. Outputs that are left out
   * stay unread. Buffers are of the session's own device: inputs with `COPY_SRC`, outputs with `COPY_DST`.
   *
   * @throws LloydError for a name that the network lacks, a missing input, a buffer that is too small, or a session that
   *   was destroyed; a DeviceLostError when the device is lost
   * @example
   * const encoder = device.createCommandEncoder();
   * session.encode(encoder, { image: imageBuffer }, { scores: scoreBuffer });
   * device.queue.submit([encoder.finish()]);
   */
  encode(
    encoder: GPUCommandEncoder,
    inputs: Readonly<Record<string, External>>,
    outputs: Readonly<Record<string, External>>,
  ): void;
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
  profile(images: Images): Promise<{ layer: string; kernel: string; milliseconds: number }[] | null>;
  /** Frees everything on the GPU; runs under way and later ones are rejected with a LloydError. */
  destroy(): void;
}

/** Options of {@link compile}. */
export interface CompileOptions {
  /**
   * Images a forward pass takes at once, where a network leaves that open: the symbol that an input's shape begins with
   * (default 32 for a network written in code, else 1: a graph may hold images of any size).
   */
  batch?: number;
  /** What the symbols of the inputs' shapes stand for: `{ batch: 1, width: 320 }`, or `{ image: [1, 3, 224, 224] }`. */
  shapes?: ShapeOptions;
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
  given: Model | QuantizedModel,
  options: CompileOptions = {},
): Promise<Session> {
  checkRuntime(runtime);
  const { kernels, float16 = false, tune = false, shapes = {}, signal } = options;
  checkNetwork(given);
  const model = isQuantized(given) || isImageModel(given) ? given : importIntegers(given);
  const network = isQuantized(model) ? model.model : model;
  const { batch = isImageModel(network) ? 32 : 1 } = options;
  check(Number.isInteger(batch) && batch >= 1, 'batch must be a positive integer', batch);
  check(!(tune && float16), 'float16 is not tuned', 'both', 'leave one of them out');
  const { graph } = toGraphModel(network);
  const first = fuseGraph(network, { batch, shapes });
  checkValues(network, first, isQuantized(model) ? model.layers : undefined);
  let tuned: { adapter: string; choose: KernelChooser } | undefined;

  const build = async (on: Runtime, fused: FusedGraph) => {
    // A candidate that fails is no failure of the compilation: tuning stays out of its operation.
    if (tune && tuned?.adapter !== adapterKey(on)) {
      const settings = { signal, ...(tune === true ? {} : tune) };
      try {
        const choose = await tuneKernels(on, model, batch, settings, kernels, shapes);
        tuned = { adapter: adapterKey(on), choose };
      } catch (error) {
        throw await guardOf(on.device).explain(error);
      }
    }
    signal?.throwIfAborted();
    let engine: Engine | undefined;
    try {
      return await guardOf(on.device).operation(async () => {
        const settings = { kernels, float16, choose: tuned?.choose };
        const lowered = await lowerFused(on, fused, isQuantized(model) ? model : null, settings);
        engine = await buildEngine(on, lowered, signal);
        return engine;
      });
    } catch (error) {
      engine?.destroy();
      throw error;
    }
  };

  let engine = await build(runtime, first);
  /** Programs for other shapes, the one used last at the end. */
  const others = new Map<string, Engine>();
  const queue = createRunQueue();
  let destroyed = false;
  const gone = () =>
    new LloydError('a session runs until it is destroyed', 'a session destroyed', 'compile the model again');
  const engineFor = async (tensors: Readonly<Record<string, OnnxTensor>>) => {
    if (engine.inputs.every(({ name, dims }) => `${tensors[name].dims}` === `${dims}`)) return engine;
    const sizes = Object.fromEntries(engine.inputs.map(({ name }) => [name, tensors[name].dims]));
    const key = JSON.stringify(sizes);
    const made = others.get(key) ?? (await build(engine.runtime, fuseGraph(network, { shapes: sizes })));
    if (destroyed) {
      made.destroy();
      throw gone();
    }
    others.delete(key);
    others.set(key, made);
    if (others.size > MOST_PROGRAMS) {
      const [oldest] = others.keys();
      others.get(oldest)!.destroy();
      others.delete(oldest);
    }
    return made;
  };
  const forget = () => {
    for (const other of others.values()) other.destroy();
    others.clear();
  };
  const portsOf = (ports: Engine['inputs'] | Engine['outputs']): Port[] =>
    ports.map(({ name, dtype, dims }) => ({ name, dtype, shape: dims }));
  const perImage = () => perImageOf(engine);

  function run(images: Images, options?: RunOptions): Promise<Float32Array>;
  function run(
    inputs: Readonly<Record<string, OnnxTensor>>,
    options?: RunOptions,
  ): Promise<Record<string, OnnxTensor>>;
  function run(
    given: Images | Readonly<Record<string, OnnxTensor>>,
    { signal }: RunOptions = {},
  ): Promise<Float32Array | Record<string, OnnxTensor>> {
    try {
      if (isFeed(given)) checkFeed(graph.inputs, given);
      else checkImages(given, engine);
    } catch (error) {
      return Promise.reject(error);
    }
    if (isFeed(given)) {
      const own = queue.idle && engine.inputs.every(({ name, dims }) => `${given[name].dims}` === `${dims}`);
      // What has to wait is copied: the caller may change it meanwhile.
      const kept = own ? given : copied(given);
      return queue.add(async () => (own ? engine : await engineFor(kept)).runTensors(kept), signal);
    }
    const own = queue.idle ? given : given.slice();
    return queue.add(() => engine.run(own, signal), signal);
  }

  return {
    get runtime() {
      return engine.runtime;
    },
    batch,
    get inputs() {
      return portsOf(engine.inputs);
    },
    get outputs() {
      return portsOf(engine.outputs);
    },
    get classes() {
      return engine.classes;
    },
    get gpuBytes() {
      return bytesOf(engine);
    },
    run,
    encode(encoder, given, wanted) {
      if (destroyed) throw gone();
      engine.encode(encoder, given, wanted);
    },
    recover(on) {
      return queue.add(async () => {
        checkRuntime(on);
        const next = await build(on, fuseGraph(network, { batch, shapes }));
        if (destroyed) {
          next.destroy();
          throw gone();
        }
        forget();
        engine.destroy();
        engine = next;
      });
    },
    plan: () => engine.executor.plan,
    profile(images) {
      checkImages(images, engine);
      return queue.add(() => engine.executor.profile([images.subarray(0, batch * perImage())]));
    },
    destroy() {
      destroyed = true;
      queue.close(gone);
      forget();
      engine.destroy();
    },
  };
}

/** Programs for other shapes than the first that a session keeps. */
const MOST_PROGRAMS = 8;

const isFeed = (given: unknown): given is Readonly<Record<string, OnnxTensor>> =>
  typeof given === 'object' && given !== null && !ArrayBuffer.isView(given) && !Array.isArray(given);

const copied = (feed: Readonly<Record<string, OnnxTensor>>) =>
  Object.fromEntries(
    Object.entries(feed).map(([name, tensor]) => [
      name,
      { ...tensor, data: tensor.data.slice() } as OnnxTensor,
    ]),
  );

const perImageOf = ({ inputs: [port] }: Engine) =>
  sizeOf(port.dims) / Math.max(1, port.images?.shape.batch ?? port.dims[0] ?? 1);

function checkImages(images: Images, engine: Engine): void {
  const { inputs } = engine;
  check(
    inputs.length === 1,
    'a network of several inputs takes them by name',
    `an array, for ${inputs.map(({ name }) => name).join(', ') || 'none'}`,
    'run({ name: { dtype, dims, data } })',
  );
  check(
    images instanceof Uint8Array || images instanceof Float32Array,
    'images must be a Uint8Array of pixels 0-255 or a Float32Array as the network takes them, NHWC',
    Object.prototype.toString.call(images),
  );
  const [port] = inputs;
  const perImage = perImageOf(engine);
  const { height, width, channels } = port.images?.shape ?? { height: 1, width: 1, channels: perImage };
  check(
    images.length > 0 && images.length % perImage === 0,
    `images must hold whole images of ${height} x ${width} x ${channels} values`,
    images.length,
  );
  checkFiniteImages('images', images, perImage);
}

function bytesOf({ executor: { arena, stagedBytes }, stagingBytes }: Engine): Session['gpuBytes'] {
  const { constantBytes: weights, activationBytes } = arena;
  const activations = activationBytes + stagedBytes;
  return { weights, activations, staging: stagingBytes, total: weights + activations + stagingBytes };
}
