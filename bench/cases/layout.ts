import { resizeChannelsKernel } from '../../src/kernels/resize-channels.ts';
import { resizeChannelsInt8Kernel } from '../../src/kernels/resize-channels-int8.ts';
import { tileWeightsKernel } from '../../src/kernels/tile-weights.ts';
import { resizeChannels } from '../../src/reference/resize-channels.ts';
import { resizeChannelsInt8 } from '../../src/reference/resize-channels-int8.ts';
import { tileWeights } from '../../src/reference/tile-weights.ts';
import { seeded } from '../random.ts';
import type { BenchCase, Size } from '../types.ts';
import { kernelCase, repeated } from './kernel-case.ts';

/** Rows of three channels, and the channels of a 3x3 filter. */
const SIZES: Record<Size, { rows: number; channels: number }> = {
  tiny: { rows: 70, channels: 20 },
  quick: { rows: 4096, channels: 128 },
  standard: { rows: 32 * 1024, channels: 512 },
  gpu: { rows: 1000 * 1024, channels: 512 },
};

const floats = (seed: number, count: number) => repeated((n) => seeded(seed).floats(n), count);

/** What stands between others' layouts and ours when their tensors go through our convolutions. */
export function layoutCases(size: Size): BenchCase[] {
  const { rows, channels } = SIZES[size];
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
  ];
}
