import type { Kernel, Specialization } from '../gpu/kernel.ts';
import { checkRuntime, type MatrixShape, type Runtime } from '../gpu/runtime.ts';
import { conv2dInt8TensorKernel } from '../kernels/conv2d-int8-tensor.ts';
import { conv2dInt8TiledKernel } from '../kernels/conv2d-int8-tiled.ts';
import {
  type TensorCores,
  tensorSpecialization,
  tensorTileSize,
  tensorTiles,
  tensorWeights,
} from './tensor-tile.ts';
import { chooseTiled, gemmShape, tiledSpecialization } from './tiled-tile.ts';
import { packTiles, tileLayout } from './weight-layout.ts';

/** What an adapter's tensor cores offer to int8 products, or why they are left alone. */
export type TensorReport = { cores: TensorCores; reason: null } | { cores: null; reason: string };

const FEATURES = ['subgroups', 'chromium-experimental-subgroup-matrix'] as const;

/**
 * Asked of an adapter that lists none: Dawn's devices do not pass their adapter's list on, so one that a caller brings
 * has none. A shape that it lacks fails its self-check at once.
 */
const USUAL_SHAPES: readonly MatrixShape[] = [
  [16, 16, 32],
  [16, 8, 32],
  [16, 16, 16],
  [8, 16, 32],
].map(([M, N, K]) => ({ M, N, K, componentType: 'i8', resultComponentType: 'i32' }));

const reports = new WeakMap<GPUDevice, Promise<TensorReport>>();
const found = new WeakMap<GPUDevice, TensorCores>();

/**
 * Whether int8 products may run on this adapter's tensor cores: the matrix shape to use, or the reason against it.
 *
 * Asked once a device. A shape that the adapter lists counts only after a small convolution, ragged in every direction,
 * came out bit-equal to the dp4a kernel's.
 *
 * @example
 * const { cores, reason } = await tensorCores(runtime);
 * console.log(cores ? `${cores.M} x ${cores.N} x ${cores.K}` : `no tensor cores: ${reason}`);
 */
export function tensorCores(runtime: Runtime): Promise<TensorReport> {
  checkRuntime(runtime);
  let report = reports.get(runtime.device);
  if (!report) {
    report = probe(runtime).then((result) => {
      if (result.cores) found.set(runtime.device, result.cores);
      return result;
    });
    reports.set(runtime.device, report);
  }
  return report;
}

/** What {@link tensorCores} has found, without waiting: null before it was asked, too. */
export function knownTensorCores(device: GPUDevice): TensorCores | null {
  return found.get(device) ?? null;
}

async function probe(runtime: Runtime): Promise<TensorReport> {
  const { device } = runtime;
  const no = (reason: string): TensorReport => ({ cores: null, reason });
  const missing = FEATURES.filter((name) => !device.features.has(name as GPUFeatureName));
  if (missing.length > 0) return no(`the device lacks ${missing.join(' and ')}`);
  const { matrices } = runtime.adapter;
  const configs = matrixShapes(matrices.length > 0 ? matrices : USUAL_SHAPES);
  if (configs.length === 0)
    return no('the adapter lists no i8 matrices with i32 sums of a shape with a kernel');
  const { subgroupMinSize, subgroupMaxSize } = device.adapterInfo;
  if (subgroupMinSize !== subgroupMaxSize) {
    return no(`its subgroups vary from ${subgroupMinSize} to ${subgroupMaxSize} lanes`);
  }
  const failures: string[] = [];
  for (const { M, N, K } of configs) {
    for (const units of [1, 16] as const) {
      const cores: TensorCores = { M, N, K, subgroupSize: subgroupMaxSize, units };
      const failure = await selfCheck(runtime, cores).catch((error: Error) => error.message.split('\n')[0]);
      if (failure === null) return { cores, reason: null };
      failures.push(`${M}x${N}x${K}: ${failure}`);
    }
  }
  return no(failures.join('; '));
}

/** The listed shapes that the kernel is written for, those with the most work an instruction first. */
export function matrixShapes(configs: Iterable<MatrixShape>): MatrixShape[] {
  const allowed = conv2dInt8TensorKernel.declaration.constants as Record<string, readonly string[]>;
  const has = (name: string, value: number) => allowed[name].includes(`${value}u`);
  return Array.from(configs)
    .filter(
      ({ componentType, resultComponentType }) => componentType === 'i8' && resultComponentType === 'i32',
    )
    .filter(({ M, N, K }) => has('MATRIX_M', M) && has('MATRIX_N', N) && has('MATRIX_K', K))
    .sort((a, b) => b.M * b.N * b.K - a.M * a.N * a.K);
}

/** Null where tensor cores and dot4I8Packed agree on every bit of a ragged convolution; else what went wrong. */
async function selfCheck(runtime: Runtime, cores: TensorCores): Promise<string | null> {
  const { limits } = runtime.device;
  const tile = tensorTiles(limits, cores).at(-1);
  if (!tile) return 'no tile fits its workgroups';
  const [height, width, inChannels] = [9, 15, 48];
  const [, tileChannels] = tensorTileSize(cores, tile);
  const outChannels = tileChannels + 5;
  const shape = { outChannels, inChannels, kernelHeight: 3, kernelWidth: 3, groups: 1 };
  const pixelCount = height * width;
  const words = Math.ceil(inChannels / 4);
  let state = 7;
  const codes = (count: number) =>
    Int8Array.from({ length: count }, () => {
      state = (Math.imul(state, 1664525) + 1013904223) | 0;
      return state >> 24;
    });
  const input = codes(pixelCount * words * 4);
  const weight = codes(outChannels * inChannels * 9);
  const params = {
    inputHeight: height,
    inputWidth: width,
    inputWords: words,
    outputHeight: height,
    outputWidth: width,
    outputWords: outChannels,
    kernelHeight: 3,
    kernelWidth: 3,
    strideHeight: 1,
    strideWidth: 1,
    dilationHeight: 1,
    dilationWidth: 1,
    padTop: 1,
    padLeft: 1,
    groupWords: words,
    pixelCount,
    pool: 0,
    padWord: 0xfbfbfbfb,
    zeroPoint: 0,
    low: -128,
    high: 127,
  };
  const run = async (
    kernel: unknown,
    tileVectors: number,
    stepWords: number,
    specialization: Specialization,
  ) => {
    const layout = tileLayout(shape, tileVectors);
    const packed = packTiles(weight, layout, 8);
    const channels = layout.tileCount * layout.tileChannels;
    return runtime.scope(async ({ upload, empty, keep }) => {
      const output = empty(pixelCount * outChannels * 4);
      const buffers = {
        input: upload(input),
        weights: upload(stepWords ? tensorWeights(packed, layout, stepWords) : packed),
        bias: upload(Int32Array.from({ length: channels }, (_, i) => i * 77)),
        multipliers: upload(new Uint32Array(channels * 2)),
        output,
      };
      const { groupTiles, tileCount } = layout;
      const compiled = await (kernel as Kernel).create(runtime.device, { ...specialization, OUTPUT: '1u' });
      const own: Record<string, number> = { ...params, groupTiles, tileCount };
      if (!stepWords) own.splits = 1;
      runtime.submit([keep(compiled.bind(buffers, own))]);
      return new Int32Array(await runtime.read(output));
    });
  };
  const dot = chooseTiled(limits, pixelCount, shape);
  const { groupWords } = gemmShape(pixelCount, shape, dot.tileVectors);
  const want = await run(conv2dInt8TiledKernel, dot.tileVectors, 0, tiledSpecialization(dot, groupWords));
  const specialization = tensorSpecialization(cores, tile);
  const got = await run(conv2dInt8TensorKernel, tileChannels / 4, tile.stepVectors * 4, specialization);
  const wrong = got.findIndex((sum, i) => sum !== want[i]);
  return wrong < 0 ? null : `sum ${wrong} is ${got[wrong]} instead of ${want[wrong]}`;
}
