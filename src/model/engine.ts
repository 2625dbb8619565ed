import { recordCalls } from '../gpu/call.ts';
import type { LloydError } from '../gpu/errors.ts';
import { guardOf } from '../gpu/guard.ts';
import type { Runtime } from '../gpu/runtime.ts';
import { buildExecutor, type Executor } from './executor.ts';
import type { ImageShape } from './graph.ts';
import type { Images } from './image-values.ts';
import type { LoweredModel } from './lower.ts';

/** A lowered model on one device, with all that a forward pass needs. */
export interface Engine {
  runtime: Runtime;
  executor: Executor;
  /** Values of one image's output. */
  classes: number;
  /** Bytes of the readback buffers. */
  stagingBytes: number;
  /**
   * The output of whole images. The images are read before it returns, so that the caller may change them at once.
   *
   * @throws the signal's reason before the next batch; LloydError for any error of the GPU
   */
  run(images: Images, signal?: AbortSignal): Promise<Float32Array>;
  destroy(): void;
}

/** A batch on its way: its readback buffer, and what tells that it is there and whole. */
interface Flight {
  slot: GPUBuffer;
  mapped: Promise<void>;
  fault: Promise<LloydError | null>;
  first: number;
  count: number;
}

/** Compiles a lowered model and makes everything that its runs will use. */
export async function buildEngine(
  runtime: Runtime,
  lowered: LoweredModel,
  input: ImageShape,
  signal?: AbortSignal,
): Promise<Engine> {
  const { device } = runtime;
  const guard = guardOf(device);
  const { logits, batch } = lowered;
  const executor = await buildExecutor(runtime, lowered, new Set([logits.tensor]), signal);
  const pixelsPerImage = input.height * input.width * input.channels;
  const classes = logits.pixels * logits.channels;
  const logitBytes = batch * logits.pixels * logits.stride * (logits.dtype === 'int8' ? 1 : 4);
  const size = Math.ceil(logitBytes / 4) * 4;
  const staging: GPUBuffer[] = [];
  const destroy = () => {
    for (const buffer of staging) buffer.destroy();
    executor.destroy();
  };
  let logitBuffer: GPUBuffer;
  try {
    // Two readback buffers: while the host reads one batch's logits the next batch is already running.
    for (const i of [0, 1]) {
      const usage = GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST;
      staging.push(
        guard.note('the logits', () => device.createBuffer({ label: `logits ${i}`, size, usage })),
      );
    }
    await guard.hear();
    logitBuffer = executor.arena.buffer({ tensor: logits.tensor, byteLength: logitBytes }).buffer;
  } catch (error) {
    destroy();
    throw error;
  }

  const launch = (chunk: Images, first: number, count: number, slot: GPUBuffer): Flight => {
    const { call, data } = executor.entry(chunk);
    const { fault } = guard.watch('a forward pass', () => {
      executor.write(data);
      const encoder = device.createCommandEncoder();
      recordCalls(encoder, [call, ...executor.calls]);
      encoder.copyBufferToBuffer(logitBuffer, 0, slot, 0, slot.size);
      device.queue.submit([encoder.finish()]);
    });
    const mapped = guard.until('reading the logits', () => slot.mapAsync(GPUMapMode.READ));
    // It may fail while an earlier batch is awaited: `land` hears of it.
    mapped.catch(() => undefined);
    return { slot, mapped, fault, first, count };
  };
  const collect = (slot: GPUBuffer, count: number, out: Float32Array) => {
    const range = slot.getMappedRange();
    const rows = logits.dtype === 'int8' ? new Int8Array(range) : new Float32Array(range);
    const { pixels, channels, stride, zeroPoint, scale } = logits;
    for (let pixel = 0; pixel < count * pixels; pixel++) {
      for (let c = 0; c < channels; c++) {
        out[pixel * channels + c] = (rows[pixel * stride + c] - zeroPoint) * scale;
      }
    }
  };
  const land = async ({ slot, mapped, fault, first, count }: Flight, result: Float32Array) => {
    const failure = await fault;
    if (failure) {
      // The slot has to be free again for the next run.
      await mapped.then(
        () => slot.unmap(),
        () => undefined,
      );
      throw failure;
    }
    await mapped;
    try {
      guard.alive();
      guard.checkStray();
      await guard.until('reading the logits', async () =>
        collect(slot, count, result.subarray(first * classes)),
      );
    } finally {
      slot.unmap();
    }
  };

  return {
    runtime,
    executor,
    classes,
    stagingBytes: staging.length * size,
    async run(images, signal) {
      const total = images.length / pixelsPerImage;
      const result = new Float32Array(total * classes);
      const flights: Flight[] = [];
      // Of the images that the first await leaves, as they were at the call.
      let rest: Images | undefined;
      const late = staging.length * batch;
      const imagesFrom = (first: number, count: number) =>
        rest
          ? rest.subarray((first - late) * pixelsPerImage, (first - late + count) * pixelsPerImage)
          : images.subarray(first * pixelsPerImage, (first + count) * pixelsPerImage);
      try {
        for (let first = 0, turn = 0; first < total; first += batch, turn++) {
          if (turn >= staging.length) {
            if (turn === staging.length) rest = images.slice(first * pixelsPerImage);
            await land(flights.shift()!, result);
          }
          signal?.throwIfAborted();
          const count = Math.min(batch, total - first);
          flights.push(launch(imagesFrom(first, count), first, count, staging[turn % staging.length]));
        }
        while (flights.length > 0) await land(flights.shift()!, result);
        return result;
      } catch (error) {
        for (const flight of flights) await land(flight, result).catch(() => undefined);
        throw error;
      }
    },
    destroy,
  };
}
