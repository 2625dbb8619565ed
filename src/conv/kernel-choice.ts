import { check } from '../gpu/errors.ts';
import type { Kernel, Specialization } from '../gpu/kernel.ts';
import type { Runtime } from '../gpu/runtime.ts';
import { conv2dInt8Kernel } from '../kernels/conv2d-int8.ts';
import { conv2dInt8BroadcastKernel } from '../kernels/conv2d-int8-broadcast.ts';
import { conv2dInt8TensorKernel } from '../kernels/conv2d-int8-tensor.ts';
import { conv2dInt8TiledKernel } from '../kernels/conv2d-int8-tiled.ts';
import { conv2dInt8UnrolledKernel } from '../kernels/conv2d-int8-unrolled.ts';
import { conv2dInt8WinogradKernel } from '../kernels/conv2d-int8-winograd.ts';
import { depthwiseConv2dInt8Kernel } from '../kernels/depthwise-conv2d-int8.ts';
import { matvecInt8Kernel } from '../kernels/matvec-int8.ts';
import { sumSplitsInt8Kernel } from '../kernels/sum-splits-int8.ts';
import { knownTensorCores, tensorCores } from './tensor-cores.ts';
import {
  chooseTensor,
  type TensorCores,
  type TensorTile,
  tensorSpecialization,
  tensorTileSize,
  tensorWeights,
} from './tensor-tile.ts';
import { type ConvPlane, chooseTile, depthwiseTile, type Int8Variant } from './tile.ts';
import {
  checkTiled,
  chooseTiled,
  gemmShape,
  splitsFor,
  type TiledTile,
  tiledSpecialization,
} from './tiled-tile.ts';
import { isDepthwise, packTiles, type TileLayout, tileWeights, type WeightShape } from './weight-layout.ts';

/**
 * How a product keeps its operands: in registers alone (CPU adapters), staged in workgroup memory (GPUs), or staged for
 * tensor cores.
 */
export type KernelFamily = 'registers' | 'tiled' | 'tensor';

/**
 * `auto`: `registers` on an adapter that is a CPU, `tensor` on a GPU whose tensor cores passed their self-check, `tiled`
 * on any other; layers that no tile of tensor cores fits are `tiled`. `tensor` is the same, said out loud: where tensor
 * cores are missing or wrong, `tensorCores` says why and `lloyd info` prints it.
 */
export type KernelPreference = KernelFamily | 'auto';

const PREFERENCES: readonly KernelPreference[] = ['auto', 'registers', 'tiled', 'tensor'];

/** The int8 convolutions that keep their sums in registers. */
export const int8Variants = {
  plain: conv2dInt8Kernel,
  unrolled: conv2dInt8UnrolledKernel,
  broadcast: conv2dInt8BroadcastKernel,
  winograd: conv2dInt8WinogradKernel,
  depthwise: depthwiseConv2dInt8Kernel,
} as unknown as Readonly<Record<Int8Variant, Kernel>>;

/** The kernels of one int8 product: what the weights must be tiled for, and what to dispatch. */
export interface Int8Choice {
  family: KernelFamily;
  /** Vectors of four output channels a weight tile. */
  tileVectors: number;
  specialization: Specialization;
  /** Which of the kernels in registers; `plain` for the other families. */
  variant: Int8Variant;
  /** Parts that k is split into; above 1 there is a second dispatch. */
  splits: number;
}

/** A buffer of an int8 product; `partial` is what a split product's first dispatch leaves for its second. */
export type Int8Buffer = 'input' | 'weights' | 'bias' | 'multipliers' | 'output' | 'partial';

/** One dispatch of an int8 product, before buffers exist. */
export interface Int8Dispatch {
  kernel: Kernel;
  specialization: Specialization;
  params: Record<string, number>;
  /** By binding name. */
  buffers: Record<string, Int8Buffer>;
}

/**
 * Which kernels an adapter gets; tensor cores count only after {@link prepareKernels}.
 *
 * @throws LloydError for an unknown preference
 * @example
 * await prepareKernels(runtime, 'tensor');
 * const family = kernelFamily(runtime, 'tensor'); // 'tensor' where tensor cores passed their self-check
 */
export function kernelFamily(
  { adapter, device }: Pick<Runtime, 'adapter' | 'device'>,
  preference: KernelPreference = 'auto',
): KernelFamily {
  check(
    PREFERENCES.includes(preference),
    `kernels must be one of ${PREFERENCES.map((name) => `'${name}'`).join(', ')}`,
    preference,
  );
  if (preference === 'registers' || preference === 'tiled') return preference;
  // A workgroup-tiled kernel runs at a third to a fifth of the register tiles' speed where a CPU plays the GPU.
  if (adapter.profile !== 'gpu') return 'registers';
  return knownTensorCores(device) ? 'tensor' : 'tiled';
}

/** What has to be known of the adapter before {@link kernelFamily} can say. */
export async function prepareKernels(runtime: Runtime, preference?: KernelPreference): Promise<void> {
  const wanted = preference === undefined || preference === 'auto' || preference === 'tensor';
  if (wanted && runtime.adapter.profile === 'gpu') await tensorCores(runtime);
}

/** A tile of tensor cores as a choice. */
export function tensorChoice(cores: TensorCores, tile: TensorTile): Int8Choice {
  const [, channels] = tensorTileSize(cores, tile);
  const specialization = tensorSpecialization(cores, tile);
  return { family: 'tensor', tileVectors: channels / 4, specialization, variant: 'plain', splits: 1 };
}

/**
 * Chooses kernel, tile and splits for an int8 convolution or, as a 1x1 convolution over rows, matrix product. Depthwise
 * convolutions have a kernel of their own, whatever the preference.
 */
export function chooseInt8(
  runtime: Runtime,
  pixelCount: number,
  shape: WeightShape,
  preference?: KernelPreference,
  { plane, tuned }: { plane?: ConvPlane; tuned?: { tile: TiledTile; splits: number } } = {},
): Int8Choice {
  const family = kernelFamily(runtime, preference);
  if (isDepthwise(shape)) return { family: 'registers', splits: 1, ...depthwiseTile(shape) };
  if (family === 'registers') {
    return { family, splits: 1, ...chooseTile(runtime, pixelCount, shape, true, plane) };
  }
  const { limits } = runtime.device;
  const cores = family === 'tensor' ? knownTensorCores(runtime.device) : null;
  const tensor = cores && chooseTensor(limits, cores, pixelCount, shape);
  if (tensor) return tensorChoice(cores, tensor);
  const tile = tuned?.tile ?? chooseTiled(limits, pixelCount, shape);
  checkTiled(limits, tile);
  const gemm = gemmShape(pixelCount, shape, tile.tileVectors);
  return {
    family: 'tiled',
    tileVectors: tile.tileVectors,
    specialization: tiledSpecialization(tile, gemm.groupWords),
    variant: 'plain',
    splits: tuned?.splits ?? splitsFor(tile, gemm),
  };
}

/**
 * The dispatches of an int8 convolution.
 *
 * @param specialization what both families have: OUTPUT, REQUANTIZE and, below 8 bits, WEIGHT_BITS
 * @param params of `conv2d-int8`
 */
export function int8Dispatches(
  choice: Int8Choice,
  specialization: Specialization,
  params: Record<string, number>,
): Int8Dispatch[] {
  const { splits } = choice;
  const all = { ...choice.specialization, ...specialization };
  const buffers = { input: 'input', weights: 'weights', bias: 'bias', multipliers: 'multipliers' } as const;
  const rows = isMatvec(choice, params);
  if (choice.family === 'registers' && !rows) {
    const kernel = int8Variants[choice.variant];
    const { WEIGHT_BITS: _, ...wide } = all;
    const own = choice.variant === 'depthwise' ? wide : all; // its weights are always 8 bits wide
    return [{ kernel, specialization: own, params, buffers: { ...buffers, output: 'output' } }];
  }
  if (choice.family === 'tensor') {
    const { WEIGHT_BITS: _, ...own } = all; // its weights are always 8 bits wide
    const kernel = conv2dInt8TensorKernel as unknown as Kernel;
    return [{ kernel, specialization: own, params, buffers: { ...buffers, output: 'output' } }];
  }
  const { OUTPUT, REQUANTIZE, WEIGHT_BITS = '8u' } = specialization;
  const { pixelCount, outputWords, pool, zeroPoint, low, high } = params;
  const SPLIT = splits > 1 ? '1u' : '0u';
  const output = splits > 1 ? 'partial' : 'output';
  const inputWords = params.kernelHeight * params.kernelWidth * params.inputWords;
  const { tileCount } = params;
  const product: Int8Dispatch = rows
    ? {
        kernel: matvecInt8Kernel as unknown as Kernel,
        specialization: { TILE_VECTORS: `${choice.tileVectors}u`, OUTPUT, REQUANTIZE, WEIGHT_BITS, SPLIT },
        params: { inputWords, outputWords, pixelCount, tileCount, splits, zeroPoint, low, high },
        buffers: { ...buffers, output },
      }
    : {
        kernel: conv2dInt8TiledKernel as unknown as Kernel,
        specialization: { ...all, SPLIT },
        params: { ...params, splits },
        buffers: { ...buffers, output },
      };
  if (splits === 1) return [product];
  return [
    product,
    {
      kernel: sumSplitsInt8Kernel as unknown as Kernel,
      specialization: { OUTPUT, REQUANTIZE },
      params: {
        splits,
        pixelCount,
        vectorCount: params.tileCount * choice.tileVectors,
        outputWords,
        pool,
        zeroPoint,
        low,
        high,
      },
      buffers: { partial: 'partial', bias: 'bias', multipliers: 'multipliers', output: 'output' },
    },
  ];
}

/** Rows so few that a tile of pixels would mostly idle; each reads all weights again. */
const MATVEC_ROWS = 4;

/**
 * Whether a convolution is the product of a few rows with a matrix: every pixel by itself, or every image whole, in one
 * group and without padding. A row's words then follow one another in memory as its weights do.
 */
function isMatvec({ variant }: Int8Choice, params: Record<string, number>): boolean {
  const all = (names: readonly string[], value: (name: string) => number) =>
    names.every((name) => params[name] === value(name));
  const sides = ['Height', 'Width'];
  const alone =
    all(['kernelHeight', 'kernelWidth', 'strideHeight', 'strideWidth'], () => 1) &&
    sides.every((side) => params[`input${side}`] === params[`output${side}`]);
  const whole =
    all(['outputHeight', 'outputWidth', 'dilationHeight', 'dilationWidth'], () => 1) &&
    sides.every((side) => params[`kernel${side}`] === params[`input${side}`]);
  return (
    (alone || whole) &&
    // Depthwise weights lie otherwise; SwiftShader, whose variant `unrolled` is, takes several times as long over it.
    variant !== 'depthwise' &&
    variant !== 'unrolled' &&
    params.pixelCount <= MATVEC_ROWS &&
    all(['padTop', 'padLeft', 'pool'], () => 0) &&
    params.groupTiles === params.tileCount
  );
}

/** A convolution's codes as the chosen kernel reads them; `bits` is how wide the narrow families store them. */
export function packWeights(
  choice: Int8Choice,
  codes: Int8Array,
  layout: TileLayout,
  bits: 8 | 4 | 2,
): Uint32Array {
  // A tile's channels follow one another as they do in a pixel, so its bytes are words already.
  if (choice.variant === 'depthwise') return new Uint32Array(tileWeights(codes, layout).buffer);
  if (choice.family !== 'tensor') return packTiles(codes, layout, bits);
  const stepWords = Number.parseInt(String(choice.specialization.STEP_VECTORS), 10) * 4;
  return tensorWeights(packTiles(codes, layout, 8), layout, stepWords);
}

/** Bytes of the partial sums between a split product's two dispatches; 0 where there is one. */
export function partialBytes(
  { splits, tileVectors }: Int8Choice,
  pixelCount: number,
  tileCount: number,
): number {
  return splits > 1 ? splits * pixelCount * tileCount * tileVectors * 16 : 0;
}

/** The geometry of M x K times K x N as a convolution: M images of one pixel, a 1x1 kernel. */
export function matmulGeometry(M: number) {
  return {
    inputHeight: 1,
    inputWidth: 1,
    outputHeight: 1,
    outputWidth: 1,
    kernelHeight: 1,
    kernelWidth: 1,
    strideHeight: 1,
    strideWidth: 1,
    dilationHeight: 1,
    dilationWidth: 1,
    padTop: 0,
    padLeft: 0,
    pixelCount: M,
    pool: 0,
  };
}
