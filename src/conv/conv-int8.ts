import type { Call } from '../gpu/call.ts';
import { check } from '../gpu/errors.ts';
import type { Kernel, Specialization } from '../gpu/kernel.ts';
import { checkRuntime, type Runtime } from '../gpu/runtime.ts';
import type { Tensor } from '../gpu/tensor.ts';
import { matmulInt8Kernel } from '../kernels/matmul-int8.ts';
import { checkAccumulator, foldZeroPoint } from './accumulator.ts';
import {
  chooseInt8,
  type Int8Buffer,
  type Int8Dispatch,
  int8Dispatches,
  type KernelPreference,
  matmulGeometry,
  packWeights,
  partialBytes,
  prepareKernels,
} from './kernel-choice.ts';
import { prepareMultipliers, type RequantizeRule, requantizeConstant } from './requantize.ts';
import { arrange, type TileLayout, tileLayout, type WeightShape } from './weight-layout.ts';

/** Quantization of an int8 operation: weights are symmetric, activations have a zero point. */
export interface Int8Options {
  /** int32, one an output channel; in units of inputScale * weightScale. */
  bias?: Int32Array;
  inputZeroPoint?: number;
  /** With `outputScale` given the result is int8; without, the int32 accumulators. */
  inputScale?: number;
  /** One, or one an output channel. */
  weightScale?: number | Float32Array;
  outputScale?: number;
  outputZeroPoint?: number;
  /** Bounds of the output codes; a ReLU is `low: outputZeroPoint`. */
  low?: number;
  high?: number;
  requantize?: RequantizeRule;
  /** Which kernels run it; `auto` (default) chooses by the adapter. The result is the same, bit for bit. */
  kernels?: KernelPreference;
}

/** Geometry of {@link conv2dInt8}. */
export interface Conv2dInt8Options extends Int8Options {
  strides?: readonly [number, number];
  dilations?: readonly [number, number];
  /** Top, left, bottom, right. */
  pads?: readonly [number, number, number, number];
  groups?: number;
  /** A fused 2x2, stride 2 max-pool. */
  pool?: boolean;
}

/**
 * int8 convolution with int32 accumulation: bias, clamp, pooling and requantization in the same dispatch.
 *
 * @param input int8, [N, H, W, C].
 * @param weight int8, [O, C / groups, KH, KW].
 * @returns int8 [N, OH, OW, O], or the int32 accumulators when no `outputScale` is given.
 * @throws LloydError for wrong ranks, dtypes or sizes, a scale that is not positive, or an accumulator that could
 *   leave int32.
 * @example
 * const output = await conv2dInt8(runtime, input, weight, {
 *   pads: [1, 1, 1, 1], inputScale: 0.02, weightScale: 0.01, outputScale: 0.05, outputZeroPoint: -128,
 * });
 */
export async function conv2dInt8(
  runtime: Runtime,
  input: Tensor,
  weight: Tensor,
  options: Conv2dInt8Options = {},
): Promise<Tensor> {
  checkRuntime(runtime);
  checkInt8('input', input, 4, 'N x H x W x C');
  checkInt8('weight', weight, 4, 'O x C/groups x KH x KW');
  const [batch, height, width, channels] = input.dims;
  const [outChannels, inChannels, kernelHeight, kernelWidth] = weight.dims;
  const { strides = [1, 1], dilations = [1, 1], pads = [0, 0, 0, 0], groups = 1, pool = false } = options;
  for (const [name, values, least] of [
    ['strides', strides, 1],
    ['dilations', dilations, 1],
    ['pads', pads, 0],
    ['groups', [groups], 1],
  ] as const) {
    check(
      values.every((v) => Number.isInteger(v) && v >= least),
      `${name} must be integers of at least ${least}`,
      values,
    );
  }
  check(
    channels === inChannels * groups && outChannels % groups === 0,
    `weight must have C/groups = ${channels / groups} input channels and a multiple of ${groups} output channels`,
    weight.dims,
  );
  const extent = (size: number, kernel: number, axis: 0 | 1) =>
    Math.floor((size + pads[axis] + pads[axis + 2] - ((kernel - 1) * dilations[axis] + 1)) / strides[axis]) +
    1;
  const outHeight = extent(height, kernelHeight, 0);
  const outWidth = extent(width, kernelWidth, 1);
  const dims = [batch, pool ? outHeight >> 1 : outHeight, pool ? outWidth >> 1 : outWidth, outChannels];
  check(
    dims.every((d) => d >= 1),
    `the window must fit the padded input of ${height} x ${width}`,
    `${kernelHeight} x ${kernelWidth}, output ${dims.join(' x ')}`,
  );
  const pixelCount = dims[0] * dims[1] * dims[2] * (pool ? 4 : 1);
  const shape: WeightShape = { outChannels, inChannels, kernelHeight, kernelWidth, groups };
  await prepareKernels(runtime, options.kernels);
  const plane = {
    inputHeight: height,
    inputWidth: width,
    outputHeight: outHeight,
    outputWidth: outWidth,
    strideHeight: strides[0],
    strideWidth: strides[1],
    dilationWidth: dilations[1],
    pixelCount,
  };
  const choice = chooseInt8(runtime, pixelCount, shape, options.kernels, { plane });
  const { codes, layout } = arrange(weight.data as Int8Array, shape, choice.tileVectors);
  const inputWords = Math.ceil(channels / 4);
  const prepared = await prepare(runtime, 'conv2dInt8', weight.data as Int8Array, layout, options);
  const packedInput = packChannels(input.data as Int8Array, channels);
  const dispatches = int8Dispatches(
    choice,
    { ...prepared.specialization, POOL: pool ? '1u' : '0u' },
    {
      ...plane,
      inputWords,
      outputWords: prepared.outputWords,
      kernelHeight,
      kernelWidth,
      dilationHeight: dilations[0],
      padTop: pads[0],
      padLeft: pads[1],
      groupWords: Math.ceil(layout.paddedChannels / 4),
      groupTiles: layout.groupTiles,
      tileCount: layout.tileCount,
      padWord: ((prepared.inputZeroPoint & 255) * 0x01010101) >>> 0,
      zeroPoint: prepared.zeroPoint,
      low: prepared.low,
      high: prepared.high,
    },
  );
  const partial = partialBytes(choice, pixelCount, layout.tileCount);
  return run(
    runtime,
    dims,
    prepared,
    packedInput,
    packWeights(choice, codes, layout, 8),
    dispatches,
    partial,
  );
}

/**
 * int8 matrix product a x b with int32 accumulation, bias and requantization in the same dispatch.
 *
 * @param a int8, [M, K], with `inputZeroPoint`.
 * @param b int8, [K, N], symmetric, one scale or one a column.
 * @returns int8 [M, N], or the int32 accumulators when no `outputScale` is given.
 * @throws LloydError as {@link conv2dInt8}.
 * @example
 * const accumulators = await matmulInt8(runtime, a, b); // int32
 */
export async function matmulInt8(
  runtime: Runtime,
  a: Tensor,
  b: Tensor,
  options: Int8Options = {},
): Promise<Tensor> {
  checkRuntime(runtime);
  checkInt8('a', a, 2, 'M x K');
  checkInt8('b', b, 2, 'K x N');
  const [M, K] = a.dims;
  const [rows, N] = b.dims;
  check(rows === K, `b must have a's ${K} columns as rows`, b.dims);
  const transposed = new Int8Array(K * N);
  for (let k = 0; k < K; k++)
    for (let n = 0; n < N; n++) transposed[n * K + k] = (b.data as Int8Array)[k * N + n];
  const shape: WeightShape = { outChannels: N, inChannels: K, kernelHeight: 1, kernelWidth: 1, groups: 1 };
  await prepareKernels(runtime, options.kernels);
  const choice = chooseInt8(runtime, M, shape, options.kernels);
  const layout = tileLayout(shape, choice.tileVectors);
  const prepared = await prepare(runtime, 'matmulInt8', transposed, layout, options);
  const { outputWords, zeroPoint, low, high } = prepared;
  const inputWords = layout.paddedChannels / 4;
  const epilogue = { outputWords, tileCount: layout.tileCount, zeroPoint, low, high };
  const dispatches =
    choice.family === 'registers' && choice.variant === 'plain'
      ? [
          {
            kernel: matmulInt8Kernel as unknown as Kernel,
            specialization: { ...choice.specialization, ...prepared.specialization },
            params: { rowCount: M, inputWords, ...epilogue },
            buffers: {
              input: 'input',
              weights: 'weights',
              bias: 'bias',
              multipliers: 'multipliers',
              output: 'output',
            },
          } satisfies Int8Dispatch,
        ]
      : int8Dispatches(choice, prepared.specialization, {
          ...matmulGeometry(M),
          inputWords,
          groupWords: inputWords,
          groupTiles: layout.tileCount,
          padWord: 0,
          ...epilogue,
        });
  const input = packChannels(a.data as Int8Array, K);
  const partial = partialBytes(choice, M, layout.tileCount);
  return run(
    runtime,
    [M, N],
    prepared,
    input,
    packWeights(choice, transposed, layout, 8),
    dispatches,
    partial,
  );
}

function checkInt8(name: string, tensor: Tensor, rank: number, meaning: string): void {
  check(
    tensor?.dtype === 'int8',
    `${name} must be an int8 tensor`,
    tensor?.dtype,
    'shift uint8 codes by -128 first',
  );
  check(tensor.dims.length === rank, `${name} must have the ${rank} dimensions ${meaning}`, tensor.dims);
  const count = tensor.dims.reduce((x, y) => x * y, 1);
  check(count > 0, `${name} must not be empty`, tensor.dims);
  check(
    tensor.data instanceof Int8Array && tensor.data.length === count,
    `${name} must hold ${count} values in an Int8Array for its shape ${tensor.dims.join(' x ')}`,
    tensor.data,
  );
}

interface Prepared {
  specialization: Specialization;
  outputWords: number;
  bias: Int32Array;
  multipliers: Uint32Array;
  inputZeroPoint: number;
  zeroPoint: number;
  low: number;
  high: number;
  int8: boolean;
}

/** Bias with the input's zero point folded in, multipliers and output bounds; `weights` is O x row. */
async function prepare(
  runtime: Runtime,
  name: string,
  weights: Int8Array,
  layout: TileLayout,
  options: Int8Options,
): Promise<Prepared> {
  const channels = layout.shape.outChannels;
  const { inputZeroPoint = 0, outputZeroPoint = 0, bias = new Int32Array(channels), outputScale } = options;
  const { low = -128, high = 127, requantize = 'ort-f32', inputScale = 1, weightScale = 1 } = options;
  for (const [name, value] of Object.entries({ inputZeroPoint, outputZeroPoint, low, high })) {
    check(Number.isInteger(value) && value >= -128 && value <= 127, `${name} must be an int8 code`, value);
  }
  check(low <= high, 'low must not exceed high', [low, high]);
  check(
    bias instanceof Int32Array && bias.length === channels,
    `bias must be an Int32Array of ${channels} values`,
    bias,
  );
  const scales = typeof weightScale === 'number' ? new Float32Array(channels).fill(weightScale) : weightScale;
  check(scales.length === channels, `weightScale must be one number or ${channels}`, scales.length);
  checkAccumulator(name, { weights, channels, inputRange: [-128, 127], inputZeroPoint, bias, spread: 1 });
  const folded = new Int32Array(layout.tileCount * layout.tileChannels);
  folded.set(foldZeroPoint(weights, bias, inputZeroPoint));
  const multipliers = new Uint32Array(layout.tileCount * layout.tileChannels * 2);
  const int8 = outputScale !== undefined;
  if (int8) multipliers.set(prepareMultipliers(requantize, inputScale, scales, outputScale));
  const rule = int8 ? await requantizeConstant(runtime, requantize) : '0u';
  return {
    specialization: { OUTPUT: int8 ? '0u' : '1u', REQUANTIZE: rule },
    outputWords: int8 ? Math.ceil(channels / 4) : channels,
    bias: folded,
    multipliers,
    inputZeroPoint,
    zeroPoint: outputZeroPoint,
    low,
    high,
    int8,
  };
}

async function run(
  runtime: Runtime,
  dims: number[],
  prepared: Prepared,
  input: Int8Array,
  weights: Uint32Array,
  dispatches: readonly Int8Dispatch[],
  partialByteLength: number,
): Promise<Tensor> {
  const channels = dims[dims.length - 1];
  const pixels = dims.slice(0, -1).reduce((x, y) => x * y, 1);
  return runtime.scope(async (scope) => {
    const buffers: Record<Int8Buffer, GPUBuffer> = {
      input: scope.upload(input, 'input'),
      weights: scope.upload(weights, 'weights'),
      bias: scope.upload(prepared.bias, 'bias'),
      multipliers: scope.upload(prepared.multipliers, 'multipliers'),
      output: scope.empty(pixels * prepared.outputWords * 4, 'output'),
      partial: scope.empty(partialByteLength, 'partial'),
    };
    const calls: Call[] = [];
    for (const { kernel, specialization, params, buffers: roles } of dispatches) {
      const compiled = await kernel.create(runtime.device, specialization);
      const bound = Object.fromEntries(Object.entries(roles).map(([name, role]) => [name, buffers[role]]));
      calls.push(scope.keep(compiled.bind(bound, params)));
    }
    runtime.submit(calls);
    const bytes = await runtime.read(buffers.output);
    if (!prepared.int8) return { dtype: 'int32', dims, data: new Int32Array(bytes, 0, pixels * channels) };
    return { dtype: 'int8', dims, data: unpackChannels(new Int8Array(bytes), pixels, channels) };
  });
}

/** Rows of `channels` codes padded with zeros to whole words. */
function packChannels(codes: Int8Array, channels: number): Int8Array {
  const stride = Math.ceil(channels / 4) * 4;
  if (stride === channels) return codes;
  const padded = new Int8Array((codes.length / channels) * stride);
  for (let from = 0, to = 0; from < codes.length; from += channels, to += stride) {
    padded.set(codes.subarray(from, from + channels), to);
  }
  return padded;
}

function unpackChannels(padded: Int8Array, pixels: number, channels: number): Int8Array {
  const stride = Math.ceil(channels / 4) * 4;
  if (stride === channels) return padded.subarray(0, pixels * channels);
  const codes = new Int8Array(pixels * channels);
  for (let i = 0; i < pixels; i++)
    codes.set(padded.subarray(i * stride, i * stride + channels), i * channels);
  return codes;
}
