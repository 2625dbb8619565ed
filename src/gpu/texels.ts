import { check } from './errors.ts';

/** Texels a row, a power of two that `shaders/lib/texels.wgsl` shares. */
const ROW_TEXELS = 4096;
const TEXEL_BYTES = 16;
const ROW_BYTES = ROW_TEXELS * TEXEL_BYTES;

/** What fits a texture of every WebGPU adapter, whose textures have at least 8192 rows. */
export const SURE_TEXTURE_BYTES = 8192 * ROW_BYTES;

/** Whether it is a GPUTexture, of whatever realm or wrapping. */
export function isTexture(resource: unknown): resource is GPUTexture {
  return typeof resource === 'object' && resource !== null && 'createView' in resource;
}

/**
 * A texture of four u32 a texel that holds the bytes of a buffer in order: what a `texture_2d<u32>` binding reads.
 *
 * An adapter that is a CPU gathers a texel with one 16-byte load a lane; from a storage buffer it loads every component
 * of every lane alone, with a bounds check each.
 *
 * @throws LloydError for a part of a texel, or more rows than the adapter's textures have
 */
export function texelTexture(device: GPUDevice, byteLength: number, label: string): GPUTexture {
  check(
    byteLength % TEXEL_BYTES === 0,
    `${label} must be whole texels of ${TEXEL_BYTES} bytes`,
    byteLength,
    'pad it with zeros',
  );
  const rows = Math.max(1, Math.ceil(byteLength / ROW_BYTES));
  const limit = device.limits.maxTextureDimension2D;
  check(
    rows <= limit,
    `${label} must fit a texture of ${limit} rows, ${limit * ROW_BYTES} bytes`,
    byteLength,
    'split the work into smaller batches',
  );
  return device.createTexture({
    label,
    size: [ROW_TEXELS, rows],
    format: 'rgba32uint',
    usage: GPUTextureUsage.TEXTURE_BINDING | GPUTextureUsage.COPY_DST,
  });
}

/** Bytes that a texture of {@link texelTexture} takes. */
export const texelBytes = (texture: GPUTexture) => texture.height * ROW_BYTES;

/** Records the copy of `byteLength` bytes, whole texels, into a texture: whole rows, then the rest of one. */
export function copyToTexels(
  encoder: GPUCommandEncoder,
  { buffer, offset, byteLength }: { buffer: GPUBuffer; offset: number; byteLength: number },
  texture: GPUTexture,
): void {
  const rows = Math.floor(byteLength / ROW_BYTES);
  const rest = (byteLength % ROW_BYTES) / TEXEL_BYTES;
  const copy = (row: number, width: number, height: number) =>
    encoder.copyBufferToTexture(
      { buffer, offset: offset + row * ROW_BYTES, bytesPerRow: ROW_BYTES },
      { texture, origin: [0, row] },
      [width, height],
    );
  if (rows > 0) copy(0, ROW_TEXELS, rows);
  if (rest > 0) copy(rows, rest, 1);
}

/**
 * A texture for a `texture_2d<u32>` binding, filled once: for what does not change from run to run.
 *
 * @param data whole texels of 16 bytes
 * @throws LloydError for a part of a texel, or more rows than the adapter's textures have
 * @example
 * const weights = uploadTexels(device, new Uint32Array(64), 'weights');
 * const call = kernel.bind({ input, weights, output }, params);
 */
export function uploadTexels(device: GPUDevice, data: ArrayBufferView, label: string): GPUTexture {
  const { byteLength } = data;
  const texture = texelTexture(device, byteLength, label);
  const bytes = new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, byteLength);
  const rows = Math.floor(byteLength / ROW_BYTES);
  const rest = (byteLength % ROW_BYTES) / TEXEL_BYTES;
  const write = (row: number, width: number, height: number) =>
    device.queue.writeTexture(
      { texture, origin: [0, row] },
      bytes,
      { offset: row * ROW_BYTES, bytesPerRow: ROW_BYTES },
      [width, height],
    );
  if (rows > 0) write(0, ROW_TEXELS, rows);
  if (rest > 0) write(rows, rest, 1);
  return texture;
}
