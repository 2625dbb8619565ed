import { recordCalls } from '../gpu/call.ts';
import { check, type LloydError } from '../gpu/errors.ts';
import { guardOf } from '../gpu/guard.ts';
import type { Runtime } from '../gpu/runtime.ts';
import { type OnnxTensor, sizeOf } from '../graph/ops/tensors.ts';
import { fromWords, toWords, wordTypeOf } from '../graph/ops/value.ts';
import type { LoweredInput, LoweredModel, LoweredOutput } from '../lower/lower.ts';
import { buildExecutor, type Executor, type Given } from './executor.ts';
import { buildExternal, type ExternalPass } from './external.ts';
import { givenOf } from './feed.ts';
import type { Images } from './image-values.ts';

/** A lowered model on one device, with all that a forward pass needs. */
export interface Engine {
  runtime: Runtime;
  executor: Executor;
  inputs: readonly LoweredInput[];
  outputs: readonly LoweredOutput[];
  /** Values of the first output for one image. */
  classes: number;
  /** Bytes of the readback buffers. */
  stagingBytes: number;
  /**
   * The first output of whole images. The images are read before it returns, so that the caller may change them at once.
   *
   * @throws the signal's reason before the next batch; LloydError for any error of the GPU
   */
  run(images: Images, signal?: AbortSignal): Promise<Float32Array>;
  /** Records a pass on the caller's buffers; nothing is submitted. */
  encode: ExternalPass['encode'];
  /** All outputs of one set of inputs, which are read before it returns. */
  runTensors(tensors: Readonly<Record<string, OnnxTensor>>): Promise<Record<string, OnnxTensor>>;
  destroy(): void;
}

/** A pass on its way: its readback buffers, and what tells that they are there and whole. */
interface Flight {
  slots: readonly GPUBuffer[];
  mapped: Promise<unknown>;
  fault: Promise<LloydError | null>;
}

/** Compiles a lowered model and makes everything that its runs will use. */
export async function buildEngine(
  runtime: Runtime,
  lowered: LoweredModel,
  signal?: AbortSignal,
): Promise<Engine> {
  const { device } = runtime;
  const guard = guardOf(device);
  const { inputs, outputs } = lowered;
  const computed = outputs.flatMap((output) =>
    output.operand ? [{ ...output, operand: output.operand }] : [],
  );
  const keep = new Set(computed.map(({ operand }) => operand.tensor));
  const executor = await buildExecutor(runtime, lowered, keep, signal);
  const staging: GPUBuffer[][] = [];
  let external: ExternalPass | undefined;
  const destroy = () => {
    external?.destroy();
    for (const buffer of staging.flat()) buffer.destroy();
    executor.destroy();
  };
  let sources: GPUBuffer[];
  try {
    // Two readback buffers an output: while the host reads one batch's the next batch is already running.
    for (const turn of [0, 1]) {
      const usage = GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST;
      const slots: GPUBuffer[] = [];
      staging.push(slots);
      for (const output of computed) {
        const label = `${output.name} ${turn}`;
        const size = bytesOf(output);
        slots.push(guard.note('the outputs', () => device.createBuffer({ label, size, usage })));
      }
    }
    external = await buildExternal(runtime, executor, lowered.bridges.inputs, lowered.bridges.outputs);
    signal?.throwIfAborted();
    await guard.hear();
    sources = computed.map(({ operand }) => executor.arena.buffer(operand).buffer);
  } catch (error) {
    destroy();
    throw error;
  }

  const launch = (given: readonly Given[], slots: readonly GPUBuffer[], read: number): Flight => {
    const entered = given.map((each, i) => executor.enter(i, each));
    const { fault } = guard.watch('a forward pass', () => {
      for (const [i, { data }] of entered.entries()) executor.write(i, data);
      const encoder = device.createCommandEncoder();
      recordCalls(encoder, [...entered.flatMap(({ call }) => call ?? []), ...executor.calls]);
      for (let i = 0; i < read; i++) encoder.copyBufferToBuffer(sources[i], 0, slots[i], 0, slots[i].size);
      device.queue.submit([encoder.finish()]);
    });
    const used = slots.slice(0, read);
    const mapped = Promise.all(
      used.map((slot) => guard.until('reading the outputs', () => slot.mapAsync(GPUMapMode.READ))),
    );
    // It may fail while an earlier batch is awaited: `land` hears of it.
    mapped.catch(() => undefined);
    return { slots: used, mapped, fault };
  };
  const land = async ({ slots, mapped, fault }: Flight, collect: (ranges: ArrayBuffer[]) => void) => {
    const unmap = () => {
      for (const slot of slots) slot.unmap();
    };
    const failure = await fault;
    if (failure) {
      // The slots have to be free again for the next run.
      await mapped.then(unmap, () => undefined);
      throw failure;
    }
    await mapped;
    try {
      guard.alive();
      guard.checkStray();
      await guard.until('reading the outputs', async () =>
        collect(slots.map((slot) => slot.getMappedRange())),
      );
    } finally {
      unmap();
    }
  };

  const [first] = outputs;
  const port = inputs[0];
  const batch = port?.images?.shape.batch ?? port?.dims[0] ?? 1;
  const perImage = port ? sizeOf(port.dims) / Math.max(1, batch) : 0;
  // An output that has something else outermost is of all images together.
  const eachOwn = first.dims[0] === batch;
  const classes = sizeOf(first.dims) / (eachOwn ? Math.max(1, batch) : 1);

  return {
    runtime,
    executor,
    inputs,
    outputs,
    classes,
    stagingBytes: staging.flat().reduce((sum, { size }) => sum + size, 0),
    async run(images, signal) {
      const total = images.length / perImage;
      check(
        eachOwn || total % batch === 0,
        `${first.name}: an output that is not one an image takes whole batches of ${batch}`,
        `${total} images`,
        'run it on as many images as it was compiled for',
      );
      const passes = Math.ceil(total / batch);
      const result = new Float32Array(eachOwn ? total * classes : passes * classes);
      const flights: { flight: Flight; first: number; count: number }[] = [];
      const read = first.operand ? 1 : 0;
      const arrive = ({ flight, first: from, count }: { flight: Flight; first: number; count: number }) =>
        land(flight, (ranges) => {
          const at = eachOwn ? from * classes : (from / batch) * classes;
          const length = eachOwn ? count * classes : classes;
          collect(first, ranges[0], result.subarray(at, at + length));
        });
      // Of the images that the first await leaves, as they were at the call.
      let rest: Images | undefined;
      const late = staging.length * batch;
      const imagesFrom = (from: number, count: number) =>
        rest
          ? rest.subarray((from - late) * perImage, (from - late + count) * perImage)
          : images.subarray(from * perImage, (from + count) * perImage);
      try {
        for (let from = 0, turn = 0; from < total; from += batch, turn++) {
          if (turn >= staging.length) {
            if (turn === staging.length) rest = images.slice(from * perImage);
            await arrive(flights.shift()!);
          }
          signal?.throwIfAborted();
          const count = Math.min(batch, total - from);
          const given = port.images
            ? imagesFrom(from, count)
            : (wordsOf(port, imagesFrom(from, count)) as Given);
          const flight = launch([given], staging[turn % staging.length], read);
          flights.push({ flight, first: from, count });
        }
        while (flights.length > 0) await arrive(flights.shift()!);
        return result;
      } catch (error) {
        for (const flight of flights) await arrive(flight).catch(() => undefined);
        throw error;
      }
    },
    encode(...given) {
      guard.alive();
      external.encode(...given);
    },
    async runTensors(tensors) {
      const given = inputs.map((input) => givenOf(input, tensors[input.name]));
      const results: Record<string, OnnxTensor> = {};
      const flight = launch(given, staging[0], computed.length);
      await land(flight, (ranges) => {
        for (const [i, output] of computed.entries()) results[output.name] = tensorOf(output, ranges[i]);
      });
      for (const { name, dtype, dims, constant } of outputs) {
        if (name in results) continue;
        results[name] = constant
          ? ({ dtype, dims: [...dims], data: constant.data.slice() } as OnnxTensor)
          : fromWords(dtype, dims, []);
      }
      return Object.fromEntries(outputs.map(({ name }) => [name, results[name]]));
    },
    destroy,
  };
}

const bytesOf = ({ rows, stride, qparams }: LoweredOutput) =>
  Math.max(4, Math.ceil((rows * stride * (qparams ? 1 : 4)) / 4) * 4);

const WORDS = { f32: Float32Array, i32: Int32Array, u32: Uint32Array };

/** An output's elements as numbers, without the padding of its rows; as many as the target takes. */
function collect(
  output: LoweredOutput,
  range: ArrayBuffer | undefined,
  target: Float32Array | Int32Array | Uint32Array,
) {
  const { channels, stride, qparams, dtype, constant } = output;
  if (!range) {
    if (constant) target.set(toWords(output.name, constant));
    return;
  }
  const { scale, zeroPoint } = qparams ?? { scale: 1, zeroPoint: 0 };
  const words = qparams ? new Int8Array(range) : new WORDS[wordTypeOf(dtype)](range);
  if (!qparams && stride === channels) {
    target.set(words.subarray(0, target.length));
    return;
  }
  const rows = target.length / channels;
  for (let row = 0; row < rows; row++) {
    for (let c = 0; c < channels; c++) {
      target[row * channels + c] = (words[row * stride + c] - zeroPoint) * scale;
    }
  }
}

function tensorOf(output: LoweredOutput, range: ArrayBuffer): OnnxTensor {
  const { dtype, dims } = output;
  const words = new WORDS[wordTypeOf(dtype)](sizeOf(dims));
  collect(output, range, words);
  return dtype === 'float32'
    ? { dtype, dims: [...dims], data: words as Float32Array }
    : fromWords(dtype, dims, words);
}

/** Values of an input that takes no images, as they lie in an array, a word each. */
function wordsOf({ dtype }: LoweredInput, values: Images): Given {
  const type = wordTypeOf(dtype);
  if (type !== 'f32') return WORDS[type].from(values);
  // Bytes are pixels, which stand for 0 to 1.
  return values instanceof Float32Array ? values : Float32Array.from(values, (pixel) => pixel / 255);
}
