// Depthwise layers, and batch norms that follow no convolution, run by kernels of their own at every precision.
import { describe, expect, test } from 'vitest';
import { conv2dInt8 } from '../../src/conv/conv-int8.ts';
import type { Conv2dInt8Options } from '../../src/conv/prepare-int8.ts';
import { denseGroups } from '../../src/conv/weight-layout.ts';
import { decodeCodebook } from '../../src/lower/layer-codes.ts';
import type { ImageModel, ImageNode } from '../../src/model/graph.ts';
import type { CodebookLayer } from '../../src/model/quantized-model.ts';
import { quantizeModel } from '../../src/run/precision.ts';
import { type CompileOptions, compile } from '../../src/run/session.ts';
import { floatCandidates, int8Candidates } from '../../src/tune/candidates.ts';
import { definedOutput } from '../support/defined-output.ts';
import { handMade, logitsOf, worstError } from '../support/hand-made.ts';
import { int8Logits } from '../support/int8-twin.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();
const CHANNELS = 130;
const BATCH = 2;

/** A lone batch norm, a depthwise layer with a pool, one with two filters a channel, and a grouped one that is neither. */
function network(): ImageModel {
  const random = seeded(80);
  const wide = { kernel: [3, 3], outChannels: CHANNELS, groups: CHANNELS } as const;
  const nodes: ImageNode[] = [
    { op: 'batchNorm', name: 'norm', inputs: ['x'] },
    { op: 'relu6', name: 'six', inputs: ['norm'] },
    { op: 'conv2d', name: 'one', inputs: ['six'], ...wide, pads: [1, 1, 1, 1] },
    { op: 'relu', name: 'relu', inputs: ['one'] },
    { op: 'maxPool', name: 'pool', inputs: ['relu'], kernel: [2, 2], strides: [2, 2] },
    {
      ...{ op: 'conv2d', name: 'two', inputs: ['pool'], ...wide, outChannels: CHANNELS * 2 },
      ...{ strides: [2, 2], pads: [0, 0, 1, 1] },
    },
    { op: 'conv2d', name: 'pairs', inputs: ['two'], kernel: [1, 1], outChannels: 260, groups: 130 },
    { op: 'globalAveragePool', name: 'mean', inputs: ['pairs'] },
    { op: 'linear', name: 'fc', inputs: ['mean'], outFeatures: 7 },
  ];
  const weights = (dims: number[], spread: number, offset = 0) =>
    [dims, random.floats(dims.reduce((a, b) => a * b)).map((v) => v * spread + offset)] as const;
  return handMade([9, 10, CHANNELS], nodes, {
    'norm.weight': weights([CHANNELS], 0.5, 1),
    'norm.bias': weights([CHANNELS], 0.3),
    'norm.running_mean': weights([CHANNELS], 0.3),
    'norm.running_var': weights([CHANNELS], 0.2, 1),
    'one.weight': weights([CHANNELS, 1, 3, 3], 0.5),
    'one.bias': weights([CHANNELS], 0.1),
    'two.weight': weights([CHANNELS * 2, 1, 3, 3], 0.5),
    'pairs.weight': weights([260, 2, 1, 1], 0.7),
    'fc.weight': weights([7, 260], 0.1),
    'fc.bias': weights([7], 0.1),
  });
}

const images = Uint8Array.from(seeded(81).int8s(BATCH * 9 * 10 * CHANNELS), (code) => code + 128);
/** The images as the network sees them. */
const pixels = Float64Array.from(images, (pixel) => Math.fround(pixel / 255));

async function kernelsOf(model: Parameters<typeof compile>[1], options: CompileOptions = {}) {
  const session = await compile(gpu.runtime, model, { batch: BATCH, ...options });
  const kernels = session.plan().map(({ layer, kernel }) => `${layer} ${kernel}`);
  const { weights } = session.gpuBytes;
  session.destroy();
  return { kernels, weights };
}

/** All that a network with its layers as they are needs; 96 KiB are for epilogues and tiles' padding. */
const bytesFor = (model: ImageModel, bytes: number) => {
  const count = [...model.parameters.values()].reduce((sum, { data }) => sum + data.length, 0);
  const pairs = 260 * 260; // in groups of two, which are made dense
  return (count + pairs) * bytes + (96 << 10);
};

describe('depthwise layers', () => {
  test.each(['registers', 'tiled'] as const)(
    'float, kernels %s: right, and as small as they are',
    async (kernels) => {
      const model = network();
      const plan = await kernelsOf(model, { kernels });
      for (const layer of ['norm', 'one', 'two']) expect(plan.kernels).toContain(`${layer} depthwise-conv2d`);
      expect(plan.kernels.filter((name) => name.includes('depthwise'))).toHaveLength(3);
      expect(plan.weights).toBeLessThan(bytesFor(model, 4));
      const got = await logitsOf(gpu, model, images, { kernels });
      expect(worstError(got, definedOutput(model, pixels))).toBeLessThan(1e-5);
    },
  );

  test('with codebooks, one or one a channel', async () => {
    const model = network();
    for (const perChannel of [false, true]) {
      const quantized = await quantizeModel(gpu.runtime, model, {
        ...{ method: 'kmeans', bits: 2, ...(perChannel && { granularity: { kind: 'perAxis', axis: 0 } }) },
      } as Parameters<typeof quantizeModel>[2]);
      const { kernels } = await kernelsOf(quantized);
      expect(kernels).toContain('two depthwise-conv2d');
      const parameters = new Map(model.parameters);
      for (const [name, layer] of quantized.layers) {
        const { dims } = model.parameters.get(`${name}.weight`)!;
        parameters.set(`${name}.weight`, {
          ...{ dtype: 'float32', dims, data: decodeCodebook(layer as CodebookLayer) },
        });
      }
      const got = await logitsOf(gpu, quantized, images);
      expect(worstError(got, definedOutput({ ...model, parameters }, pixels))).toBeLessThan(1e-5);
    }
  });

  test.each([8, 4, 2])('%i-bit integers: the logits of their twins', async (bits) => {
    const model = network();
    const quantized = await quantizeModel(gpu.runtime, model, {
      ...{ method: 'linear', bits, calibration: images },
    });
    for (const kernels of ['registers', 'tiled'] as const) {
      const plan = await kernelsOf(quantized, { kernels });
      for (const layer of ['norm', 'one', 'two'])
        expect(plan.kernels).toContain(`${layer} depthwise-conv2d-int8`);
      expect(plan.weights).toBeLessThan(bytesFor(model, 1));
      expect(await logitsOf(gpu, quantized, images, { kernels })).toEqual(int8Logits(quantized, images));
    }
  });

  test('a last one gives floats, a word a channel', async () => {
    const { graph, parameters } = network();
    const model: ImageModel = {
      graph: { ...graph, nodes: graph.nodes.slice(0, 6), output: 'two' },
      parameters,
    };
    const quantized = await quantizeModel(gpu.runtime, model, {
      method: 'linear',
      bits: 8,
      calibration: images,
    });
    expect(await logitsOf(gpu, quantized, images)).toEqual(int8Logits(quantized, images));
    expect(worstError(await logitsOf(gpu, model, images), definedOutput(model, pixels))).toBeLessThan(1e-5);
  });

  test('conv2dInt8 of a grouped and a dense weight are the same codes', async () => {
    const random = seeded(82);
    const input = { dtype: 'int8', dims: [2, 7, 9, 6], data: random.int8s(2 * 7 * 9 * 6) } as const;
    const shape = { outChannels: 18, inChannels: 1, kernelHeight: 3, kernelWidth: 2, groups: 6 };
    const data = random.int8s(18 * 6);
    const options: Conv2dInt8Options = {
      inputZeroPoint: -7,
      pads: [1, 0, 2, 1],
      bias: Int32Array.from({ length: 18 }, (_, i) => i * 99),
      inputScale: 0.5,
      weightScale: 0.25,
      outputScale: 8,
      outputZeroPoint: 5,
      pool: true,
    };
    const grouped = { dtype: 'int8', dims: [18, 1, 3, 2], data } as const;
    const dense = { dtype: 'int8', dims: [18, 6, 3, 2], data: denseGroups(data, shape).codes } as const;
    expect(await conv2dInt8(gpu.runtime, input, grouped, { ...options, groups: 6 })).toEqual(
      await conv2dInt8(gpu.runtime, input, dense, options),
    );
  });

  test('the tuner has nothing to choose from', () => {
    const shape = { outChannels: 64, inChannels: 1, kernelHeight: 3, kernelWidth: 3, groups: 64 };
    expect(int8Candidates(gpu.runtime, 1024, shape)).toHaveLength(1);
    expect(floatCandidates(gpu.runtime, 1024, shape)).toHaveLength(1);
    expect(int8Candidates(gpu.runtime, 1024, { ...shape, inChannels: 64, groups: 1 }).length).toBeGreaterThan(
      1,
    );
  });
});
