import { recordCalls } from '../gpu/call.ts';
import { check } from '../gpu/errors.ts';
import type { Runtime } from '../gpu/runtime.ts';
import type { KernelPreference } from '../quantize/kernel-choice.ts';
import { checkNetwork } from './check-network.ts';
import { checkValues } from './check-values.ts';
import { buildExecutor, type PlanEntry } from './executor.ts';
import type { Model } from './graph.ts';
import { checkFiniteImages, type Images } from './image-values.ts';
import { lowerModel } from './lower-model.ts';
import { isQuantized, type QuantizedModel } from './precision.ts';
import { type TuneOptions, tuneKernels } from './tune.ts';

/** A model compiled for one device and batch size: every pipeline, buffer and bind group already exists. */
export interface Session {
  readonly runtime: Runtime;
  readonly batch: number;
  /** Values of one image's output: the classes of a classifier, height x width x channels where an image comes out. */
  readonly classes: number;
  /** Bytes of GPU memory: weights as they are stored there, activations, staging. */
  readonly gpuBytes: { weights: number; activations: number; staging: number; total: number };
  /**
   * The whole output, flat, of any number of images: a classifier's logits, or all of an image's pixels. The images are
   * read before this returns: their array may be filled again at once.
   *
   * @param images NHWC; Uint8Array of pixels 0-255, which stand for 0 to 1, or Float32Array as the network takes them,
   *   all finite. An integer model saturates what is outside its calibrated range. A last partial batch is fine.
   * @returns images x classes floats, row-major; an output of several pixels, flattened by the network or not, is NHWC.
   * @throws LloydError when the length is not a whole number of images, for a NaN or an infinity (naming the image), or
   *   when the device is lost.
   */
  run(images: Images): Promise<Float32Array>;
  /** The dispatches in order. */
  plan(): PlanEntry[];
  /** Milliseconds of GPU time for each dispatch of one batch; null without `timestamp-query`. */
  profile(images: Uint8Array): Promise<{ layer: string; kernel: string; milliseconds: number }[] | null>;
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
}

/**
 * Compiles a model, quantized or not, into a session: kernels chosen for the adapter, buffers placed by lifetime, bind
 * groups made, one encoder and one submit a forward pass.
 *
 * @throws LloydError when a parameter is not what the graph says (by name), is NaN or infinite or a negative variance, a
 *   layer has no kernel, an accumulator could overflow, or a limit of the adapter is exceeded.
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
  { batch = 32, kernels, float16 = false, tune = false }: CompileOptions = {},
): Promise<Session> {
  checkNetwork(model);
  check(Number.isInteger(batch) && batch >= 1, 'batch must be a positive integer', batch);
  check(!(tune && float16), 'float16 is not tuned', 'both', 'leave one of them out');
  if (isQuantized(model)) checkValues(model.model, model.layers);
  else checkValues(model);
  const options = tune === true ? {} : tune;
  const choose = options ? await tuneKernels(runtime, model, batch, options, kernels) : undefined;
  const lowered = await lowerModel(runtime, model, batch, { kernels, float16, choose });
  const { input } = isQuantized(model) ? model.model.graph : model.graph;
  const executor = await buildExecutor(runtime, lowered, new Set([lowered.logits.tensor]));
  const { logits } = lowered;
  const pixelsPerImage = input.height * input.width * input.channels;
  const classes = logits.pixels * logits.channels;
  const logitBytes = batch * logits.pixels * logits.stride * (logits.dtype === 'int8' ? 1 : 4);
  // Two readback buffers: while the host reads one batch's logits the next batch is already running.
  const staging = [0, 1].map((i) =>
    runtime.device.createBuffer({
      label: `logits ${i}`,
      size: Math.ceil(logitBytes / 4) * 4,
      usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    }),
  );
  const logitBuffer = executor.arena.buffer({ tensor: logits.tensor, byteLength: logitBytes }).buffer;
  let busy: Promise<unknown> = Promise.resolve();
  let waiting = 0;

  const enqueue = (images: Images, first: number, count: number, slot: GPUBuffer) => {
    const { device } = runtime;
    const chunk = images.subarray(first * pixelsPerImage, (first + count) * pixelsPerImage);
    const { call, data } = executor.entry(chunk);
    executor.write(data);
    const encoder = device.createCommandEncoder();
    recordCalls(encoder, [call, ...executor.calls]);
    encoder.copyBufferToBuffer(logitBuffer, 0, slot, 0, slot.size);
    device.queue.submit([encoder.finish()]);
    return slot.mapAsync(GPUMapMode.READ);
  };
  const collect = (slot: GPUBuffer, count: number, out: Float32Array) => {
    const range = slot.getMappedRange();
    const rows = logits.dtype === 'int8' ? new Int8Array(range) : new Float32Array(range);
    const { channels, stride, zeroPoint, scale } = logits;
    for (let pixel = 0; pixel < count * logits.pixels; pixel++) {
      for (let c = 0; c < channels; c++) {
        out[pixel * channels + c] = (rows[pixel * stride + c] - zeroPoint) * scale;
      }
    }
    slot.unmap();
  };
  const runAll = async (images: Images) => {
    const total = images.length / pixelsPerImage;
    const result = new Float32Array(total * classes);
    let pending: { mapped: Promise<unknown>; slot: GPUBuffer; first: number; count: number } | undefined;
    const settle = async () => {
      if (!pending) return;
      const { mapped, slot, first, count } = pending;
      pending = undefined;
      await mapped;
      collect(slot, count, result.subarray(first * classes));
    };
    for (let first = 0, turn = 0; first < total; first += batch, turn++) {
      const count = Math.min(batch, total - first);
      const slot = staging[turn % 2];
      const mapped = enqueue(images, first, count, slot);
      await settle();
      pending = { mapped, slot, first, count };
    }
    await settle();
    return result;
  };

  return {
    runtime,
    batch,
    classes,
    gpuBytes: {
      weights: executor.arena.constantBytes,
      activations: executor.arena.activationBytes + executor.stagedBytes,
      staging: staging.reduce((sum, { size }) => sum + size, 0),
      total:
        executor.arena.constantBytes +
        executor.arena.activationBytes +
        executor.stagedBytes +
        staging.reduce((sum, { size }) => sum + size, 0),
    },
    run(images) {
      check(
        images instanceof Uint8Array || images instanceof Float32Array,
        'images must be a Uint8Array of pixels 0-255 or a Float32Array as the network takes them, NHWC',
        Object.prototype.toString.call(images),
      );
      check(
        images.length > 0 && images.length % pixelsPerImage === 0,
        `images must hold whole images of ${input.height} x ${input.width} x ${input.channels} values`,
        images.length,
      );
      checkFiniteImages('images', images, pixelsPerImage);
      // Calls queue up: the staging buffers serve one caller at a time. One batch is written at once where nobody
      // waits; whatever is read later is copied, because the caller's array may be filled again.
      const alone = waiting === 0 && images.length <= batch * pixelsPerImage;
      const kept = alone ? images : images.slice();
      const result = alone ? runAll(kept) : busy.then(() => runAll(kept));
      waiting++;
      busy = result.catch(() => undefined).then(() => waiting--);
      return result;
    },
    plan: () => executor.plan,
    profile: (images) => executor.profile(images.subarray(0, batch * pixelsPerImage)),
    destroy() {
      executor.destroy();
      for (const buffer of staging) buffer.destroy();
    },
  };
}
