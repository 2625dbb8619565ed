import type { Call } from '../../src/gpu/call.ts';
import type { Kernel, Specialization } from '../../src/gpu/kernel.ts';
import type { Runtime } from '../../src/gpu/runtime.ts';
import type { BenchCase, BenchContext, Opened, PeerWork } from '../types.ts';
import { timedCalls } from './timed.ts';

type Data = Float32Array | Int32Array | Uint32Array | Int8Array | Uint8Array;

/** Any kernel, whatever it binds. */
type AnyKernel = Pick<Kernel, 'declaration'> & {
  create(
    device: GPUDevice,
    specialization?: Specialization,
  ): Promise<{ bind(buffers: never, params: never): Call }>;
};

/** A kernel with everything it binds. */
interface Bound {
  // biome-ignore lint/suspicious/noExplicitAny: bindings and params of every kernel differ
  kernel: any;
  specialization?: Specialization;
  /**
   * By binding: its content, the bytes of an output that is only written, the name of a buffer made before, or a texture
   * of four bytes a texel, destroyed with the buffers.
   */
  buffers: Record<string, Data | number | string | GPUTexture>;
  params: Record<string, number>;
}

/** One dispatch of a kernel, and what its CPU twin makes of the same input. */
export interface Dispatch extends Bound {
  /** Dispatches that belong to the same work. */
  next?: readonly Bound[];
  /** Where arithmetic and not memory bounds it; of integers unless the case's precision is fp32. */
  operations?: number;
  /** The output that is checked. */
  of: string;
  /** Its exact content: the output is hashed, and equal on every adapter. */
  exact?(): ArrayBufferView;
  /** A float output as the twin sees it, and what the twin computes in float64. */
  view?(output: Float32Array): ArrayLike<number>;
  near?(): ArrayLike<number>;
}

/**
 * A case of one kernel alone, on buffers of its own. Work is every byte it has to read and write once, held against a
 * plain copy, or its operations.
 *
 * @param peers who else does the same work; they are held against the float output
 */
export function kernelCase(
  name: string,
  precision: string,
  batch: number,
  make: (context: BenchContext) => Dispatch | Promise<Dispatch>,
  peers?: PeerWork,
): BenchCase {
  const open = async (context: BenchContext) =>
    openDispatch(context.runtime, await make(context), precision, peers !== undefined);
  return { name, subjects: [{ implementation: 'lloyd', precision, batch, open }], ...(peers && { peers }) };
}

async function openDispatch(
  runtime: Runtime,
  dispatch: Dispatch,
  precision: string,
  compared: boolean,
): Promise<Opened> {
  const { operations, of, exact, near, view = (output) => output } = dispatch;
  const { calls, buffers, inPlace, moved } = await bindAll(runtime, [dispatch, ...(dispatch.next ?? [])]);
  const { stop, ...timed } = await timedCalls(runtime, calls);
  const once = async () => {
    // The timed runs have moved on what is updated in place.
    for (const [buffer, data] of inPlace) runtime.device.queue.writeBuffer(buffer, 0, data as never);
    runtime.submit(calls);
    const { buffer, byteLength } = buffers.get(of)!;
    return runtime.read(buffer as GPUBuffer, byteLength);
  };
  const floats = async () => view(new Float32Array(await once()));
  const [unit, ceiling] =
    precision === 'fp32' ? (['GFLOP/s', 'f32GFlops'] as const) : (['GOP/s', 'int8Gops'] as const);
  return {
    ...timed,
    ...(operations
      ? { work: { amount: operations, unit }, bound: { ceiling, amount: operations } }
      : { work: { amount: moved, unit: 'GB/s' }, bound: { ceiling: 'copyGBps', amount: moved } }),
    ...(exact && { output: once, expected: exact }),
    ...(near && { floats: async () => ({ actual: await floats(), expected: near() }) }),
    ...(compared && { logits: async () => Float32Array.from(await floats()) }),
    close() {
      stop();
      for (const call of calls) call.destroy();
      for (const { buffer } of buffers.values()) buffer.destroy();
    },
  };
}

async function bindAll(runtime: Runtime, parts: readonly Bound[]) {
  const buffers = new Map<string, { buffer: GPUBuffer | GPUTexture; byteLength: number }>();
  const inPlace: [GPUBuffer, Data][] = [];
  const calls: Call[] = [];
  let moved = 0;
  for (const { kernel, specialization, params, buffers: contents } of parts) {
    const { declaration } = kernel as AnyKernel;
    for (const [name, data] of Object.entries(contents)) {
      if (typeof data === 'string') {
        buffers.set(name, buffers.get(data)!);
        continue;
      }
      if (typeof data === 'object' && 'createView' in data) {
        const byteLength = data.width * data.height * 4;
        buffers.set(name, { buffer: data, byteLength });
        moved += byteLength;
        continue;
      }
      const written = typeof data === 'number';
      const byteLength = written ? data : data.byteLength;
      const buffer = written ? runtime.empty(byteLength, name) : runtime.upload(data, name);
      buffers.set(name, { buffer, byteLength });
      moved += byteLength;
      // What is given content and written all the same is updated in place: read once and written once.
      if (written || declaration.bindings[name].access === 'read') continue;
      inPlace.push([buffer, data]);
      moved += byteLength;
    }
    const compiled = await (kernel as AnyKernel).create(runtime.device, specialization);
    const bound = Object.keys(contents).map((name) => [name, buffers.get(name)!.buffer]);
    calls.push(compiled.bind(Object.fromEntries(bound) as never, params as never));
  }
  return { calls, buffers, inPlace, moved };
}

/** `values` again and again up to `length`: large inputs whose making costs less than their timing. */
export function repeated<T extends Data>(make: (length: number) => T, length: number, period = 2 ** 20): T {
  const values = make(Math.min(length, period));
  if (values.length === length) return values;
  const result = new (values.constructor as new (n: number) => T)(length);
  for (let at = 0; at < length; at += period) {
    result.set(values.subarray(0, Math.min(period, length - at)) as never, at);
  }
  return result;
}
