import { add } from '../../src/kernels/add.ts';
import { addInt8 } from '../../src/kernels/add-int8.ts';
import { concat } from '../../src/kernels/concat.ts';
import { concatInt8 } from '../../src/kernels/concat-int8.ts';
import { prepareAdd } from '../../src/quantize/add.ts';
import { prepareConcat } from '../../src/quantize/concat.ts';
import { addReference } from '../../src/reference/add.ts';
import { addInt8Reference } from '../../src/reference/add-int8.ts';
import { concatReference } from '../../src/reference/concat.ts';
import { rescaleReference } from '../../src/reference/concat-int8.ts';
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

/** What joins branches, in float32 and in packed int8, each bound by memory. */
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
    addInt8Case(N, H, C),
    concatInt8Case(N, H, C),
  ];
}

/** Scale and zero point of two int8 inputs and of what they make. */
const QPARAMS = [
  { scale: Math.fround(0.02), zeroPoint: 3 },
  { scale: Math.fround(0.05), zeroPoint: -7 },
  { scale: Math.fround(0.06), zeroPoint: -5 },
] as const;
const FLIP = 128;
const BOUNDS = { low: -128, high: 127 };

function addInt8Case(N: number, H: number, C: number): BenchCase {
  return kernelCase(`add-int8(N=${N},H=${H},C=${C})`, 'int8', N, () => {
    const count = N * H * H * C;
    const [a, b] = [7, 8].map((seed) => repeated((n) => seeded(seed).int8s(n), count));
    const [p, q, y] = QPARAMS;
    const { ADD, words } = prepareAdd(
      'ort-f32',
      [p.scale, q.scale, y.scale],
      [p.zeroPoint, q.zeroPoint, y.zeroPoint],
    );
    return {
      kernel: addInt8,
      specialization: { ADD },
      buffers: { a, b, output: count },
      params: {
        ...{ count, aCount: count, bCount: count },
        ...{ aFlip: FLIP, bFlip: FLIP, aShift: FLIP, bShift: FLIP },
        ...{ aZero: p.zeroPoint + FLIP, bZero: q.zeroPoint + FLIP, zeroPoint: y.zeroPoint, ...BOUNDS },
        ...words,
      },
      of: 'output',
      exact: () => a.map((code, i) => addInt8Reference('ort-f32', code, b[i], p, q, { ...y, ...BOUNDS })),
    };
  });
}

function concatInt8Case(N: number, H: number, C: number): BenchCase {
  return kernelCase(`concat-int8(N=${N},H=${H},C=${C})`, 'int8', N, async ({ runtime }) => {
    const [rows, y] = [N * H * H, QPARAMS[2]];
    const parts = QPARAMS.slice(0, 2).map((own, i) => ({
      ...own,
      codes: repeated((n) => seeded(7 + i).int8s(n), rows * C),
    }));
    const dispatches = await Promise.all(
      parts.map(async ({ scale, zeroPoint }, i) => {
        const place = { start: i * C, length: C };
        const { specialization, params } = await prepareConcat(runtime, 'ort-f32', scale, y.scale, place);
        const common = { rows, inputStride: C, outputWords: Math.ceil(C / 2), flip: FLIP };
        const zeros = { zero: zeroPoint + FLIP, zeroPoint: y.zeroPoint, ...BOUNDS };
        return { kernel: concatInt8, specialization, params: { ...common, ...zeros, ...params } };
      }),
    );
    return {
      ...dispatches[0],
      buffers: { input: parts[0].codes, output: rows * C * 2 },
      next: [{ ...dispatches[1], buffers: { input: parts[1].codes, output: 'output' } }],
      of: 'output',
      exact: () =>
        Int8Array.from({ length: rows * C * 2 }, (_, i) => {
          const { codes, ...own } = parts[Math.floor(i / C) % 2];
          const code = codes[Math.floor(i / C / 2) * C + (i % C)];
          return rescaleReference('ort-f32', code, own, { ...y, ...BOUNDS });
        }),
    };
  });
}
