import { check } from '../gpu/errors.ts';
import type { Kernel, Specialization } from '../gpu/kernel.ts';
import { type Runtime, runtimeOn } from '../gpu/runtime.ts';
import type { Tensor } from '../gpu/tensor.ts';
import { matmulInt8Kernel } from '../kernels/matmul-int8.ts';
import { checkAccumulator, foldZeroPoint } from './accumulator.ts';
import { type Int8Operation, int8Layout, int8Operation } from './int8-operation.ts';
import {
  chooseInt8,
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

/** Geometry of an int8 convolution. */
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
 * An int8 convolution for buffers of your own: chooses the kernels for the adapter, packs weights, folds the zero point
 * into the bias, and gives back calls to record into your own encoder.
 *
 * Weights are packed for the kernels that were chosen, and belong to the operation: what you bind are activations alone,
 * whose layout is the same everywhere and whose size is checked.
 *
 * @param runtime of `createRuntime`, or a GPUDevice.
 * @param weight int8, [O, C / groups, KH, KW].
 * @param options Those of `conv2dInt8`, and the input's dims [N, H, W, C].
 * @throws LloydError for wrong ranks, dtypes or sizes, a scale that is not positive, or an accumulator that could
 *   leave int32.
 * @example
 * const conv = await prepareConv2dInt8(runtime, weight, {
 *   input: [1, 32, 32, 16], pads: [1, 1, 1, 1], inputScale: 0.02, weightScale: 0.01, outputScale: 0.05,
 * });
 * const output = runtime.empty(conv.output.byteLength);
 * const calls = conv.bind({ input, output }); // input: conv.input.byteLength bytes
 * recordCalls(encoder, calls);
 */
export async function prepareConv2dInt8(
  runtime: Runtime | GPUDevice,
  weight: Tensor,
  options: Conv2dInt8Options & { input: readonly number[] },
): Promise<Int8Operation> {
  const own = await runtimeOn(runtime);
  checkInt8('weight', weight, 4, 'O x C/groups x KH x KW');
  const { input } = options ?? {};
  checkDims('input', input, 4, 'N x H x W x C');
  const [batch, height, width, channels] = input;
  const [outChannels, inChannels, kernelHeight, kernelWidth] = weight.dims;
  const { strides = [1, 1], dilations = [1, 1], pads = [0, 0, 0, 0], groups = 1, pool = false } = options;
  for (const [name, values, count, least] of [
    ['strides', strides, 2, 1],
    ['dilations', dilations, 2, 1],
    ['pads', pads, 4, 0],
    ['groups', [groups], 1, 1],
  ] as const) {
    check(
      values?.length === count && values.every((v) => Number.isInteger(v) && v >= least),
      `${name} must be ${count > 1 ? `${count} integers` : 'an integer'} of at least ${least}`,
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
  await prepareKernels(own, options.kernels);
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
  const choice = chooseInt8(own, pixelCount, shape, options.kernels, { plane });
  const { codes, layout } = arrange(weight.data as Int8Array, shape, choice.tileVectors);
  const epilogue = await prepareEpilogue(own, 'conv2dInt8', weight.data as Int8Array, layout, options);
  const { bias, multipliers, inputZeroPoint, params } = epilogue;
  const dispatches = int8Dispatches(choice, epilogue.specialization, {
    ...plane,
    inputWords: Math.ceil(channels / 4),
    kernelHeight,
    kernelWidth,
    dilationHeight: dilations[0],
    padTop: pads[0],
    padLeft: pads[1],
    pool: Number(Boolean(pool)),
    groupWords: Math.ceil(layout.paddedChannels / 4),
    groupTiles: layout.groupTiles,
    padWord: ((inputZeroPoint & 255) * 0x01010101) >>> 0,
    ...params,
  });
  const weights = packWeights(choice, codes, layout, 8);
  const partial = partialBytes(choice, pixelCount, layout.tileCount);
  return int8Operation(
    own,
    'conv2dInt8',
    choice.family,
    dispatches,
    { weights, bias, multipliers },
    partial,
    { input: int8Layout('int8', input), output: int8Layout(epilogue.dtype, dims) },
  );
}

/**
 * An int8 matrix product a x b for buffers of your own: {@link prepareConv2dInt8} for a fixed b.
 *
 * @param runtime of `createRuntime`, or a GPUDevice.
 * @param b int8, [K, N], symmetric, one scale or one a column.
 * @param options Those of `matmulInt8`, and how many rows a has.
 * @throws LloydError as {@link prepareConv2dInt8}.
 * @example
 * const product = await prepareMatmulInt8(device, b, { rows: 64 }); // int32 sums
 * recordCalls(encoder, product.bind({ input: a, output }));
 */
export async function prepareMatmulInt8(
  runtime: Runtime | GPUDevice,
  b: Tensor,
  options: Int8Options & { rows: number },
): Promise<Int8Operation> {
  const own = await runtimeOn(runtime);
  checkInt8('b', b, 2, 'K x N');
  const [K, N] = b.dims;
  const M = options?.rows;
  check(Number.isInteger(M) && M >= 1, 'rows must be an integer of at least 1', M);
  const transposed = new Int8Array(K * N);
  for (let k = 0; k < K; k++)
    for (let n = 0; n < N; n++) transposed[n * K + k] = (b.data as Int8Array)[k * N + n];
  const shape: WeightShape = { outChannels: N, inChannels: K, kernelHeight: 1, kernelWidth: 1, groups: 1 };
  await prepareKernels(own, options.kernels);
  const choice = chooseInt8(own, M, shape, options.kernels);
  const layout = tileLayout(shape, choice.tileVectors);
  const epilogue = await prepareEpilogue(own, 'matmulInt8', transposed, layout, options);
  const { specialization, bias, multipliers, params } = epilogue;
  const inputWords = layout.paddedChannels / 4;
  const dispatches =
    choice.family === 'registers' && choice.variant === 'plain'
      ? [
          {
            kernel: matmulInt8Kernel as unknown as Kernel,
            specialization: { ...choice.specialization, ...specialization },
            params: { rowCount: M, inputWords, ...params },
            buffers: {
              input: 'input',
              weights: 'weights',
              bias: 'bias',
              multipliers: 'multipliers',
              output: 'output',
            },
          } satisfies Int8Dispatch,
        ]
      : int8Dispatches(choice, specialization, {
          ...matmulGeometry(M),
          inputWords,
          groupWords: inputWords,
          groupTiles: layout.tileCount,
          padWord: 0,
          ...params,
        });
  const weights = packWeights(choice, transposed, layout, 8);
  return int8Operation(
    own,
    'matmulInt8',
    choice.family,
    dispatches,
    { weights, bias, multipliers },
    partialBytes(choice, M, layout.tileCount),
    { input: int8Layout('int8', [M, K]), output: int8Layout(epilogue.dtype, [M, N]) },
  );
}

/** Throws unless `dims` are `rank` positive integers. */
function checkDims(
  name: string,
  dims: readonly number[] | undefined,
  rank: number,
  meaning: string,
): asserts dims is readonly number[] {
  check(
    Array.isArray(dims) && dims.length === rank && dims.every((size) => Number.isInteger(size) && size > 0),
    `${name} must be the ${rank} dimensions ${meaning}, each at least 1`,
    dims,
  );
}

/** Throws unless it is an int8 tensor of `rank` dimensions with all its codes. */
export function checkInt8(name: string, tensor: Tensor, rank: number, meaning: string): void {
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

interface Epilogue {
  dtype: 'int8' | 'int32';
  specialization: Specialization;
  bias: Int32Array;
  multipliers: Uint32Array;
  inputZeroPoint: number;
  params: { outputWords: number; tileCount: number; zeroPoint: number; low: number; high: number };
}

/** Bias with the input's zero point folded in, multipliers and output bounds; `weights` is O x row. */
async function prepareEpilogue(
  runtime: Runtime,
  name: string,
  weights: Int8Array,
  layout: TileLayout,
  options: Int8Options,
): Promise<Epilogue> {
  // Groups that were made dense have the channels of all of them.
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
  const { tileCount, tileChannels } = layout;
  const folded = new Int32Array(tileCount * tileChannels);
  folded.set(foldZeroPoint(weights, bias, inputZeroPoint));
  const multipliers = new Uint32Array(tileCount * tileChannels * 2);
  const int8 = outputScale !== undefined;
  if (int8) multipliers.set(prepareMultipliers(requantize, inputScale, scales, outputScale));
  const rule = int8 ? await requantizeConstant(runtime, requantize) : '0u';
  return {
    dtype: int8 ? 'int8' : 'int32',
    specialization: { OUTPUT: int8 ? '0u' : '1u', REQUANTIZE: rule },
    bias: folded,
    multipliers,
    inputZeroPoint,
    params: {
      outputWords: int8 ? Math.ceil(channels / 4) : channels,
      tileCount,
      zeroPoint: outputZeroPoint,
      low,
      high,
    },
  };
}
