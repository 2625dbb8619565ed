import type { BufferSlice } from './declaration.ts';
import { check } from './errors.ts';
import type { Runtime, Scope } from './runtime.ts';

/**
 * A tensor that lies in a buffer of the GPU, row-major: codes take a byte each, four a word, and there is no padding but
 * to whole words at the end. Operations that take one leave their result on the GPU too, in buffers that are the
 * caller's to destroy.
 */
export interface GpuTensor<D extends GpuDType = GpuDType> {
  dtype: D;
  dims: readonly number[];
  /** Has exactly the tensor's bytes, in whole words, and the usages STORAGE and COPY_SRC. */
  buffer: BufferSlice;
}

/** What a {@link GpuTensor} may hold. */
export type GpuDType = 'float32' | 'int32' | 'int8' | 'uint8';

export const isGpuTensor = (value: unknown): value is GpuTensor =>
  typeof value === 'object' && value !== null && 'buffer' in value && !ArrayBuffer.isView(value);

/** Bytes of so many elements, in whole words. */
export const gpuBytes = (dtype: GpuDType, count: number) =>
  dtype === 'float32' || dtype === 'int32' ? count * 4 : Math.ceil(count / 4) * 4;

export const bufferOf = (slice: BufferSlice): GPUBuffer => ('buffer' in slice ? slice.buffer : slice);

/**
 * Throws unless it is a buffer, or a slice of one, of exactly so many bytes and with these usages: what was laid out for
 * something else has another size, or else says nothing of itself.
 *
 * @param layout what the bytes are, for the message
 */
export function checkSlice(
  name: string,
  slice: BufferSlice | undefined,
  byteLength: number,
  layout: string,
  usage: readonly ('STORAGE' | 'COPY_SRC')[] = ['STORAGE'],
): asserts slice is BufferSlice {
  const buffer = typeof slice === 'object' && slice !== null ? bufferOf(slice) : undefined;
  check(
    typeof buffer?.usage === 'number' && typeof buffer.size === 'number',
    `${name} must be a GPUBuffer, or a slice { buffer, offset, size } of one`,
    slice,
  );
  const { offset = 0, size = buffer.size - offset } = slice && 'buffer' in slice ? slice : {};
  check(
    size === byteLength && offset + size <= buffer.size,
    `${name} must have ${byteLength} bytes: ${layout}`,
    `${size} of a buffer of ${buffer.size}`,
    'bind a slice of a larger buffer',
  );
  const missing = usage.filter((each) => !(buffer.usage & GPUBufferUsage[each]));
  check(
    missing.length === 0,
    `${name} must have the usage ${usage.join(' | ')}`,
    `none of ${missing.join()}`,
  );
}

/**
 * Throws unless it is a tensor of this dtype whose buffer holds it.
 *
 * @returns how many elements it has
 */
export function checkGpuTensor(name: string, tensor: GpuTensor, dtype: GpuDType): number {
  const { dims, buffer } = tensor;
  check(tensor.dtype === dtype, `${name} must be ${dtype} on the GPU`, tensor.dtype);
  check(
    Array.isArray(dims) && dims.every((size) => Number.isInteger(size) && size > 0),
    `${name} must have dims, positive integers`,
    dims,
  );
  const count = dims.reduce((x, y) => x * y, 1);
  const layout = `${dtype}, ${dims.join(' x ')}`;
  checkSlice(name, buffer, gpuBytes(dtype, count), layout, ['STORAGE', 'COPY_SRC']);
  return count;
}

/** Runs `use` as `runtime.scope` does; what `leave` makes outlives it, unless it fails. */
export async function scopeThatLeaves<T>(
  runtime: Runtime,
  use: (scope: Scope & { leave(byteLength: number, label: string): GPUBuffer }) => Promise<T>,
): Promise<T> {
  const left: GPUBuffer[] = [];
  const leave = (byteLength: number, label: string) => {
    const buffer = runtime.empty(byteLength, label);
    left.push(buffer);
    return buffer;
  };
  try {
    return await runtime.scope((scope) => use({ ...scope, leave }));
  } catch (error) {
    for (const buffer of left) buffer.destroy();
    throw error;
  }
}

/** A tensor's bytes, read back. */
export async function readGpuTensor(
  runtime: Runtime,
  { dtype, dims, buffer }: GpuTensor,
): Promise<ArrayBuffer> {
  const count = dims.reduce((x, y) => x * y, 1);
  const offset = 'buffer' in buffer ? (buffer.offset ?? 0) : 0;
  const bytes = await runtime.read(bufferOf(buffer), gpuBytes(dtype, count), offset);
  return dtype === 'float32' || dtype === 'int32' ? bytes : bytes.slice(0, count);
}
