import { expect } from 'vitest';
import type { Runtime } from '../../src/gpu/runtime.ts';
import {
  type Crop,
  centerCrop,
  type Pixels,
  pixelsOf,
  resizePixels,
  writePixels,
} from '../../src/reference/preprocess-image.ts';
import { type PreprocessImageOptions, preparePreprocessImage } from '../../src/run/preprocess-image.ts';
import { firstDifference } from './dispatch.ts';
import { guardedOutput, seeded } from './runtime.ts';

export interface PreprocessCase extends PreprocessImageOptions {
  source: { width: number; height: number };
  batch?: number;
  position?: number;
}

const IMAGENET = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };

/** Ragged sizes on either side of a workgroup, enlarged and shrunk by no integer, cut at every edge, every layout. */
export const CASES: readonly PreprocessCase[] = [
  { source: { width: 1, height: 1 }, size: { width: 1, height: 1 } },
  { source: { width: 1, height: 1 }, size: { width: 5, height: 13 }, layout: 'nhwc', ...IMAGENET },
  { source: { width: 9, height: 7 }, size: { width: 9, height: 7 }, mean: 0.5, std: 0.5 },
  { source: { width: 37, height: 23 }, size: { width: 16, height: 16 }, ...IMAGENET },
  { source: { width: 37, height: 23 }, size: { width: 16, height: 16 }, ...IMAGENET, order: 'bgr' },
  {
    source: { width: 23, height: 37 },
    size: { width: 9, height: 7 },
    layout: 'nhwc',
    ...IMAGENET,
    order: 'bgr',
  },
  { source: { width: 11, height: 6 }, size: { width: 29, height: 31 }, channels: 4, std: 1 / 255 },
  {
    source: { width: 40, height: 30 },
    size: { width: 13, height: 5 },
    channels: 4,
    order: 'bgr',
    layout: 'nhwc',
  },
  { source: { width: 40, height: 30 }, size: { width: 13, height: 5 }, channels: 1, mean: 0.13, std: 0.31 },
  {
    source: { width: 19, height: 50 },
    size: { width: 21, height: 3 },
    channels: 1,
    order: 'bgr',
    layout: 'nhwc',
  },
  {
    ...{ source: { width: 31, height: 17 }, size: { width: 7, height: 9 }, interpolation: 'bicubic' },
    ...{ batch: 3, position: 1, mean: [0.1], std: [0.2, 0.3, 0.4] },
  },
  {
    ...{ source: { width: 12, height: 8 }, size: { width: 33, height: 65 }, interpolation: 'bicubic' },
    ...{ batch: 2, position: 1, layout: 'nhwc', channels: 4, mean: [1, 2, 3, 4], std: -2 },
  },
  ...(
    [
      { x: 0, y: 0, width: 9, height: 11 },
      { x: 14, y: 12, width: 9, height: 11 },
      { x: 3.3, y: 0.7, width: 19.7, height: 1 },
      { x: 22.5, y: 5, width: 0.5, height: 18 },
    ] as const
  ).map((crop) => ({ source: { width: 23, height: 23 }, size: { width: 8, height: 10 }, crop, ...IMAGENET })),
  {
    source: { width: 300, height: 4 },
    size: { width: 1, height: 1 },
    crop: { x: 0, y: 0, width: 300, height: 4 },
  },
  { source: { width: 250, height: 190 }, size: { width: 64, height: 48 }, interpolation: 'bicubic' },
];

export const nameOf = ({ source, size, ...rest }: PreprocessCase) =>
  `${source.width}x${source.height} to ${size.width}x${size.height} ${JSON.stringify(rest)}`;

/** Bytes of which many are the least and the most, so that filters overshoot. */
export function noise({ width, height }: { width: number; height: number }, seed = width * 1000 + height) {
  const random = seeded(seed);
  return Uint8Array.from({ length: width * height * 4 }, () => random.pick([0, 255, random.integer(0, 255)]));
}

const list = (values: number | readonly number[]) => (typeof values === 'number' ? [values] : values);

/** What the host makes of RGBA bytes. */
export function expected(bytes: Uint8Array, options: PreprocessCase): Float32Array {
  const { source, size, channels = 3, crop = 'center', interpolation = 'bilinear' } = options;
  const { mean = 0, std = 1, layout = 'nchw', order } = options;
  const part = crop === 'center' ? centerCrop(source, size) : crop;
  const pixels = pixelsOf(bytes, source.width, source.height, channels);
  const output = new Float32Array(size.width * size.height * channels);
  const normalization = { mean: list(mean), std: list(std), layout, order };
  writePixels(resizePixels(pixels, part, size, interpolation), normalization, output);
  return output;
}

/** What the GPU makes of them, the rest of the batch and everything around it left alone. */
export async function preprocessed(
  runtime: Runtime,
  options: PreprocessCase,
  source: GPUTexture | GPUBuffer,
): Promise<Float32Array> {
  const { position = 0, batch = 1, ...rest } = options;
  const preprocessing = await preparePreprocessImage(runtime, { ...rest, batch });
  const output = guardedOutput(runtime, preprocessing.output.byteLength);
  const call = preprocessing.bind({ source, output: output.slice }, position);
  runtime.submit([call]);
  const written = await output.read();
  call.destroy();
  preprocessing.destroy();
  const each = preprocessing.output.byteLength / batch;
  for (const [i, word] of new Uint32Array(written).entries()) {
    if (Math.floor((i * 4) / each) !== position) expect(word).toBe(0xdeadbeef);
  }
  return new Float32Array(written, position * each, each / 4);
}

/** A texture of RGBA bytes, in the order of its format. */
export function textureOf(
  device: GPUDevice,
  { width, height }: { width: number; height: number },
  bytes: Uint8Array,
  format: 'rgba8unorm' | 'bgra8unorm' = 'rgba8unorm',
): GPUTexture {
  const usage = GPUTextureUsage.TEXTURE_BINDING | GPUTextureUsage.COPY_DST;
  const texture = device.createTexture({ size: [width, height], format, usage });
  const data = bytes.slice();
  if (format === 'bgra8unorm') {
    for (let p = 0; p < data.length; p += 4) [data[p], data[p + 2]] = [data[p + 2], data[p]];
  }
  device.queue.writeTexture({ texture }, data, { bytesPerRow: width * 4 }, [width, height]);
  return texture;
}

/**
 * A part of a picture resized in float64, straight from the definition: every new pixel is the mean of the source under a
 * triangle (its reach the larger of one pixel and what becomes one) around its centre, and nothing is rounded.
 */
export function triangleMeans(
  picture: Pixels,
  crop: Crop,
  size: { width: number; height: number },
): Float64Array {
  const { width, height, channels, data } = picture;
  const output = new Float64Array(size.width * size.height * channels);
  const weight = (at: number, start: number, length: number, count: number, sample: number) => {
    const step = length / count;
    return Math.max(0, 1 - Math.abs(sample + 0.5 - start - (at + 0.5) * step) / Math.max(1, step));
  };
  for (let y = 0; y < size.height; y++) {
    for (let x = 0; x < size.width; x++) {
      for (let c = 0; c < channels; c++) {
        let [sum, total] = [0, 0];
        for (let v = 0; v < height; v++) {
          const down = weight(y, crop.y, crop.height, size.height, v);
          if (down === 0) continue;
          for (let u = 0; u < width; u++) {
            const both = down * weight(x, crop.x, crop.width, size.width, u);
            total += both;
            sum += both * data[(v * width + u) * channels + c];
          }
        }
        output[(y * size.width + x) * channels + c] = sum / total;
      }
    }
  }
  return output;
}

/** Where the GPU and the host differ in bits, or -1. */
export async function apart(
  runtime: Runtime,
  options: PreprocessCase,
  source: GPUTexture | GPUBuffer,
  want: Float32Array,
): Promise<number> {
  return firstDifference(await preprocessed(runtime, options, source), want);
}
