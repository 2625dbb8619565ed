import type { Call } from '../gpu/call.ts';
import { guardOf } from '../gpu/guard.ts';
import { type Resource, TEXELS } from '../gpu/kernel.ts';
import type { Runtime } from '../gpu/runtime.ts';
import { uploadTexels } from '../gpu/texels.ts';
import type { Step } from '../lower/lower.ts';
import type { Prepared } from '../tune/pick.ts';

/** Steps of one layer on buffers of their own, its input filled with reproducible noise: a layer to be timed alone. */
export async function isolateSteps(runtime: Runtime, steps: readonly Step[]): Promise<Prepared> {
  const owned: { destroy(): void }[] = [];
  const keep = <R extends { destroy(): void }>(resource: R): R => {
    owned.push(resource);
    return resource;
  };
  const guard = guardOf(runtime.device);
  const tensors = new Map<string, GPUBuffer>();
  const calls: Call[] = [];
  let output: GPUBuffer | undefined;
  const destroy = () => {
    for (const resource of owned) resource.destroy();
  };
  try {
    for (const { kernel, specialization, operands, params } of steps) {
      const buffers: Record<string, Resource> = {};
      for (const [name, { access, type }] of Object.entries(kernel.declaration.bindings)) {
        const operand = operands[name];
        if ('constant' in operand) {
          const { constant, label } = operand;
          const texels = type === TEXELS;
          // As in a session: what is uploaded once is no part of the time.
          buffers[name] = keep(
            texels
              ? guard.note(label, () => uploadTexels(runtime.device, constant, label))
              : runtime.upload(constant, label),
          );
          continue;
        }
        const { tensor, byteLength } = operand;
        if (!tensors.has(tensor)) {
          // What no step before has written is the layer's input.
          const made =
            access === 'read'
              ? runtime.upload(noise(byteLength, type.endsWith('f') || type.startsWith('f')), tensor)
              : runtime.empty(byteLength, tensor);
          tensors.set(tensor, keep(made));
        }
        const buffer = tensors.get(tensor)!;
        buffers[name] = buffer;
        if (access === 'write') output = buffer;
      }
      const compiled = await kernel.create(runtime.device, specialization);
      calls.push(
        keep(guard.note(`the buffers of ${kernel.declaration.name}`, () => compiled.bind(buffers, params))),
      );
    }
  } catch (error) {
    destroy();
    throw error;
  }
  const last = output!;
  return { calls, output: () => runtime.read(last), destroy };
}

/** Bytes of every value, or floats from -1 to 1; the same in every run. */
function noise(byteLength: number, floats: boolean): Uint8Array | Float32Array {
  let state = 1;
  const next = () => {
    // A linear congruential generator; its high bits are random enough to keep a kernel busy.
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 8;
  };
  return floats
    ? Float32Array.from({ length: byteLength / 4 }, () => next() / 2 ** 23 - 1)
    : Uint8Array.from({ length: byteLength }, () => next() >>> 16);
}
