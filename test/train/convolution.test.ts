import { describe, expect, test } from 'vitest';
import type { KernelPreference } from '../../src/conv/kernel-choice.ts';
import { tileWeights, untileWeights } from '../../src/conv/weight-layout.ts';
import type { Call } from '../../src/gpu/call.ts';
import type { ImageModel } from '../../src/model/graph.ts';
import type { CodebookLayer } from '../../src/model/quantized-model.ts';
import { conv2dFilterGradient } from '../../src/reference/conv2d-filter-gradient.ts';
import { conv2dInputGradient } from '../../src/reference/conv2d-input-gradient.ts';
import { convOutput, type ConvGeometry as TwinGeometry } from '../../src/reference/conv2d-int8.ts';
import {
  bindConv,
  bindFilterGradient,
  bindInputGradient,
  convKernels,
  filterParts,
  retiledBytes,
  tiledBackward,
  tiledForward,
} from '../../src/train/convolution.ts';
import { type ConvGeometry, vectorsOf, weightLayout } from '../../src/train/geometry.ts';
import { buildNetwork } from '../../src/train/network.ts';
import { createWorkshop } from '../../src/train/weights.ts';
import * as g from '../support/gradients.ts';
import { sampled, seeded, useRuntime } from '../support/runtime.ts';
import { depthwiseModel, residualModel, smallModel } from '../support/small-model.ts';

const gpu = useRuntime();

/** As training takes it. */
function trained(twin: TwinGeometry, depthwise = false): ConvGeometry {
  const { height, width, inChannels, outChannels, kernel, strides, dilations, pads } = twin;
  const [outHeight, outWidth] = convOutput(twin);
  return {
    input: { height, width, channels: inChannels },
    shape: { height: outHeight, width: outWidth, channels: outChannels },
    kernel,
    strides,
    dilations,
    pads,
    depthwise,
  };
}

/** Strides of 1 half the time, channels past one tile of any size now and then. */
function geometries(): TwinGeometry[] {
  const random = seeded(17);
  return g.randomConvs(seeded(16), 30, 21).map((own): TwinGeometry => {
    const strides = random.integer(0, 2) > 0 ? ([1, 1] as const) : own.strides;
    const wide = random.integer(0, 2) === 0;
    const outChannels = wide ? random.integer(60, 140) : own.outChannels;
    return { ...own, strides, outChannels };
  });
}

describe('a convolution and its gradients in workgroup tiles', () => {
  test('are within 1e-5 of the float64 twins on random shapes', async () => {
    const { runtime } = gpu;
    let products = 0;
    for (const twin of sampled('tiled convolutions', geometries(), 12)) {
      const conv = trained(twin);
      const { batch, outChannels, inChannels, kernel } = twin;
      const { workshop, destroy } = createWorkshop(runtime);
      const own = convKernels(runtime, 'tiled');
      expect(tiledForward(own, conv, batch)).not.toBeNull();
      if (tiledBackward(own, conv, batch)) products++;
      const retiled = workshop.empty(retiledBytes(own, [conv], batch), 'retiled');
      const kernels = { ...own, retiled };
      const random = seeded(products + 40);
      const x = random.floats(batch * twin.height * twin.width * inChannels);
      const w = random.floats(outChannels * inChannels * kernel[0] * kernel[1], 0.3);
      const dy = random.floats(batch * conv.shape.height * conv.shape.width * outChannels);
      const layout = weightLayout(conv);
      // Of tiles' padding nothing may be believed.
      const weights = workshop.upload(tileWeights(w, layout, 5), 'weights');
      const input = workshop.upload(g.padChannels(x, inChannels), 'input');
      const gradient = workshop.upload(g.padChannels(dy, outChannels), 'gradient');
      const bytesOf = (shape: ConvGeometry['shape']) =>
        batch * shape.height * shape.width * vectorsOf(shape) * 16;
      const output = workshop.empty(bytesOf(conv.shape), 'output');
      const inputGradient = workshop.empty(bytesOf(conv.input), 'input gradient');
      const { splits, length } = filterParts(own, conv, batch);
      const partial = workshop.empty(splits * length * 4, 'partial');
      const filterGradient = workshop.empty(length * 4, 'filter gradient');
      // The padding of strided convolutions' weights meets their own kernel, which takes them as training has them.
      const clean = workshop.upload(tileWeights(w, layout), 'weights');
      const calls: Call[] = [
        ...(await bindConv(workshop, kernels, conv, batch, { input, weights, output })),
        ...(await bindInputGradient(workshop, kernels, conv, batch, {
          gradient,
          weights: tiledBackward(own, conv, batch) ? weights : clean,
          inputGradient,
        })),
        ...(await bindFilterGradient(workshop, kernels, conv, batch, {
          input,
          gradient,
          partial,
          output: filterGradient,
        })),
      ];
      runtime.submit(calls);
      const read = async (buffer: GPUBuffer) => new Float32Array(await runtime.read(buffer));
      const what = JSON.stringify(twin);
      const near = (got: ArrayLike<number>, want: ArrayLike<number>) =>
        expect(g.relativeL2(got, want), what).toBeLessThan(1e-5);
      near(g.stripChannels(await read(output), outChannels), g.conv64(x, w, twin));
      near(g.stripChannels(await read(inputGradient), inChannels), conv2dInputGradient(dy, w, twin));
      near(untileWeights(await read(filterGradient), layout), conv2dFilterGradient(x, dy, twin));
      destroy();
    }
    expect(products).toBeGreaterThan(3);
  });

  test('strides, padding past the kernel’s reach and depthwise convolutions keep their own kernels', () => {
    const kernels = convKernels(gpu.runtime, 'tiled');
    const same: TwinGeometry = {
      ...{ batch: 2, height: 8, width: 8, inChannels: 8, outChannels: 8, groups: 1 },
      ...{ kernel: [3, 3], strides: [1, 1], dilations: [1, 1], pads: [1, 1, 1, 1] },
    };
    const backward = (change: Partial<TwinGeometry>) =>
      tiledBackward(kernels, trained({ ...same, ...change }), 2)?.product.params;
    expect(backward({})).toMatchObject({ padTop: 1, padLeft: 1 });
    expect(backward({ dilations: [2, 1], pads: [0, 2, 0, 2] })).toMatchObject({ padTop: 4, padLeft: 0 });
    expect(backward({ strides: [1, 2] })).toBeUndefined();
    expect(backward({ kernel: [1, 1] })).toBeUndefined();
    const depthwise = trained(same, true);
    expect(tiledForward(kernels, depthwise, 2)).toBeNull();
    expect(tiledBackward(kernels, depthwise, 2)).toBeNull();
    expect(retiledBytes(kernels, [depthwise], 2)).toBe(0);
  });

  test('are an adapter’s by its profile, or as asked', () => {
    const adapter = (profile: 'cpu' | 'gpu') => ({
      ...gpu.runtime,
      adapter: { ...gpu.runtime.adapter, profile, software: null },
    });
    expect(convKernels(adapter('cpu')).limits).toBeNull();
    expect(convKernels(adapter('gpu')).limits).toBe(gpu.runtime.device.limits);
    expect(convKernels(adapter('gpu'), 'registers').limits).toBeNull();
    expect(convKernels(adapter('cpu'), 'tiled').limits).toBe(gpu.runtime.device.limits);
  });
});

/** Enough for batch norm's reductions to be split for a GPU. */
const BATCH = 32;

/** Everything a step changes, and the kernels it ran. */
async function stepOf(
  model: ImageModel,
  kernels: KernelPreference,
  more: { quantized?: ReadonlyMap<string, CodebookLayer>; teacher?: { model: ImageModel } } = {},
) {
  const { runtime } = gpu;
  const { queue } = runtime.device;
  const network = await buildNetwork(runtime, model, {
    batch: BATCH,
    momentum: 0.9,
    nesterov: true,
    weightDecay: 5e-4,
    labelSmoothing: 0.1,
    average: false,
    keepStatistics: false,
    training: { centroids: 'mean', learnedStep: false, observe: 0 },
    kernels,
    ...more,
  });
  const random = seeded(2);
  const { height, width, channels } = model.graph.input;
  const bytes = Uint8Array.from({ length: BATCH * height * width * channels }, () => random.integer(0, 255));
  queue.writeBuffer(network.buffers.images, 0, bytes);
  queue.writeBuffer(network.buffers.placements, 0, new Uint32Array(BATCH).fill(128 | (128 << 8)));
  queue.writeBuffer(
    network.buffers.labels,
    0,
    Uint32Array.from({ length: BATCH }, () => random.integer(0, 4)),
  );
  queue.writeBuffer(network.buffers.schedule, 0, new Float32Array([0.1, 0]));
  runtime.submit(network.step);
  const state = new Map<string, Float32Array>();
  for (const [name, buffer] of network.state) state.set(name, new Float32Array(await runtime.read(buffer)));
  network.destroy();
  return { state, used: new Set(network.step.map(({ kernel }) => kernel)) };
}

const REGISTERS = /^conv2d(-(input|filter)-gradient)?(-broadcast)?$/;

describe('a training step in workgroup tiles is that of kernels in registers', () => {
  const codebook: CodebookLayer = {
    method: 'kmeans',
    bits: 2,
    codes: Uint8Array.from({ length: 10 * 6 * 9 }, (_, i) => (i * 7) % 4),
    codebook: Float32Array.of(-0.3, -0.1, 0.1, 0.3),
  } as CodebookLayer;
  const cases: [string, () => ImageModel, Parameters<typeof stepOf>[2]?][] = [
    ['a chain', smallModel],
    ['sums and strides', residualModel],
    ['depthwise convolutions', depthwiseModel],
    ['a codebook', smallModel, { quantized: new Map([['c1', codebook]]) }],
    ['a teacher', smallModel, { teacher: { model: smallModel() } }],
  ];
  test.each(cases)('%s', async (_, build, more) => {
    const registers = await stepOf(build(), 'registers', more);
    const tiled = await stepOf(build(), 'tiled', more);
    expect([...tiled.used]).toEqual(
      expect.arrayContaining(['retile-weights', 'conv2d-tiled', 'conv2d-filter-gradient-tiled']),
    );
    expect([...tiled.used]).toEqual(expect.arrayContaining(['batch-norm-merge-wide', 'sum-splits-wide']));
    const strided = build().graph.nodes.some((node) => 'strides' in node && node.op === 'conv2d');
    const left = [...tiled.used].filter((name) => REGISTERS.test(name));
    if (strided) expect(left.every((name) => name.includes('input-gradient'))).toBe(true);
    else expect(left).toEqual([]);
    expect([...registers.used].filter((name) => /tiled|wide/.test(name))).toEqual([]);
    expect([...tiled.state.keys()]).toEqual([...registers.state.keys()]);
    const total = Math.hypot(
      ...[...registers.state]
        .filter(([name]) => name.startsWith('velocity.'))
        .map(([, v]) => Math.hypot(...v)),
    );
    for (const [name, want] of registers.state) {
      const got = tiled.state.get(name)!;
      const error = Math.hypot(...want.map((value, i) => value - got[i]));
      expect(error, name).toBeLessThanOrEqual(1e-5 * Math.hypot(...want) + 1e-7 * total);
    }
  });
});
