import { afterEach, describe, expect, test, vi } from 'vitest';
import { broadcastLanes } from '../../src/conv/tile.ts';
import { conv2dFilterGradient } from '../../src/reference/conv2d-filter-gradient.ts';
import { conv2dInputGradient } from '../../src/reference/conv2d-input-gradient.ts';
import { fakeQuantize as fakeQuantizeTwin } from '../../src/reference/fake-quantize.ts';
import { fakeQuantizeGradient } from '../../src/reference/fake-quantize-gradient.ts';
import { stepSizeGradient } from '../../src/reference/step-size-gradient.ts';
import { fakeQuantize, registerKernels, type SharedTfjs, shareDevice } from '../../src/tfjs/index.ts';
import { convChoices } from '../../src/train/geometry.ts';
import { relativeL2 } from '../support/gradients.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

type Tensor = import('@tensorflow/tfjs').Tensor;
type Tensor4D = import('@tensorflow/tfjs').Tensor4D;

const gpu = useRuntime();
let undo: (() => void) | undefined;
afterEach(() => {
  undo?.();
  undo = undefined;
});

async function registered(): Promise<SharedTfjs> {
  const shared = await shareDevice(gpu.runtime);
  undo = await registerKernels(shared);
  return shared;
}

/** What a computation gives on tfjs' kernels and on ours, flat. */
async function both(compute: (shared: SharedTfjs) => Tensor[]) {
  const shared = await shareDevice(gpu.runtime);
  const values = async () => {
    const results = compute(shared);
    const arrays = await Promise.all(results.map(async (t) => Float32Array.from(await t.data())));
    shared.tf.dispose(results);
    return arrays;
  };
  const theirs = await values();
  await registered();
  return { theirs, ours: await values() };
}

function tensorOf({ tf }: SharedTfjs, random: ReturnType<typeof seeded>, shape: number[], scale = 1) {
  const count = shape.reduce((a, b) => a * b, 1);
  return tf.tensor4d(random.floats(count, scale), shape as [number, number, number, number]);
}

/** Kernels of ours that were bound while `work` ran. */
async function kernelsOf(work: () => Promise<unknown>): Promise<Set<string>> {
  const spy = vi.spyOn(gpu.runtime.device, 'createBindGroup');
  try {
    await work();
    return new Set(spy.mock.calls.map(([{ label }]) => label ?? ''));
  } finally {
    spy.mockRestore();
  }
}

describe('registerKernels: convolution', () => {
  const cases = [
    { size: [2, 7, 6, 3], filter: [3, 3, 3, 5], strides: 1, pad: 'same' },
    { size: [3, 9, 8, 4], filter: [3, 2, 4, 16], strides: 2, pad: 'same' },
    { size: [1, 5, 5, 17], filter: [1, 1, 17, 33], strides: 1, pad: 'valid' },
    { size: [4, 16, 16, 8], filter: [5, 5, 8, 12], strides: [1, 2], pad: 'valid' },
  ] as const;

  test.each(cases)('$size by $filter, $pad: forward and gradients are tfjs’ and the twins’', async (own) => {
    const { theirs, ours } = await both((shared) => {
      const { tf } = shared;
      const random = seeded(7);
      const x = tensorOf(shared, random, [...own.size]);
      const w = tensorOf(shared, random, [...own.filter], 0.3);
      const convolve = (a: Tensor4D, b: Tensor4D) =>
        tf.conv2d(a, b, own.strides as number | [number, number], own.pad);
      const y = convolve(x, w);
      const dy = tensorOf(shared, random, y.shape);
      const [dx, dw] = tf.grads(convolve as never)([x, w], dy);
      return [y, dx, dw, x, w, dy];
    });
    for (const i of [0, 1, 2]) expect(relativeL2(ours[i], theirs[i])).toBeLessThan(1e-5);
    const [y, dx, dw, x, w, dy] = ours;
    const [batch, height, width, inChannels] = own.size;
    const [kh, kw, , outChannels] = own.filter;
    const strides = [own.strides].flat().length === 2 ? [own.strides].flat() : [own.strides, own.strides];
    const { tf } = await shareDevice(gpu.runtime);
    const { padInfo } = tf.backend_util.computeConv2DInfo(
      [...own.size],
      [...own.filter],
      strides as [number, number],
      1,
      own.pad,
    );
    const geometry = {
      ...{ batch, height, width, inChannels, outChannels, groups: 1 },
      ...{ strides: strides as [number, number], dilations: [1, 1] as const },
      kernel: [kh, kw] as const,
      pads: [padInfo.top, padInfo.left, padInfo.bottom, padInfo.right] as const,
    };
    const oihw = (hwio: Float32Array) =>
      Float32Array.from(hwio, (_, i) => {
        const tap = i % (kh * kw);
        const c = Math.floor(i / (kh * kw)) % inChannels;
        return hwio[(tap * inChannels + c) * outChannels + Math.floor(i / (kh * kw * inChannels))];
      });
    expect(relativeL2(dx, conv2dInputGradient(dy, oihw(w), geometry))).toBeLessThan(1e-5);
    expect(relativeL2(oihw(dw), conv2dFilterGradient(x, dy, geometry))).toBeLessThan(1e-5);
    expect(y.some((v) => v !== 0)).toBe(true);
  });

  test.each(['linear', 'relu', 'relu6', 'elu'] as const)('fused with a bias and %s', async (activation) => {
    const { theirs, ours } = await both((shared) => {
      const random = seeded(9);
      const x = tensorOf(shared, random, [2, 6, 6, 5], 3);
      const filter = tensorOf(shared, random, [3, 3, 5, 7]);
      const bias = shared.tf.tensor1d(random.floats(7));
      return [shared.tf.fused.conv2d({ x, filter, strides: 1, pad: 'same', bias, activation })];
    });
    expect(relativeL2(ours[0], theirs[0])).toBeLessThan(1e-5);
  });
});

describe('registerKernels: batch norm', () => {
  test.each([4, 6])('%i channels: forward and all five gradients are tfjs’', async (channels) => {
    const { theirs, ours } = await both((shared) => {
      const { tf } = shared;
      const random = seeded(channels);
      const x = tensorOf(shared, random, [3, 5, 4, channels], 2);
      const row = () => tf.tensor1d(random.floats(channels));
      const [mean, offset, scale] = [row(), row(), row()];
      const variance = tf.tensor1d(random.floats(channels).map((v) => 0.2 + Math.abs(v)));
      const norm = (...all: Tensor[]) => {
        const [a, m, v, o, s] = all as never[];
        return tf.batchNorm(a, m, v, o, s, 1e-3);
      };
      const inputs = [x, mean, variance, offset, scale];
      const dy = tensorOf(shared, random, x.shape);
      return [norm(...inputs), ...tf.grads(norm)(inputs, dy)];
    });
    for (const [i, values] of ours.entries())
      expect(relativeL2(values, theirs[i]), `${i}`).toBeLessThan(2e-5);
  });
});

describe('registerKernels: fakeQuantize', () => {
  test.each([
    [undefined, -3],
    [0, 0],
    [3, 0],
  ])(
    'axis %s: value, straight-through and step-size gradients equal their formulas',
    async (axis, zeroPoint) => {
      const shared = await registered();
      const { tf } = shared;
      const random = seeded(3);
      const shape = [6, 3, 2, 5];
      const x = random.ties(180, 1 / 16, 60);
      const dy = random.floats(180);
      const channels = axis === undefined ? 1 : shape[axis];
      const scale = Float32Array.from({ length: channels }, (_, c) => 2 ** (-1 - (c % 3)));
      const steps = axis === undefined ? tf.scalar(scale[0]) : tf.tensor1d(scale);
      const round = (a: Tensor, s: Tensor) => fakeQuantize(shared, a, s, { bits: 4, zeroPoint, axis });
      const value = await round(tf.tensor(x, shape), steps).data();
      const [dx, ds] = tf.grads(round)([tf.tensor(x, shape), steps], tf.tensor(dy, shape));
      const layout = {
        ...{ quantMin: -8, quantMax: 7 },
        block: axis === 0 ? 30 : 180,
        lanes: axis === 3 ? 5 : 1,
      };
      const qparams = Float32Array.from({ length: channels * 2 }, (_, i) =>
        i % 2 ? zeroPoint : scale[i / 2],
      );
      expect([...value]).toEqual([...fakeQuantizeTwin(x, qparams, layout)]);
      expect([...(await dx.data())]).toEqual([...fakeQuantizeGradient(x, dy, qparams, layout)]);
      const factor = 1 / Math.sqrt((180 / channels) * 7);
      expect(ds.shape).toEqual(steps.shape);
      expect(relativeL2(await ds.data(), stepSizeGradient(x, dy, qparams, layout, factor))).toBeLessThan(
        1e-5,
      );
    },
  );

  test('refuses what it cannot do, naming it', async () => {
    const shared = await shareDevice(gpu.runtime);
    const { tf } = shared;
    const [x, one] = [tf.zeros([2, 3, 4]), tf.scalar(1)];
    expect(() => fakeQuantize(shared, x, one)).toThrow(/registerKernels/);
    await registered();
    expect(() => fakeQuantize(shared, x, one, { bits: 9 })).toThrow(/1 to 8.*9/);
    expect(() => fakeQuantize(shared, x, one, { axis: 1 })).toThrow(/axis must be 0 or 2.*1/);
    expect(() => fakeQuantize(shared, x, one, { axis: 2 })).toThrow(/4 scales/);
  });
});

describe('registerKernels: a plain tfjs model', () => {
  function network({ tf }: SharedTfjs) {
    const { layers } = tf;
    const same = { padding: 'same', useBias: false } as const;
    const initializer = (seed: number) => ({ kernelInitializer: tf.initializers.heNormal({ seed }) });
    const model = tf.sequential({
      layers: [
        layers.conv2d({ inputShape: [8, 8, 3], filters: 6, kernelSize: 3, ...same, ...initializer(1) }),
        layers.batchNormalization(),
        layers.reLU(),
        layers.maxPooling2d({ poolSize: 2 }),
        layers.conv2d({ filters: 8, kernelSize: 3, ...same, ...initializer(2) }),
        layers.batchNormalization(),
        layers.reLU(),
        layers.flatten(),
        layers.dense({ units: 4, ...initializer(3) }),
      ],
    });
    model.compile({ optimizer: tf.train.momentum(0.02, 0.9), loss: 'meanSquaredError' });
    return model;
  }

  async function trained(shared: SharedTfjs) {
    const { tf } = shared;
    const random = seeded(12);
    const model = network(shared);
    const images = tf.tensor4d(random.floats(32 * 192), [32, 8, 8, 3]);
    const targets = tf.tensor2d(random.floats(32 * 4), [32, 4]);
    const { history } = await model.fit(images, targets, { epochs: 4, batchSize: 16, shuffle: false });
    const weights = await Promise.all(model.getWeights().map(async (w) => Float32Array.from(await w.data())));
    tf.dispose([images, targets]);
    model.dispose();
    return { losses: history.loss as number[], weights };
  }

  test('trains on our kernels to what tfjs trains to, with the same bits twice', async () => {
    const shared = await shareDevice(gpu.runtime);
    const theirs = await trained(shared);
    await registered();
    let first: Awaited<ReturnType<typeof trained>> | undefined;
    const used = await kernelsOf(async () => {
      first = await trained(shared);
    });
    const planned = Object.values(convChoices(broadcastLanes(gpu.runtime))).map(
      (own) => own.kernel.declaration.name,
    );
    expect([...used]).toEqual(expect.arrayContaining([...planned, 'batch-norm-gradient']));
    const { losses, weights } = first!;
    expect(losses.at(-1)).toBeLessThan(losses[0]);
    for (const [i, loss] of losses.entries())
      expect(Math.abs(loss / theirs.losses[i] - 1)).toBeLessThan(1e-3);
    for (const [i, values] of weights.entries()) {
      expect(relativeL2(values, theirs.weights[i]), `weight ${i}`).toBeLessThan(1e-2);
    }
    expect((await trained(shared)).weights).toEqual(weights);
  });

  test('the loss rises along each gradient by its norm', async () => {
    const shared = await registered();
    const { tf } = shared;
    const random = seeded(5);
    const x = tensorOf(shared, random, [4, 6, 6, 3]);
    const dy = tensorOf(shared, random, [4, 6, 6, 5]);
    const [w, gamma, beta] = [tensorOf(shared, random, [3, 3, 3, 5], 0.4), tf.ones([5]), tf.zeros([5])];
    const loss = (...all: Tensor[]) => {
      const [filter, scale, offset] = all as never[];
      const y = tf.conv2d(x, filter, 1, 'same');
      const { mean, variance } = tf.moments(y, [0, 1, 2]);
      return tf.sum(tf.mul(tf.batchNorm(y, mean as never, variance as never, offset, scale), dy));
    };
    const inputs: Tensor[] = [w, gamma, beta];
    const gradients = tf.grads(loss)(inputs);
    for (const [i, gradient] of gradients.entries()) {
      const norm = (await tf.norm(gradient).data())[0];
      const step = 1e-2;
      const at = async (sign: number) => {
        const moved = [...inputs];
        moved[i] = tf.add(inputs[i], tf.mul(gradient, (sign * step) / norm));
        return (await loss(...moved).data())[0];
      };
      const rise = ((await at(1)) - (await at(-1))) / (2 * step);
      expect(Math.abs(rise / norm - 1), `${i}: ${rise} for ${norm}`).toBeLessThan(0.01);
    }
  });

  test('several calls at once share one device and register once', async () => {
    const [shared, again] = await Promise.all([shareDevice(gpu.runtime), shareDevice(gpu.runtime)]);
    expect(again).toBe(shared);
    const own = shared.tf.getKernel('Conv2D', 'webgpu');
    const [first, second] = await Promise.all([registerKernels(shared), registerKernels(shared)]);
    expect(second).toBe(first);
    expect(shared.tf.getKernel('Conv2D', 'webgpu')).not.toBe(own);
    first();
    expect(shared.tf.getKernel('Conv2D', 'webgpu')).toBe(own);
    second();
    expect(shared.tf.getKernel('Conv2D', 'webgpu')).toBe(own);
  });

  test('unregister puts tfjs’ own back, and nothing is left behind', async () => {
    const shared = await shareDevice(gpu.runtime);
    const { tf, backend } = shared;
    const names = ['Conv2D', 'FusedConv2D', 'Conv2DBackpropInput', 'Conv2DBackpropFilter', 'FusedBatchNorm'];
    const kernels = () => names.map((name) => tf.getKernel(name, 'webgpu'));
    const before = { kernels: kernels(), gradient: tf.getGradient('FusedBatchNorm') };
    const counts = () => [tf.memory().numTensors, backend.numDataIds()];
    const held = counts();
    await registered();
    expect(await registerKernels(shared)).toBe(undo);
    for (const [i, kernel] of kernels().entries()) expect(kernel).not.toBe(before.kernels[i]);
    await trained(shared);
    await trained(shared);
    const after = counts();
    undo!();
    undo!();
    expect(kernels()).toEqual(before.kernels);
    expect(tf.getGradient('FusedBatchNorm')).toBe(before.gradient);
    expect(tf.getKernel('LloydFakeQuantize', 'webgpu')).toBeUndefined();
    const used = await kernelsOf(() => trained(shared));
    expect(used.has('conv2d')).toBe(false);
    // tfjs itself keeps a few tensors a model; ours add none to what it keeps.
    const alone = counts();
    const perFit = alone.map((n, i) => n - after[i]);
    expect(after.map((n, i) => n - held[i])).toEqual(perFit.map((n) => 2 * n));
  });
});
