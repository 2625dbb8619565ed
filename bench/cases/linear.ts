import { observeHistogramKernel } from '../../src/kernels/observe-histogram.ts';
import { linearDequantize, linearQuantize } from '../../src/quantize/linear.ts';
import { dequantizeLinear } from '../../src/reference/dequantize-linear.ts';
import { OBSERVED_BINS, observeHistogram } from '../../src/reference/observe-histogram.ts';
import { quantizeLinear } from '../../src/reference/quantize-linear.ts';
import { seeded } from '../random.ts';
import type { BenchCase, BenchContext, Opened, Size } from '../types.ts';
import { hold } from './held.ts';
import { type Dispatch, kernelCase, repeated } from './kernel-case.ts';
import { timedCalls } from './timed.ts';

const SHAPES: Record<Size, readonly [rows: number, columns: number]> = {
  tiny: [5, 77],
  quick: [256, 1024],
  standard: [1024, 4096],
  gpu: [16384, 4096],
};

interface Weights {
  rows: number;
  columns: number;
  values: Float32Array;
  scale: Float32Array;
  zeroPoint: Int32Array;
}

/** Per-channel linear quantization, its inverse, and what it goes by, ranges and histograms: all bound by memory. */
export function linearCases(size: Size): BenchCase[] {
  const [rows, columns] = SHAPES[size];
  const shape = `(rows=${rows},columns=${columns},bits=8)`;
  const of = (
    name: string,
    open: (context: BenchContext, weights: Weights) => Promise<Opened>,
  ): BenchCase => ({
    name: `${name}${shape}`,
    subjects: [
      {
        implementation: 'lloyd',
        precision: 'int8',
        batch: 1,
        open: (context) => open(context, makeWeights(rows, columns)),
      },
    ],
  });
  return [
    of('quantize-linear', openQuantize),
    of('dequantize-linear', openDequantize),
    of('reduce-min-max', openReduce),
    kernelCase(`observe-histogram(count=${rows * columns})`, 'fp32', 1, () => observed(rows * columns)),
  ];
}

function makeWeights(rows: number, columns: number): Weights {
  const random = seeded(rows + columns);
  const values = random.floats(rows * columns);
  const scale = Float32Array.from({ length: rows }, (_, row) => (1 + (row % 7)) / 128);
  return { rows, columns, values, scale, zeroPoint: new Int32Array(rows) };
}

async function openQuantize({ runtime }: BenchContext, weights: Weights): Promise<Opened> {
  const { rows, columns, values, scale, zeroPoint } = weights;
  const options = { bits: 8, shape: [rows, columns], axis: 0, scale, zeroPoint };
  const held = await hold(runtime, /quantize/, (own) => linearQuantize(own, values, options));
  const layout = { axisSize: rows, axisStride: columns };
  return {
    ...(await memoryBound(runtime, held, values.length * 5)),
    output: async () => (await held.release()).codes,
    expected: () => Int8Array.from(quantizeLinear(values, scale, zeroPoint, layout, -128, 127)),
  };
}

async function openDequantize({ runtime }: BenchContext, weights: Weights): Promise<Opened> {
  const { rows, columns, scale, zeroPoint } = weights;
  const codes = seeded(rows).int8s(rows * columns);
  const quantized = { codes, scale, zeroPoint, bits: 8, shape: [rows, columns], axis: 0, groupSize: null };
  const held = await hold(runtime, /dequantize/, (own) => linearDequantize(own, quantized));
  const layout = { axisSize: rows, axisStride: columns };
  return {
    ...(await memoryBound(runtime, held, codes.length * 5)),
    output: () => held.release(),
    expected: () => dequantizeLinear(codes, scale, zeroPoint, layout),
  };
}

async function openReduce({ runtime }: BenchContext, weights: Weights): Promise<Opened> {
  const { rows, columns, values } = weights;
  const options = { bits: 8, shape: [rows, columns], axis: 0 };
  const held = await hold(runtime, /reduce/, (own) => linearQuantize(own, values, options));
  return {
    ...(await memoryBound(runtime, held, values.length * 4)),
    output: async () => (await held.release()).scale,
  };
}

function observed(count: number): Dispatch {
  const input = repeated((n) => seeded(count).floats(n), count);
  const [low, high] = [input.reduce((a, b) => Math.min(a, b)), input.reduce((a, b) => Math.max(a, b))];
  const dense = { rowLength: 1, channels: 1 };
  return {
    kernel: observeHistogramKernel,
    buffers: {
      input,
      minimum: Float32Array.of(low),
      maximum: Float32Array.of(high),
      counts: OBSERVED_BINS * 4,
    },
    params: { count, ...dense, slices: 1 },
    of: 'counts',
    exact: () => observeHistogram(input, low, high, dense),
  };
}

async function memoryBound(
  runtime: BenchContext['runtime'],
  held: Awaited<ReturnType<typeof hold<unknown>>>,
  bytes: number,
): Promise<Opened> {
  const { stop, ...timed } = await timedCalls(runtime, held.calls);
  return {
    ...timed,
    work: { amount: bytes, unit: 'GB/s' },
    bound: { ceiling: 'copyGBps', amount: bytes },
    async close() {
      stop();
      await held.release();
    },
  };
}
