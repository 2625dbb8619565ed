import { beforeAll, describe, expect, test } from 'vitest';
import { create, globals } from 'webgpu';
import { tensorChains } from '../../bench/ceilings.ts';
import { matrixShapes, tensorCores } from '../../src/conv/tensor-cores.ts';
import {
  type TensorCores,
  tensorSpecialization,
  tensorTiles,
  tensorWeights,
} from '../../src/conv/tensor-tile.ts';
import { packTiles, tileLayout } from '../../src/conv/weight-layout.ts';
import { assembleSource, type Specialization } from '../../src/gpu/kernel.ts';
import { conv2dInt8TensorKernel } from '../../src/kernels/conv2d-int8-tensor.ts';
import { maxPool2x2 } from '../../src/reference/conv2d-int8.ts';
import { conv2dInt8Tensor } from '../../src/reference/conv2d-int8-tensor.ts';
import { dispatch, firstDifference } from '../support/dispatch.ts';
import { emulatedTensorKernel } from '../support/matrix-emulation.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const context = useRuntime();
const NVIDIA: TensorCores = { M: 16, N: 16, K: 32, subgroupSize: 32, units: 1 };
const LIMITS = { maxComputeWorkgroupStorageSize: 49152, maxComputeInvocationsPerWorkgroup: 1024 };

describe('conv2d-int8-tensor', () => {
  let device: GPUDevice;
  beforeAll(async () => {
    Object.assign(globalThis, globals);
    // Computes nothing, but knows the feature and checks every line; it lists no matrix shapes, so no pipelines.
    const gpu = create(['backend=null', 'enable-dawn-features=allow_unsafe_apis']);
    (globalThis as { nullBackend?: unknown }).nullBackend = gpu; // collected, it takes the process down
    const adapter = (await gpu.requestAdapter())!;
    const requiredFeatures = ['subgroups', 'chromium-experimental-subgroup-matrix'] as GPUFeatureName[];
    device = await adapter.requestDevice({ requiredFeatures });
  });

  const errorsOf = async (specialization: Specialization, change: readonly [string, string] = ['', '']) => {
    const source = assembleSource(conv2dInt8TensorKernel.declaration as never, specialization);
    expect(source).toContain(change[0]);
    device.pushErrorScope('validation');
    const module = device.createShaderModule({ code: source.replace(change[0], change[1]) });
    const { messages } = await module.getCompilationInfo();
    const refused = await device.popErrorScope();
    const errors = messages.filter(({ type }) => type === 'error').map(({ message }) => message);
    expect(refused === null).toBe(errors.length === 0);
    return errors;
  };

  test('compiles in every tile, epilogue and matrix shape that NVIDIA, AMD and Intel list', async () => {
    let variants = 0;
    for (const [M, N, K] of [
      [16, 16, 32],
      [16, 8, 32],
      [16, 16, 16],
      [8, 16, 32],
    ]) {
      const tiles = tensorTiles(LIMITS, { ...NVIDIA, M, N, K });
      expect(tiles.length).toBeGreaterThanOrEqual(3);
      for (const tile of tiles) {
        for (const [OUTPUT, REQUANTIZE] of [
          ['0u', '0u'],
          ['2u', '1u'],
        ]) {
          const specialization = tensorSpecialization({ ...NVIDIA, M, N, K }, tile);
          expect(await errorsOf({ ...specialization, OUTPUT, REQUANTIZE })).toEqual([]);
          variants++;
        }
      }
    }
    expect(variants).toBeGreaterThanOrEqual(24);
  });

  test('so does what measures their ceiling', async () => {
    const module = device.createShaderModule({ code: tensorChains(NVIDIA, 64) });
    const { messages } = await module.getCompilationInfo();
    expect(messages.filter(({ type }) => type === 'error').map(({ message }) => message)).toEqual([]);
  });

  test.each([
    ['swapped operands', 'Accumulate(left0, right0,', 'Accumulate(right0, left0,'],
    ['another operand type', 'subgroup_matrix_right<i8', 'subgroup_matrix_right<u8'],
    ['a stride past the array', 'row * UNITS, STRIDE * UNITS);', 'row * UNITS, STRIDE * 16u);'],
    ['float sums', 'subgroup_matrix_result<i32', 'subgroup_matrix_result<f32'],
    ['a missing feature', 'enable chromium_experimental_subgroup_matrix;', ''],
  ])('the null backend refuses %s', async (_, from, to) => {
    expect(await errorsOf({}, [from, to])).not.toEqual([]);
  });

  // The shader's own staging, addressing and epilogue run here, around a product by its definition.
  const run = async (pool: boolean, inChannels: number, change?: readonly [string, string]) => {
    const cores: TensorCores = { M: 8, N: 8, K: 32, subgroupSize: 1, units: 1 };
    const tile = { matricesM: 2, matricesN: 2, subgroupsM: 2, subgroupsN: 2, stepVectors: 4 };
    const [batch, height, width, outChannels] = [2, 7, 9, 37];
    const r = seeded(inChannels);
    const words = inChannels / 4;
    const input = r.int8s(batch * height * width * inChannels);
    const weight = r.int8s(outChannels * inChannels * 9);
    const layout = tileLayout({ outChannels, inChannels, kernelHeight: 3, kernelWidth: 3, groups: 1 }, 8);
    const channels = layout.tileCount * layout.tileChannels;
    const bias = Int32Array.from({ length: channels }, (_, i) =>
      i < outChannels ? r.integer(-999, 999) : 0,
    );
    const pixelCount = batch * (pool ? (height >> 1) * (width >> 1) * 4 : height * width);
    const { output } = await dispatch(
      context.runtime,
      emulatedTensorKernel(change),
      {
        input,
        weights: tensorWeights(packTiles(weight, layout, 8), layout, tile.stepVectors * 4),
        bias,
        multipliers: new Uint32Array(channels * 2),
      },
      { output: (pixelCount / (pool ? 4 : 1)) * outChannels * 4 },
      {
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
        groupTiles: layout.groupTiles,
        pixelCount,
        tileCount: layout.tileCount,
        pool: Number(pool),
        padWord: 0,
        zeroPoint: 0,
        low: -128,
        high: 127,
      },
      { ...tensorSpecialization(cores, tile), OUTPUT: '1u' },
    );
    const geometry = {
      batch,
      height,
      width,
      inChannels,
      outChannels,
      kernel: [3, 3],
      strides: [1, 1],
      dilations: [1, 1],
      pads: [1, 1, 1, 1],
      groups: 1,
    } as const;
    const all = conv2dInt8Tensor(input, weight, bias.subarray(0, outChannels), 0, geometry);
    const want = pool ? maxPool2x2(all, [batch, height, width, outChannels]) : all;
    return firstDifference(new Int32Array(output), want);
  };

  test.each([
    [false, 48],
    [true, 16],
  ])('with its matrix built-ins emulated equals the twin (pool %s, %i channels)', async (pool, channels) => {
    expect(await run(pool, channels)).toBe(-1);
  });

  test('the emulation sees wrong addressing', async () => {
    const rows = ['(row + MATRIX_M * STRIDE) * UNITS', '(row + STRIDE) * UNITS'] as const;
    const columns = ['row * SUBGROUP_COLUMNS + own;', 'row * SUBGROUP_COLUMNS;'] as const;
    expect(await run(false, 16, rows)).not.toBe(-1);
    expect(await run(false, 16, columns)).not.toBe(-1);
  });

  test('an adapter without them says why', async () => {
    const { cores, reason } = await tensorCores(context.runtime);
    if (cores) expect(reason).toBeNull();
    else expect(reason).toMatch(/lacks .*subgroup-matrix|lists no|lanes|instead of|does not compile/);
    console.log(cores ? `tensor cores: ${JSON.stringify(cores)}` : `no tensor cores: ${reason}`);
  });

  test('takes i8 shapes with i32 sums only, the largest first', () => {
    const config = (componentType: string, resultComponentType: string, M: number, N: number, K: number) => {
      return { componentType, resultComponentType, M, N, K };
    };
    const listed = [
      config('f16', 'f32', 16, 16, 16),
      config('i8', 'i32', 16, 8, 32),
      config('i8', 'i8', 16, 16, 32),
      config('u8', 'u32', 16, 16, 32),
      config('i8', 'i32', 16, 16, 32),
      config('i8', 'i32', 5, 16, 32),
    ];
    expect(matrixShapes(listed)).toEqual([listed[4], listed[1]]);
  });
});
