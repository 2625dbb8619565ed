import { type Call, recordCalls } from '../gpu/call.ts';
import { guardOf } from '../gpu/guard.ts';
import { TEXELS } from '../gpu/kernel.ts';
import type { Runtime } from '../gpu/runtime.ts';
import { type Arena, placeTensors } from '../lower/arena.ts';
import type { LoweredModel, Step } from '../lower/lower.ts';
import type { ImageShape } from '../model/graph.ts';
import { type Images, imageBytes } from './image-values.ts';

/** One dispatch of a compiled session, as data. */
export interface PlanEntry {
  step: number;
  layer: string;
  kernel: string;
  specialization: Readonly<Record<string, number | string>>;
  workgroups: readonly [number, number, number];
  /** Output of one image. */
  shape: ImageShape;
  macs: number;
  /** Slabs read and written: activations share buffers by lifetime. */
  reads: string[];
  writes: string[];
}

/** What an input is given: images as they come, or words as the network reads them. */
export type Given = Images | Int32Array | Uint32Array;

/** A lowered model with its kernels compiled and bound. */
export interface Executor {
  arena: Arena;
  calls: Call[];
  plan: PlanEntry[];
  /** The call that loads what an input is given, if there is one, and the bytes that it reads. */
  enter(input: number, given: Given): { call: Call | null; data: ArrayBufferView };
  /** Copies of activations for kernels that read textures. */
  stagedBytes: number;
  /** Puts bytes where an input is read; to be called within the caller's watch over the device. */
  write(input: number, data: ArrayBufferView): void;
  profile(given: readonly Given[]): Promise<{ layer: string; kernel: string; milliseconds: number }[] | null>;
  destroy(): void;
}

/**
 * Compiles and binds every step; nothing is left to create when the model runs.
 *
 * @throws the signal's reason between two steps; whatever is thrown, nothing stays allocated
 */
export async function buildExecutor(
  runtime: Runtime,
  lowered: LoweredModel,
  keep: ReadonlySet<string>,
  signal?: AbortSignal,
): Promise<Executor> {
  const guard = guardOf(runtime.device);
  const { inputs } = lowered;
  const entries = inputs.flatMap(({ images }) => (images ? [images.uint8] : []));
  // The host writes all inputs before the first step.
  const ports = { operands: Object.fromEntries(inputs.map(({ name, port }) => [name, port])) };
  const arena = placeTensors(runtime, [ports, ...entries, ...lowered.steps], keep);
  const made: Call[] = [];
  const destroy = () => {
    for (const call of made) call.destroy();
    arena.destroy();
    flushUploads(runtime);
  };
  const prepare = async (step: Step): Promise<Call> => {
    const compiled = await step.kernel.create(runtime.device, step.specialization);
    signal?.throwIfAborted();
    return guard.note(`the buffers of ${step.name}`, () => {
      const { bindings } = step.kernel.declaration;
      const buffers = Object.fromEntries(
        Object.entries(step.operands).map(([name, operand]) => {
          const texels = 'constant' in operand && bindings[name].type === TEXELS;
          return [name, texels ? arena.texels(operand) : arena.buffer(operand)];
        }),
      );
      const call = compiled.bind(buffers, step.params);
      made.push(call);
      return call;
    });
  };
  const loads: { bytes: Call | null; floats: Call | null }[] = [];
  let calls: Call[];
  try {
    for (const { images } of inputs) {
      const bytes = images && (await prepare(images.uint8));
      loads.push({ bytes, floats: images?.float32 ? await prepare(images.float32) : bytes });
    }
    // All of them end before any failure is passed on: a late one would make buffers that nobody frees.
    const prepared = await Promise.allSettled(lowered.steps.map(prepare));
    calls = prepared.map((result) => {
      if (result.status === 'rejected') throw result.reason;
      return result.value;
    });
    flushUploads(runtime);
    // Whatever could not be made is known before the model runs.
    await guard.hear();
  } catch (error) {
    destroy();
    throw error;
  }
  const steps = [...entries, ...lowered.steps];
  const entryCalls = loads.flatMap(({ bytes }) => bytes ?? []);
  const all = [...entryCalls, ...calls];
  const plan = steps.map((step, index) => describe(step, index, all[index], arena));
  const write = (input: number, data: ArrayBufferView) => {
    const { buffer } = arena.buffer(inputs[input].port);
    // writeBuffer takes whole words; a ragged tail of up to three bytes is copied into one.
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    const whole = bytes.length - (bytes.length % 4);
    if (whole) runtime.device.queue.writeBuffer(buffer, 0, bytes, 0, whole);
    if (whole < bytes.length) {
      const tail = new Uint8Array(4);
      tail.set(bytes.subarray(whole));
      runtime.device.queue.writeBuffer(buffer, whole, tail);
    }
  };
  const enter = (input: number, given: Given) => {
    const { images } = inputs[input];
    const { bytes, floats } = loads[input];
    if (!images) return { call: null, data: given };
    const { qparams } = images;
    const data = qparams ? imageBytes(given as Images, qparams) : given;
    return { call: data instanceof Float32Array ? floats : bytes, data };
  };
  return {
    arena,
    calls,
    plan,
    stagedBytes: calls.reduce((sum, { stage }) => sum + (stage?.bytes ?? 0), 0),
    write,
    enter,
    async profile(given) {
      const entered = given.map((each, i) => enter(i, each));
      guard.note('the inputs', () => {
        for (const [i, { data }] of entered.entries()) write(i, data);
      });
      return timeCalls(runtime, steps, [...entered.flatMap(({ call }) => call ?? []), ...calls]);
    },
    destroy,
  };
}

/**
 * Sends the data of fresh buffers on its way. Until the next submit it waits in memory of the driver's, even after the
 * buffer is destroyed: without this a session that never ran would leave its weights there.
 */
function flushUploads({ device }: Runtime): void {
  try {
    device.queue.submit([]);
  } catch {
    // A device that is gone keeps nothing.
  }
}

function describe(step: Step, index: number, call: Call, arena: Arena): PlanEntry {
  const place = (access: 'read' | 'write') =>
    Object.entries(step.kernel.declaration.bindings).flatMap(([name, binding]) => {
      const operand = step.operands[name];
      if (binding.access !== access) return [];
      return 'tensor' in operand
        ? [`${operand.tensor} (slab ${arena.slabs.get(operand.tensor)})`]
        : [operand.label];
    });
  return {
    step: index,
    layer: step.name,
    kernel: call.kernel,
    specialization: step.specialization,
    workgroups: call.workgroups,
    shape: step.shape,
    macs: step.macs,
    reads: place('read'),
    writes: place('write'),
  };
}

async function timeCalls(runtime: Runtime, steps: readonly Step[], calls: readonly Call[]) {
  const { device } = runtime;
  if (!device.features.has('timestamp-query')) return null;
  const guard = guardOf(device);
  return guard.operation(async () => {
    const owned: { destroy(): void }[] = [];
    const keep = <R extends { destroy(): void }>(resource: R): R => {
      owned.push(resource);
      return resource;
    };
    try {
      const count = calls.length * 2;
      const { querySet, buffer } = guard.note('the timestamps', () => ({
        querySet: keep(device.createQuerySet({ type: 'timestamp', count })),
        buffer: keep(
          device.createBuffer({
            size: count * 8,
            usage: GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
          }),
        ),
      }));
      runtime.record((encoder) => {
        for (const [i, call] of calls.entries()) {
          recordCalls(encoder, [call], { querySet, before: i * 2, after: i * 2 + 1 });
        }
        encoder.resolveQuerySet(querySet, 0, count, buffer, 0);
      });
      const times = new BigUint64Array(await runtime.read(buffer));
      return calls.map((call, i) => ({
        layer: steps[i].name,
        kernel: call.kernel,
        milliseconds: Number(times[i * 2 + 1] - times[i * 2]) / 1e6,
      }));
    } finally {
      for (const resource of owned) resource.destroy();
    }
  });
}
