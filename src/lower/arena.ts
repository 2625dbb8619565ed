import type { Runtime } from '../gpu/runtime.ts';
import { texelBytes, uploadTexels } from '../gpu/texels.ts';
import type { Operand, Step } from './lower.ts';

/** Activations placed in as few buffers as their lifetimes allow, and constants uploaded once. */
export interface Arena {
  buffer(operand: Operand): { buffer: GPUBuffer; offset: number; size: number };
  /** A constant as a texture. */
  texels(operand: Extract<Operand, { constant: ArrayBufferView }>): GPUTexture;
  /** Which slab each tensor sits in, for the plan. */
  slabs: ReadonlyMap<string, number>;
  activationBytes: number;
  constantBytes: number;
  destroy(): void;
}

/**
 * Places tensors by lifetime: a tensor lives from the step that writes it to the last that reads it, and takes over
 * the smallest slab that is free by then. A slab is a buffer of its own, because WebGPU refuses a buffer that is
 * read and written by one dispatch, whatever the ranges.
 *
 * @param keep tensors that must still be there at the end (the logits, calibration results).
 */
export function placeTensors(
  runtime: Runtime,
  steps: readonly Pick<Step, 'operands'>[],
  keep: ReadonlySet<string>,
): Arena {
  const lastUse = new Map<string, number>();
  const sizes = new Map<string, number>();
  for (const [index, step] of steps.entries()) {
    for (const operand of Object.values(step.operands)) {
      if (!('tensor' in operand)) continue;
      lastUse.set(operand.tensor, keep.has(operand.tensor) ? Number.POSITIVE_INFINITY : index);
      sizes.set(operand.tensor, Math.max(sizes.get(operand.tensor) ?? 0, operand.byteLength));
    }
  }
  const slabs = new Map<string, number>();
  const byteLengths: number[] = [];
  const busyUntil: number[] = [];
  for (const [index, step] of steps.entries()) {
    for (const operand of Object.values(step.operands)) {
      if (!('tensor' in operand) || slabs.has(operand.tensor)) continue;
      const size = sizes.get(operand.tensor)!;
      const free = busyUntil.flatMap((until, slab) => (until < index ? [slab] : []));
      // Growing a slab costs the difference, a new one its whole size: take the free slab nearest in size.
      free.sort((a, b) => Math.abs(byteLengths[a] - size) - Math.abs(byteLengths[b] - size));
      const slab = free[0] ?? byteLengths.push(0) - 1;
      byteLengths[slab] = Math.max(byteLengths[slab], size);
      busyUntil[slab] = lastUse.get(operand.tensor)!;
      slabs.set(operand.tensor, slab);
    }
  }

  const owned: { destroy(): void }[] = [];
  const own = <R extends { destroy(): void }>(resource: R): R => {
    owned.push(resource);
    return resource;
  };
  let buffers: GPUBuffer[];
  try {
    buffers = byteLengths.map((size, slab) => own(runtime.empty(size, `activation slab ${slab}`)));
  } catch (error) {
    for (const buffer of owned) buffer.destroy();
    throw error;
  }
  const constants = new Map<ArrayBufferView, GPUBuffer>();
  const textures = new Map<ArrayBufferView, GPUTexture>();
  let constantBytes = 0;
  return {
    slabs,
    activationBytes: byteLengths.reduce((a, b) => a + b, 0),
    get constantBytes() {
      return constantBytes;
    },
    buffer(operand) {
      if ('tensor' in operand) {
        return {
          buffer: buffers[slabs.get(operand.tensor)!],
          offset: 0,
          size: Math.ceil(operand.byteLength / 4) * 4,
        };
      }
      let buffer = constants.get(operand.constant);
      if (!buffer) {
        buffer = own(runtime.upload(operand.constant, operand.label));
        constants.set(operand.constant, buffer);
        constantBytes += buffer.size;
      }
      return { buffer, offset: 0, size: buffer.size };
    },
    texels({ constant, label }) {
      let texture = textures.get(constant);
      if (!texture) {
        texture = own(uploadTexels(runtime.device, constant, label));
        textures.set(constant, texture);
        constantBytes += texelBytes(texture);
      }
      return texture;
    },
    destroy() {
      for (const resource of owned) resource.destroy();
    },
  };
}
