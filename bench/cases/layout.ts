import { preprocessImageKernel } from '../../src/kernels/preprocess-image.ts';
import { preprocessImageTextureKernel } from '../../src/kernels/preprocess-image-texture.ts';
import { resizeChannelsKernel } from '../../src/kernels/resize-channels.ts';
import { resizeChannelsInt8Kernel } from '../../src/kernels/resize-channels-int8.ts';
import { tileWeightsKernel } from '../../src/kernels/tile-weights.ts';
import {
  byteValues,
  pixelsOf,
  resizePixels,
  resizeTaps,
  writePixels,
} from '../../src/reference/preprocess-image.ts';
import { resizeChannels } from '../../src/reference/resize-channels.ts';
import { resizeChannelsInt8 } from '../../src/reference/resize-channels-int8.ts';
import { tileWeights } from '../../src/reference/tile-weights.ts';
import { seeded } from '../random.ts';
import type { BenchCase, Size } from '../types.ts';
import { kernelCase, repeated } from './kernel-case.ts';

/** Rows of three channels, the channels of a 3x3 filter, and the sides of pictures that become 224 x 224 at most. */
const SIZES: Record<Size, { rows: number; channels: number; side: number }> = {
  tiny: { rows: 70, channels: 20, side: 50 },
  quick: { rows: 4096, channels: 128, side: 640 },
  standard: { rows: 32 * 1024, channels: 512, side: 1080 },
  gpu: { rows: 1000 * 1024, channels: 512, side: 2160 },
};

const floats = (seed: number, count: number) => repeated((n) => seeded(seed).floats(n), count);

/** What stands between others' layouts and ours when their tensors go through our convolutions. */
export function layoutCases(size: Size): BenchCase[] {
  const { rows, channels, side } = SIZES[size];
  const shape = { taps: 9, inputChannels: channels, outputChannels: channels };
  return [
    kernelCase(`resize-channels(rows=${rows},C=3)`, 'fp32', 1, () => {
      const input = floats(80, rows * 3);
      return {
        kernel: resizeChannelsKernel,
        buffers: { input, output: rows * 16 },
        params: { rows, inputChannels: 3, outputChannels: 4 },
        of: 'output',
        near: () => resizeChannels(input, 3, 4),
      };
    }),
    kernelCase(`resize-channels-int8(rows=${rows},C=3)`, 'int8', 1, () => {
      const input = repeated(seeded(82).int8s, rows * 3);
      return {
        kernel: resizeChannelsInt8Kernel,
        buffers: { input, output: rows * 4 },
        params: { rows, inputChannels: 3, outputChannels: 4 },
        of: 'output',
        exact: () => resizeChannelsInt8(input, 3, 4),
      };
    }),
    kernelCase(`tile-weights(C=${channels},O=${channels},K=3)`, 'fp32', 1, () => {
      const input = floats(81, 9 * channels ** 2);
      const output = Math.ceil(channels / 16) * 16 * 9 * Math.ceil(channels / 4) * 4;
      return {
        kernel: tileWeightsKernel,
        buffers: { input, output: output * 4 },
        params: shape,
        of: 'output',
        near: () => tileWeights(input, shape),
      };
    }),
    kernelCase(`preprocess-image(from=${side},to=${Math.min(224, side)})`, 'fp32', 1, () => {
      const { source, ...shared } = preprocessing(side);
      return { kernel: preprocessImageKernel, ...shared, buffers: { source, ...shared.buffers } };
    }),
    kernelCase(
      `preprocess-image-texture(from=${side},to=${Math.min(224, side)})`,
      'fp32',
      1,
      ({ runtime }) => {
        const { source: bytes, ...shared } = preprocessing(side);
        const usage = GPUTextureUsage.TEXTURE_BINDING | GPUTextureUsage.COPY_DST;
        const source = runtime.device.createTexture({ size: [side, side], format: 'rgba8unorm', usage });
        const layout = { bytesPerRow: side * 4 };
        runtime.device.queue.writeTexture({ texture: source }, bytes, layout, [side, side]);
        return { kernel: preprocessImageTextureKernel, ...shared, buffers: { source, ...shared.buffers } };
      },
    ),
  ];
}

/** A square picture that becomes the input of most networks of photographs. */
function preprocessing(side: number) {
  const [mean, std] = [
    [0.485, 0.456, 0.406],
    [0.229, 0.224, 0.225],
  ];
  const length = Math.min(224, side);
  const count = length * length;
  const source = Uint8Array.from(repeated(seeded(83).int8s, side * side * 4));
  const tables = resizeTaps(side, 0, side, length, 'bilinear');
  const taps = Math.max(...tables.map(({ weights }) => weights.length));
  const weights = new Int32Array(2 * length * taps);
  for (const [i, table] of [...tables, ...tables].entries()) weights.set(table.weights, i * taps);
  const spans = Uint32Array.from(
    [...tables, ...tables].flatMap(({ first, weights }) => [first, weights.length]),
  );
  return {
    source,
    buffers: { spans, weights, values: byteValues(3, mean, std), output: count * 12 },
    params: {
      ...{ width: length, height: length, sourceWidth: side, channels: 3, reversed: 0, taps, offset: 0 },
      ...{ pixelStride: 1, channelStride: count },
    },
    of: 'output',
    exact: () => {
      const size = { width: length, height: length };
      const picture = pixelsOf(source, side, side, 3);
      const output = new Float32Array(count * 3);
      const resized = resizePixels(picture, { x: 0, y: 0, width: side, height: side }, size, 'bilinear');
      writePixels(resized, { mean, std, layout: 'nchw' }, output);
      return output;
    },
  };
}
