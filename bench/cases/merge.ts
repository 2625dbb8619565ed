import { add } from '../../src/kernels/add.ts';
import { concat } from '../../src/kernels/concat.ts';
import { addReference } from '../../src/reference/add.ts';
import { concatReference } from '../../src/reference/concat.ts';
import { seeded } from '../random.ts';
import type { BenchCase, Size } from '../types.ts';
import { kernelCase, repeated } from './kernel-case.ts';

const HIGHEST = 3.4028234663852886e38;

/** A ResNet's first residual block, and the same activation beside one of half its channels. */
const SHAPES: Record<Size, readonly [N: number, H: number, C: number]> = {
  tiny: [2, 5, 12],
  quick: [2, 32, 64],
  standard: [32, 32, 64],
  gpu: [250, 32, 64],
};

/** What joins branches in float32, each bound by memory; the int8 ones are ONNX operators (operators.ts). */
export function mergeCases(size: Size): BenchCase[] {
  const [N, H, C] = SHAPES[size];
  const pixels = N * H * H;
  const floats = (seed: number, channels: number) =>
    repeated((n) => seeded(seed).floats(n), pixels * channels);
  return [
    kernelCase(`add(N=${N},H=${H},C=${C})`, 'fp32', N, () => {
      const [a, b] = [floats(50, C), floats(51, C)];
      return {
        kernel: add,
        buffers: { a, b, output: pixels * C * 4 },
        params: { count: (pixels * C) / 4, low: 0, high: HIGHEST },
        of: 'output',
        // A sum of two floats is rounded once, in whichever direction: adapters differ in its last bit.
        near: () => addReference(a, b, 0, HIGHEST),
      };
    }),
    kernelCase(`concat(N=${N},H=${H},C=${C})`, 'fp32', N, () => {
      // One channel short of whole vectors, so that the second input begins inside one.
      const parts = [C, C / 2].map((stride, i) => ({
        values: floats(52 + i, stride),
        channels: stride - 1 + i,
        stride,
      }));
      const outputStride = C + C / 2;
      const place = (i: number, start: number, width: number) => ({
        kernel: concat,
        params: {
          pixels,
          channels: parts[i].channels,
          width,
          start,
          inputStride: parts[i].stride,
          outputStride,
          low: -HIGHEST,
          high: HIGHEST,
        },
      });
      const size = pixels * outputStride * 4;
      return {
        ...place(0, 0, C - 1),
        buffers: { input: parts[0].values, output: size },
        next: [
          { ...place(1, C - 1, outputStride - C + 1), buffers: { input: parts[1].values, output: 'output' } },
        ],
        of: 'output',
        exact: () => concatReference(parts, pixels, outputStride, -HIGHEST, HIGHEST),
      };
    }),
  ];
}
