import type { Call } from '../../src/gpu/call.ts';
import type { Specialization } from '../../src/gpu/kernel.ts';
import type { Runtime } from '../../src/gpu/runtime.ts';
import { guardedOutput } from './runtime.ts';

/** Any kernel, whatever it binds. */
interface AnyKernel {
  create(
    device: GPUDevice,
    specialization?: Specialization,
  ): Promise<{ bind(buffers: never, params: never): Call }>;
}

/** One dispatch of a kernel: host arrays in, bytes of guarded outputs back. */
export async function dispatch(
  runtime: Runtime,
  kernel: AnyKernel,
  inputs: Record<string, ArrayBufferView>,
  outputs: Record<string, number>,
  params: Record<string, number>,
  specialization: Specialization = {},
): Promise<Record<string, ArrayBuffer>> {
  return runtime.scope(async ({ upload, keep }) => {
    const guarded = Object.entries(outputs).map(
      ([name, bytes]) => [name, guardedOutput(runtime, bytes)] as const,
    );
    const buffers = {
      ...Object.fromEntries(Object.entries(inputs).map(([name, data]) => [name, upload(data, name)])),
      ...Object.fromEntries(guarded.map(([name, { slice }]) => [name, slice])),
    };
    const compiled = await kernel.create(runtime.device, specialization);
    runtime.submit([keep(compiled.bind(buffers as never, params as never))]);
    const results: Record<string, ArrayBuffer> = {};
    for (const [name, output] of guarded) results[name] = await output.read();
    return results;
  });
}

/** Index of the first element whose bits differ, or -1; compares f32 arrays by bits, so -0 is not +0. */
export function firstDifference(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Math.min(actual.length, expected.length);
  for (let i = 0; i < actual.length; i++) if (!Object.is(actual[i], expected[i])) return i;
  return -1;
}

/** The f32 values at and next to every tie of a grid: (k + 1/2) * step for each k, one ULP up and down. */
export function aroundTies(scale: number, low: number, high: number): Float32Array {
  const values = new Float32Array((high - low + 1) * 3);
  const bits = new Int32Array(values.buffer);
  for (let k = low; k <= high; k++) {
    const at = (k - low) * 3;
    values[at] = values[at + 1] = values[at + 2] = (k + 0.5) * scale;
    bits[at + 1]++;
    bits[at + 2]--;
  }
  return values;
}
