import type { Call } from '../gpu/call.ts';
import { check } from '../gpu/errors.ts';
import {
  checkGpuTensor,
  checkSlice,
  type GpuTensor,
  isGpuTensor,
  scopeThatLeaves,
} from '../gpu/gpu-tensor.ts';
import { guardOf } from '../gpu/guard.ts';
import type { BufferSlice } from '../gpu/kernel.ts';
import { checkRuntime, type Runtime, runtimeOn } from '../gpu/runtime.ts';
import { isTexture } from '../gpu/texels.ts';
import { preprocessImageKernel } from '../kernels/preprocess-image.ts';
import { preprocessImageTextureKernel } from '../kernels/preprocess-image-texture.ts';
import {
  byteValues,
  type Crop,
  centerCrop,
  type Interpolation,
  resizeTaps,
} from '../reference/preprocess-image.ts';
import { checkChannelValues, checkPictureSettings, MOST_PIXELS } from './picture-input.ts';

/** A size in pixels. */
export interface PictureSize {
  readonly width: number;
  readonly height: number;
}

/** How a picture becomes a network's input: the names are those of the command line's options. */
export interface PreprocessImageOptions {
  /** Of the result. */
  size: PictureSize;
  /**
   * What of the picture is resized to `size`, in its pixels, of which fractions count; `center` (default) is the largest
   * part of the proportions of `size` in its middle. As in Pillow, the filter sees what lies around the part.
   */
  crop?: 'center' | Crop;
  /** By a filter that is as wide as what it shrinks (default `bilinear`). */
  interpolation?: Interpolation;
  /** Taken from bytes / 255: one number, or one a channel (default 0). */
  mean?: number | readonly number[];
  /** Divides what is left (default 1; 1 / 255 gives 0 to 255). */
  std?: number | readonly number[];
  /** Of the result (default `nchw`). */
  layout?: 'nchw' | 'nhwc';
  /** 3 (default), 1 for grey, or 4 with alpha as one more channel. */
  channels?: 1 | 3 | 4;
  /** Of the colours in the result, in `mean` and in `std` (default `rgb`). */
  order?: 'rgb' | 'bgr';
}

/** Preprocessing of pictures of one size on one device: what it reads and writes are the caller's. */
export interface ImagePreprocessing {
  /** Of pictures: four bytes a pixel, red first, in a buffer, or a texture of rgba8unorm or bgra8unorm. */
  readonly source: PictureSize & { readonly byteLength: number };
  /** The tensor that is written: [N, C, H, W] or [N, H, W, C]. */
  readonly output: {
    readonly dtype: 'float32';
    readonly dims: readonly number[];
    readonly byteLength: number;
  };
  /**
   * The call that writes the picture in `source` to its place in `output`, to be recorded with `recordCalls` as often as
   * the picture changes.
   *
   * @param position of the picture in the batch
   * @throws LloydError for a buffer or texture of another size or format, one that lacks a usage, a position past the
   *   batch
   */
  bind(buffers: { source: BufferSlice | GPUTexture; output: BufferSlice }, position?: number): Call;
  /** Frees the tables of weights. The caller's buffers are untouched. */
  destroy(): void;
}

/**
 * Preprocessing for a loop over pictures that are on the GPU, such as a camera's: the tables are made and the kernels
 * compiled once, and what a frame costs is one dispatch.
 *
 * Bytes are resized as Pillow resizes them (torchvision's Resize of a PIL image, ImageOps.fit for `center`), exactly, and
 * the floats are the same bits that `lloyd quantize` and `lloyd evaluate` compute from a file with these pixels.
 *
 * @param runtime of `createRuntime`, or a GPUDevice.
 * @param options Those of `preprocessImage`, the size of the pictures, and how many make a batch (default 1).
 * @throws LloydError for a size that is no size, a crop that is not inside the picture, a mean that is not finite, a
 *   deviation of 0, as many values as there are no channels, or a name that is not known
 * @example
 * const preprocessing = await preparePreprocessImage(device, {
 *   source: { width: 640, height: 480 }, size: { width: 224, height: 224 },
 *   mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225],
 * });
 * const image = runtime.empty(preprocessing.output.byteLength);
 * const call = preprocessing.bind({ source: camera, output: image }); // a texture of 640 x 480
 * recordCalls(encoder, [call]); // every frame, before session.encode(encoder, { image }, { scores })
 */
export async function preparePreprocessImage(
  runtime: Runtime | GPUDevice,
  options: PreprocessImageOptions & { source: PictureSize; batch?: number },
): Promise<ImagePreprocessing> {
  const own = await runtimeOn(runtime);
  const { source, size, channels = 3, layout = 'nchw', order = 'rgb', batch = 1 } = options ?? {};
  const { interpolation = 'bilinear', crop = 'center' } = options ?? {};
  checkSize('source', source);
  checkSize('size', size);
  for (const [name, value, allowed] of [
    ['channels', channels, [1, 3, 4]],
    ['layout', layout, ['nchw', 'nhwc']],
    ['order', order, ['rgb', 'bgr']],
    ['interpolation', interpolation, ['bilinear', 'bicubic']],
  ] as const) {
    check((allowed as readonly unknown[]).includes(value), `${name} must be ${allowed.join(' or ')}`, value);
  }
  check(Number.isInteger(batch) && batch >= 1, 'batch must be a positive integer', batch);
  const [mean, std] = [options.mean ?? 0, options.std ?? 1].map((given) =>
    typeof given === 'number' ? [given] : given,
  );
  checkPictureSettings({ mean, std }, { mean: 'mean', std: 'std' });
  checkChannelValues('mean', mean, channels);
  checkChannelValues('std', std, channels);
  const {
    x,
    y,
    width: wide,
    height: high,
  } = crop === 'center' ? centerCrop(source, size) : checkCrop(crop, source);

  const { width, height } = size;
  const tables = [
    ...resizeTaps(source.width, x, x + wide, width, interpolation),
    ...resizeTaps(source.height, y, y + high, height, interpolation),
  ];
  const taps = Math.max(...tables.map(({ weights }) => weights.length));
  const weights = new Int32Array(tables.length * taps);
  for (const [i, table] of tables.entries()) weights.set(table.weights, i * taps);
  const count = channels * width * height;
  const dims = layout === 'nchw' ? [batch, channels, height, width] : [batch, height, width, channels];
  const output = { dtype: 'float32' as const, dims, byteLength: batch * count * 4 };
  const params = {
    ...{ width, height, sourceWidth: source.width, channels, reversed: order === 'bgr' ? 1 : 0, taps },
    ...(layout === 'nchw'
      ? { pixelStride: 1, channelStride: width * height }
      : { pixelStride: channels, channelStride: 1 }),
  };
  const pixels = { width: source.width, height: source.height, byteLength: source.width * source.height * 4 };
  const owned: GPUBuffer[] = [];
  const destroy = () => {
    for (const buffer of owned.splice(0)) buffer.destroy();
  };
  try {
    return await guardOf(own.device).operation(async () => {
      const upload = (data: ArrayBufferView, label: string) => {
        const buffer = own.upload(data, label);
        owned.push(buffer);
        return buffer;
      };
      const fixed = {
        spans: upload(
          Uint32Array.from(tables.flatMap(({ first, weights }) => [first, weights.length])),
          'spans',
        ),
        weights: upload(weights, 'weights'),
        values: upload(byteValues(channels, mean, std), 'values'),
      };
      const [fromBuffer, fromTexture] = await Promise.all([
        preprocessImageKernel.create(own.device),
        preprocessImageTextureKernel.create(own.device),
      ]);
      return {
        source: pixels,
        output,
        bind(buffers, position = 0) {
          const { source: given, output: written } = buffers ?? {};
          check(
            owned.length > 0,
            'a preprocessing must not have been destroyed',
            'one that was',
            'prepare it again',
          );
          check(
            Number.isInteger(position) && position >= 0 && position < batch,
            `position must be one in the batch, 0 to ${batch - 1}`,
            position,
          );
          checkSlice('output', written, output.byteLength, `float32, ${dims.join(' x ')}`);
          const own = { ...params, offset: position * count };
          if (isTexture(given)) {
            checkTexture(given, pixels);
            return fromTexture.bind({ source: given, ...fixed, output: written }, own);
          }
          checkSlice(
            'source',
            given,
            pixels.byteLength,
            `${pixels.width} x ${pixels.height} pixels of four bytes`,
          );
          return fromBuffer.bind({ source: given, ...fixed, output: written }, own);
        },
        destroy,
      } satisfies ImagePreprocessing;
    });
  } catch (error) {
    destroy();
    throw error;
  }
}

/**
 * A picture that is on the GPU as an image network's input, which stays there: cropped, resized as Pillow does it, scaled
 * to 0 to 1, less the mean, divided by the deviation, in the network's layout. For one picture; a loop over many of one
 * size records {@link preparePreprocessImage}.
 *
 * @param source a texture of rgba8unorm or bgra8unorm with the usage TEXTURE_BINDING, as `copyExternalImageToTexture`
 *   fills it, or uint8 [H, W, 4], red first, as a canvas's ImageData has it.
 * @returns float32 [1, C, H, W], or [1, H, W, C] for `nhwc`; the buffer is the caller's to destroy.
 * @throws LloydError as {@link preparePreprocessImage}, and for a source of another format, shape or usage
 * @example
 * const pixels = { dtype: 'uint8', dims: [2, 2, 4], buffer: runtime.upload(new Uint8Array(16).fill(255)) };
 * const image = await preprocessImage(runtime, pixels, { size: { width: 1, height: 1 }, mean: 0.5, std: 0.5 });
 * image.dims; // [1, 3, 1, 1]
 * new Float32Array(await runtime.read(image.buffer)); // [1, 1, 1]
 */
export async function preprocessImage(
  runtime: Runtime,
  source: GPUTexture | GpuTensor<'uint8'>,
  options: PreprocessImageOptions,
): Promise<GpuTensor<'float32'> & { buffer: GPUBuffer }> {
  checkRuntime(runtime);
  const size = isTexture(source) ? source : sizeOfPixels(source);
  const preprocessing = await preparePreprocessImage(runtime, { ...options, batch: 1, source: size });
  const { dtype, dims, byteLength } = preprocessing.output;
  try {
    return await scopeThatLeaves(runtime, async ({ keep, leave }) => {
      const buffer = leave(byteLength, 'image');
      const given = isTexture(source) ? source : source.buffer;
      runtime.submit([keep(preprocessing.bind({ source: given, output: buffer }))]);
      return { dtype, dims, buffer };
    });
  } finally {
    preprocessing.destroy();
  }
}

function sizeOfPixels(source: GpuTensor): PictureSize {
  check(
    isGpuTensor(source),
    'source must be a texture, or a tensor { dtype, dims, buffer } on the GPU',
    source ?? 'none',
  );
  checkGpuTensor('source', source, 'uint8');
  const [height, width, channels] = source.dims;
  check(source.dims.length === 3 && channels === 4, 'source must have the dims [H, W, 4]', source.dims);
  return { width, height };
}

function checkSize(name: string, size: PictureSize | undefined): void {
  const { width, height } = size ?? ({} as Partial<PictureSize>);
  const isExtent = (value: unknown): value is number => Number.isInteger(value) && (value as number) >= 1;
  check(
    isExtent(width) && isExtent(height) && width * height <= MOST_PIXELS,
    `${name} must be { width, height }, at least 1 each, of at most ${MOST_PIXELS} pixels`,
    size ?? 'none',
  );
}

/** A crop that is inside the picture, by more than float32 rounds off. */
function checkCrop(crop: Crop, { width, height }: PictureSize): Crop {
  const { x, y, width: wide, height: high } = crop ?? ({} as Partial<Crop>);
  const inside = (start: number, length: number, most: number) =>
    start >= 0 && Math.fround(start + length) > Math.fround(start) && Math.fround(start + length) <= most;
  check(
    inside(x, wide, width) && inside(y, high, height),
    `crop must be 'center', or { x, y, width, height } inside the picture of ${width} x ${height}, and not empty`,
    crop,
  );
  return crop;
}

function checkTexture(texture: GPUTexture, { width, height }: PictureSize): void {
  const { format, dimension, depthOrArrayLayers, sampleCount, usage } = texture;
  check(
    format === 'rgba8unorm' || format === 'bgra8unorm',
    'source must be a texture of rgba8unorm or bgra8unorm',
    format,
    format.endsWith('-srgb') ? 'networks take encoded colours: make it without -srgb' : undefined,
  );
  check(
    texture.width === width &&
      texture.height === height &&
      dimension === '2d' &&
      depthOrArrayLayers === 1 &&
      sampleCount === 1,
    `source must be one picture of ${width} x ${height}`,
    `${texture.width} x ${texture.height} x ${depthOrArrayLayers}, ${dimension}, ${sampleCount} samples`,
    'prepare it for another size',
  );
  check(
    usage & GPUTextureUsage.TEXTURE_BINDING,
    'source must have the usage TEXTURE_BINDING',
    `a texture of usage ${usage}`,
  );
}
