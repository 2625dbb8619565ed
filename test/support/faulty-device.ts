import type { AcquiredDevice } from '../../src/gpu/device.ts';
import { requestDefaultDevice } from '../../src/node/default-device.ts';

/** What goes wrong at one call of the device: see {@link faultyDevice}. */
export const FAULTS = ['lost before', 'lost after', 'out of memory', 'throws', 'rejects'] as const;
export type Fault = (typeof FAULTS)[number];

/** A real device of which one call fails. */
export interface FaultyDevice {
  device: GPUDevice;
  /** Calls so far that the fault could have struck. */
  readonly calls: number;
  /** Buffers and textures that were made and not destroyed. */
  readonly alive: number;
  /** The call that it struck, if any. */
  readonly struck: string | null;
  /** Strikes the n-th call from now on, counted from 0. */
  strike(fault: Fault, at: number): void;
}

const MAKES_MEMORY = ['createBuffer', 'createTexture'];
const ASYNC = ['createComputePipelineAsync', 'mapAsync', 'onSubmittedWorkDone', 'popErrorScope'];
/** Of the device, its queue and its buffers. */
const METHODS = [
  ...MAKES_MEMORY,
  ...ASYNC,
  'createBindGroupLayout',
  'createShaderModule',
  'createPipelineLayout',
  'createBindGroup',
  'createCommandEncoder',
  'createQuerySet',
  'submit',
  'writeBuffer',
  'writeTexture',
  'getMappedRange',
  'pushErrorScope',
];

/** The calls that a fault can strike: memory runs out where some is made, a promise is what can be rejected. */
const strikes = (fault: Fault, name: string) =>
  fault === 'out of memory'
    ? MAKES_MEMORY.includes(name)
    : fault === 'rejects'
      ? ASYNC.includes(name)
      : fault !== 'throws' || name !== 'popErrorScope';

/**
 * A device that fails on demand, as real ones do: it is lost before or in the middle of a call; memory runs out, which
 * gives an invalid buffer and an error for the scope around it; a call throws, or its promise is rejected.
 */
export async function faultyDevice(): Promise<FaultyDevice> {
  const { device }: AcquiredDevice = await requestDefaultDevice();
  let planned: Fault | undefined;
  let at = 0;
  let calls = 0;
  let alive = 0;
  let struck: string | null = null;
  /** Filters of the scopes that are open, and the error that was put into each. */
  const scopes: { filter: string; error?: { message: string } }[] = [];

  const invalid = (name: string, descriptor: object) => {
    const scope = scopes.findLast(({ filter }) => filter === 'out-of-memory');
    if (scope) scope.error ??= { message: 'injected: out of memory' };
    original.pushErrorScope('validation');
    const usage = 0x4000_0000;
    const made =
      name === 'createBuffer'
        ? original.createBuffer({ ...descriptor, usage } as GPUBufferDescriptor)
        : original.createTexture({ ...descriptor, usage } as GPUTextureDescriptor);
    original.popErrorScope().catch(() => null);
    return made;
  };

  const bound = <T extends object>(owner: T, name: string) =>
    (owner as Record<string, (...args: unknown[]) => unknown>)[name]?.bind(owner);
  const original = Object.fromEntries(
    METHODS.map((name) => [name, bound(device, name)]),
  ) as unknown as GPUDevice;

  const patch = (owner: object, name: string) => {
    const call = bound(owner, name);
    if (!call) return;
    Object.defineProperty(owner, name, {
      configurable: true,
      value: (...args: unknown[]) => {
        const now = planned && strikes(planned, name) && calls++ === at;
        if (!planned) calls++;
        if (now) struck = name;
        if (now && planned === 'lost before') device.destroy();
        if (now && planned === 'throws') throw new TypeError(`injected into ${name}`);
        if (now && planned === 'rejects') {
          if (name === 'popErrorScope') scopes.pop();
          const real = call(...args) as Promise<unknown>;
          real.catch(() => null);
          return Promise.reject(new DOMException(`injected into ${name}`, 'OperationError'));
        }
        let result: unknown;
        if (name === 'pushErrorScope') scopes.push({ filter: args[0] as string });
        if (now && planned === 'out of memory') result = invalid(name, args[0] as object);
        else result = call(...args);
        if (now && planned === 'lost after') device.destroy();
        if (name === 'popErrorScope') {
          const scope = scopes.pop();
          if (scope?.error) return (result as Promise<unknown>).then(() => scope.error);
        }
        if (MAKES_MEMORY.includes(name)) watch(result as GPUBuffer);
        return result;
      },
    });
  };
  const watch = (made: GPUBuffer) => {
    alive++;
    let gone = false;
    const destroy = made.destroy.bind(made);
    made.destroy = () => {
      if (!gone) alive--;
      gone = true;
      return destroy();
    };
    for (const name of ['mapAsync', 'getMappedRange']) patch(made, name);
  };
  for (const name of METHODS) {
    patch(device, name);
    if (name in device.queue) patch(device.queue, name);
  }
  return {
    device,
    get calls() {
      return calls;
    },
    get alive() {
      return alive;
    },
    get struck() {
      return struck;
    },
    strike(fault, index) {
      planned = fault;
      at = index;
      calls = 0;
      struck = null;
    },
  };
}
