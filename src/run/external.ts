import { type Call, recordCalls } from '../gpu/call.ts';
import { check } from '../gpu/errors.ts';
import type { Runtime } from '../gpu/runtime.ts';
import type { Bridge } from '../lower/bridges.ts';
import type { Operand, Step } from '../lower/lower.ts';
import type { Executor } from './executor.ts';

/** A buffer of the caller's: a word an element, in the usual order of the value's dimensions. */
export type External = GPUBuffer | { buffer: GPUBuffer; offset?: number };

interface Slice {
  buffer: GPUBuffer;
  offset?: number;
}

/** Records passes on the caller's buffers. */
export interface ExternalPass {
  encode(
    encoder: GPUCommandEncoder,
    inputs: Readonly<Record<string, External>>,
    outputs: Readonly<Record<string, External>>,
  ): void;
  destroy(): void;
}

/** Makes the pipelines that {@link ExternalPass.encode} needs; its buffers are made when it is first called. */
export async function buildExternal(
  runtime: Runtime,
  executor: Executor,
  ins: readonly Bridge[],
  outs: readonly Bridge[],
): Promise<ExternalPass> {
  const { device } = runtime;
  const steps = [...ins, ...outs].flatMap((bridge) => bridge.steps);
  const compiled = new Map<Step, Awaited<ReturnType<Step['kernel']['create']>>>();
  await Promise.all(
    steps.map(async (step) => compiled.set(step, await step.kernel.create(device, step.specialization))),
  );
  const owned: { destroy(): void }[] = [];
  const buffers = new Map<string, GPUBuffer>();
  let bound: { entry: Call[]; exit: Call[] } | undefined;
  const bufferOf = (operand: Operand): GPUBuffer => {
    if ('tensor' in operand) {
      if (executor.arena.slabs.has(operand.tensor)) return executor.arena.buffer(operand).buffer;
      const made = buffers.get(operand.tensor) ?? runtime.empty(operand.byteLength, operand.tensor);
      if (!buffers.has(operand.tensor)) owned.push(made);
      buffers.set(operand.tensor, made);
      return made;
    }
    const made = runtime.upload(operand.constant, operand.label);
    owned.push(made);
    return made;
  };
  const bind = (bridges: readonly Bridge[]) =>
    bridges.flatMap((bridge) =>
      bridge.steps.map((step) => {
        const resources = Object.entries(step.operands).map(([name, operand]) => [name, bufferOf(operand)]);
        const call = compiled.get(step)!.bind(Object.fromEntries(resources), step.params);
        owned.push(call);
        return call;
      }),
    );
  return {
    encode(encoder, inputs, outputs) {
      const names = outs.map(({ name }) => name);
      for (const name of Object.keys(outputs)) {
        check(names.includes(name), `outputs must be those of the network: ${names.join(', ')}`, name);
      }
      for (const name of Object.keys(inputs)) {
        const known = ins.map((bridge) => bridge.name);
        check(known.includes(name), `inputs must be those of the network: ${known.join(', ')}`, name);
      }
      const given = ins.map((bridge) => sliceOf(bridge, inputs[bridge.name], 'every input must be given'));
      const wanted = outs
        .filter(({ name }) => outputs[name] !== undefined)
        .map((bridge) => ({ bridge, slice: sliceOf(bridge, outputs[bridge.name], 'an output must be') }));
      bound ??= { entry: bind(ins), exit: bind(outs) };
      for (const [i, { buffer, offset = 0 }] of given.entries()) {
        const { port, bytes } = ins[i];
        if (bytes > 0) encoder.copyBufferToBuffer(buffer, offset, bufferOf(port), 0, bytes);
      }
      recordCalls(encoder, [...bound.entry, ...executor.calls, ...bound.exit]);
      for (const { bridge, slice } of wanted) {
        const { port, bytes } = bridge;
        if (bytes > 0) encoder.copyBufferToBuffer(bufferOf(port), 0, slice.buffer, slice.offset ?? 0, bytes);
      }
    },
    destroy() {
      for (const resource of owned) resource.destroy();
    },
  };
}

function sliceOf({ name, bytes }: Bridge, given: External | undefined, rule: string): Slice {
  const slice = given && 'buffer' in given ? given : given && { buffer: given };
  const buffer = slice?.buffer;
  check(
    buffer && typeof buffer.size === 'number',
    `${name}: ${rule}, as a GPUBuffer or a slice of one`,
    given,
  );
  const room = buffer.size - (slice!.offset ?? 0);
  check(room >= bytes, `${name}: its buffer must hold ${bytes} bytes, a word an element`, room);
  return slice!;
}
