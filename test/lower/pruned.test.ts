// Channels without weights, activations without values, and parameters of every size that float32 has.
import { describe, expect, test } from 'vitest';
import { requantizeRules } from '../../src/conv/requantize.ts';
import type { ImageModel, ImageNode } from '../../src/model/graph.ts';
import { type QuantizeModelOptions, quantizeModel } from '../../src/run/precision.ts';
import { handMade, logitsOf, worstError } from '../support/hand-made.ts';
import { int8Logits } from '../support/int8-twin.ts';
import { sampled, seeded, useRuntime } from '../support/runtime.ts';

const context = useRuntime();
const pixels = seeded(31);
const images = Uint8Array.from({ length: 16 * 7 }, () => pixels.integer(0, 255));

const conv = (name: string, input: string, outChannels: number): ImageNode => ({
  ...{ op: 'conv2d', name, inputs: [input], kernel: [1, 1], outChannels },
});
const ends: ImageNode[] = [
  { op: 'globalAveragePool', name: 'g', inputs: ['r'] },
  { op: 'linear', name: 'fc', inputs: ['g'], outFeatures: 3 },
];
const head = {
  'fc.weight': [
    [3, 3],
    [1, 0, 0, 0, 1, 0, 0, 0, 1],
  ],
  'fc.bias': [[3], [0, 0, 0]],
} as const;

/** Three channels of 1x1, batch norm where gamma is given, ReLU, their means. */
function three(weights: readonly number[], biases: readonly number[], gamma?: readonly number[]): ImageModel {
  const norm: ImageNode[] = gamma ? [{ op: 'batchNorm', name: 'n', inputs: ['c'], epsilon: 0 }] : [];
  const nodes: ImageNode[] = [
    conv('c', 'x', 3),
    ...norm,
    { op: 'relu', name: 'r', inputs: [gamma ? 'n' : 'c'] },
    ...ends,
  ];
  return handMade([4, 4, 1], nodes, {
    'c.weight': [[3, 1, 1, 1], weights],
    ...(gamma
      ? {
          'n.weight': [[3], gamma],
          'n.bias': [[3], biases],
          'n.running_mean': [[3], [0.1, 0.2, 0.3]],
          'n.running_var': [[3], [1, 4, 0.25]],
        }
      : { 'c.bias': [[3], biases] }),
    ...head,
  });
}

async function both(model: ImageModel, options: Partial<QuantizeModelOptions> = {}) {
  const float = await logitsOf(context, model, images);
  const all = { method: 'linear', bits: 8, calibration: images, ...options } as const;
  const quantized = await quantizeModel(context.runtime, model, all);
  const integer = await logitsOf(context, quantized, images);
  expect(integer).toEqual(int8Logits(quantized, images));
  return { float, integer, quantized, error: worstError(integer, float) };
}

const networks: [string, ImageModel][] = [
  ['pruned channels', three([1, 0, 0], [0.1, 0.5, -3])],
  ['tiny weights beside a bias', three([1, 1e-6, 3.8e-33], [0, 0.7, 0.453])],
  ['weights that are subnormal', three([1, 1e-40, -1e-45], [0, 0.7, 0.2])],
  ['a small bias alone', three([0.02, 0, 0], [0, 0.01, 0.003])],
  ['nothing but biases', three([0, 0, 0], [0.5, 0.25, 0])],
  ['gamma 0', three([1, 2, -1], [0.2, 0.6, 0.4], [1, 0, 0])],
  ['gamma of next to nothing', three([1, 2, -1], [0.2, 0.6, 0.4], [1, 1e-20, 1e-38])],
];

describe('pruned and slimmed networks compile and stay near fp32', () => {
  for (const requantize of sampled('rules', requantizeRules, 2)) {
    test.each(networks)(`${requantize}: %s`, async (_, model) => {
      const { error } = await both(model, { requantize });
      expect(error).toBeLessThan(0.012);
    });
  }

  test('a channel of zeros is its bias to float32, whatever the others are', async () => {
    const model = handMade([1, 1, 1], [conv('c', 'x', 3)], {
      'c.weight': [
        [3, 1, 1, 1],
        [1000, 0, 1e-30],
      ],
      'c.bias': [[3], [0, 0.0123, -7e-5]],
    });
    const { integer, quantized } = await both(model);
    for (let image = 0; image < integer.length; image += 3) {
      expect(integer[image + 1] / 0.0123).toBeCloseTo(1, 6);
      expect(integer[image + 2] / -7e-5).toBeCloseTo(1, 6);
    }
    const layer = quantized.layers.get('c')!;
    expect(layer.method === 'linear' && layer.scale.every((s) => s > 1e-20 && s < 100)).toBe(true);
  });

  test('4-bit and 2-bit weights too', async () => {
    for (const bits of [4, 2]) {
      const { error } = await both(networks[1][1], { bits });
      expect(error).toBeLessThan(0.012);
    }
  });

  test("the lab's floor stays the lab's", async () => {
    const { quantized } = await both(three([1, 1e-9, 0], [0, 0, 0]), { requantize: 'lab' });
    const layer = quantized.layers.get('c')!;
    if (layer.method !== 'linear') throw new Error('not linear');
    expect([...layer.scale]).toEqual([1 / 127, 5e-7 / 127, 5e-7 / 127].map(Math.fround));
    expect([...layer.codes]).toEqual([127, 0, 0]);
    const own = await quantizeModel(context.runtime, three([1, 1e-9, 0], [0, 0, 0]), {
      method: 'linear',
      bits: 8,
      calibration: images,
    });
    expect([...(own.layers.get('c')!.codes as Int8Array)]).toEqual([127, 127, 0]);
  });

  test('codes of another calibration are fitted when they are compiled', async () => {
    const model = three([1, 1e-6, 3.8e-33], [0, 0.7, 0.453]);
    const { quantized, float } = await both(model);
    const codes = Int8Array.of(127, 127, 127);
    const scale = Float32Array.of(1 / 127, 1e-6 / 127, 3.8e-33 / 127);
    const layers = new Map(quantized.layers).set('c', { method: 'linear', bits: 8, codes, scale });
    const got = await logitsOf(context, { ...quantized, layers }, images);
    expect(worstError(got, float)).toBeLessThan(0.012);
  });
});

describe('activations that calibration saw only as zero', () => {
  test.each([1, 1e-3, 1e-6])('leave the next layer its biases, of size %f', async (size) => {
    const bias = [size, -size, size / 3];
    const model = three([-1, -1, -1], [-1, -1, -1]);
    model.parameters.get('fc.bias')!.data.set(bias);
    const { integer } = await both(model);
    for (const [i, value] of integer.entries())
      expect(Math.abs(value - bias[i % 3])).toBeLessThan(0.01 * size);
  });

  for (const requantize of sampled('rules', requantizeRules, 2)) {
    test(`add nothing to a sum by ${requantize}`, async () => {
      const nodes: ImageNode[] = [
        conv('c', 'x', 3),
        conv('d', 'x', 3),
        { op: 'relu', name: 'dead', inputs: ['d'] },
        { op: 'add', name: 'r', inputs: ['c', 'dead'] },
        ...ends,
      ];
      const model = handMade([4, 4, 1], nodes, {
        'c.weight': [
          [3, 1, 1, 1],
          [1, -0.5, 0.25],
        ],
        'd.weight': [
          [3, 1, 1, 1],
          [-1, -1, -1],
        ],
        ...head,
      });
      expect((await both(model, { requantize })).error).toBeLessThan(0.012);
    });
  }
});

test('lone batch norms without a factor are their shift', async () => {
  const nodes: ImageNode[] = [
    { op: 'relu', name: 'r0', inputs: ['x'] },
    { op: 'batchNorm', name: 'n', inputs: ['r0'], epsilon: 0 },
    { op: 'relu', name: 'r', inputs: ['n'] },
    ...ends,
  ];
  const model = handMade([4, 4, 3], nodes, {
    'n.weight': [[3], [0, 1, 1e-33]],
    'n.bias': [[3], [0.5, 0, 0.3]],
    'n.running_mean': [[3], [0, 0, 0]],
    'n.running_var': [[3], [1, 1, 1]],
    ...head,
  });
  const deep = Uint8Array.from({ length: 48 * 3 }, () => pixels.integer(0, 255));
  const quantized = await quantizeModel(context.runtime, model, {
    method: 'linear',
    bits: 8,
    calibration: deep,
  });
  const [integer, float] = [await logitsOf(context, quantized, deep), await logitsOf(context, model, deep)];
  expect(worstError(integer, float)).toBeLessThan(0.012);
});

test('powers of two moved between layers leave every logit the same', async () => {
  const random = seeded(17);
  const [a, b, c] = [random.floats(12), random.floats(60), random.floats(15)];
  const [shift, offset] = [random.floats(12), random.floats(5)];
  const moved = (power: number) =>
    handMade(
      [4, 4, 1],
      [
        conv('c', 'x', 12),
        { op: 'relu', name: 'r', inputs: ['c'] },
        { op: 'globalAveragePool', name: 'g', inputs: ['r'] },
        { op: 'linear', name: 'f', inputs: ['g'], outFeatures: 5 },
        { op: 'relu', name: 'q', inputs: ['f'] },
        { op: 'linear', name: 'fc', inputs: ['q'], outFeatures: 3 },
      ],
      {
        'c.weight': [[12, 1, 1, 1], a.map((w) => w * 2 ** power)],
        'c.bias': [[12], shift.map((w) => w * 2 ** power)],
        'f.weight': [[5, 12], b.map((w) => w * 2 ** (-2 * power))],
        'f.bias': [[5], offset.map((w) => w * 2 ** -power)],
        'fc.weight': [[3, 5], c.map((w) => w * 2 ** power)],
      },
    );
  const { integer, error } = await both(moved(0));
  expect(error).toBeLessThan(0.03);
  for (const power of [-50, -24, 24, 50]) expect((await both(moved(power))).integer).toEqual(integer);
});
