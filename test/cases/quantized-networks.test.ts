// Reported situations of networks quantized whole.
import { compile, type Model, quantizeModel } from 'lloyd';
import { describe, expect, test } from 'vitest';
import { useRuntime } from '../support/runtime.ts';
import { bothPrecisions, furthest, network } from './networks.ts';

const gpu = useRuntime();
const pixels = Uint8Array.from({ length: 64 }, (_, i) => (i * 5) % 256);

/** conv 1x1, relu, pool, classifier: what a channel of the convolution comes to is a logit. */
const twoChannels = (weights: number[], biases: number[], classifierBias: number[]) =>
  network(
    [4, 4, 1],
    [
      { op: 'conv2d', name: 'c', inputs: ['input'], kernel: [1, 1], outChannels: 2 },
      { op: 'relu', name: 'r', inputs: ['c'] },
      { op: 'globalAveragePool', name: 'g', inputs: ['r'] },
      { op: 'linear', name: 'fc', inputs: ['g'], outFeatures: 2 },
    ],
    {
      'c.weight': [[2, 1, 1, 1], weights],
      'c.bias': [[2], biases],
      'fc.weight': [
        [2, 2],
        [1, 0, 0, 1],
      ],
      'fc.bias': [[2], classifierBias],
    },
  );

// microsoft/onnxruntime#22020, #21000: bias / (input scale x weight scale) of a pruned channel leaves int32.
test.each([
  [0, 0.5],
  [0, -3],
  [1e-6, 0.5],
  [1e-5, 0.5],
  [0, 0.01],
])('a channel of weights %f with a bias of %f', async (weight, bias) => {
  const { float, int8 } = await bothPrecisions(
    gpu.runtime,
    twoChannels([weight, 1], [bias, 0], [0, 0]),
    pixels,
  );
  expect(furthest(float, int8)).toBeLessThan(0.02);
});

// tensorflow/tensorflow#33735: an activation that calibration saw only as zero gets a tiny scale.
test('every pixel below the ReLU: the logits are the biases of the classifier', async () => {
  const { int8 } = await bothPrecisions(gpu.runtime, twoChannels([-1, -1], [-1, -1], [1, -1]), pixels);
  expect(Math.abs(int8[0] - 1)).toBeLessThan(0.02);
  expect(Math.abs(int8[1] + 1)).toBeLessThan(0.02);
});

// pytorch/pytorch#71932, tensorflow/tensorflow#70496: a ReLU fused into the last layer let negative values through.
describe.each(['relu', 'relu6'] as const)('%s as the output', (op) => {
  test.each(['ort-f32', 'tflite-double', 'lab'] as const)('by %s', async (requantize) => {
    const model = network(
      [2, 2, 1],
      [
        { op: 'globalAveragePool', name: 'g', inputs: ['input'] },
        { op: 'linear', name: 'fc', inputs: ['g'], outFeatures: 3 },
        { op, name: 'r', inputs: ['fc'] },
      ],
      {
        'fc.weight': [
          [3, 1],
          [1, -1, 20],
        ],
        'fc.bias': [[3], [0, 0, 0]],
      },
    );
    const { int8 } = await bothPrecisions(gpu.runtime, model, Uint8Array.of(10, 100, 200, 250), {
      requantize,
    });
    const top = op === 'relu6' ? 6.05 : Number.POSITIVE_INFINITY;
    expect([...int8].filter((v) => !(v >= 0 && v <= top))).toEqual([]);
  });
});

// A weight of another layout, size or dtype than the graph says must be refused by name, never computed with.
describe('parameters that contradict the graph', () => {
  const values = (dims: number[], dtype: 'float32' | 'float16' = 'float32') =>
    ({
      dtype,
      dims,
      data: Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(i)),
    }) as never;
  const graph: Model['graph'] = {
    name: 'tiny',
    input: { name: 'image', height: 4, width: 4, channels: 3 },
    output: 'fc',
    nodes: [
      { op: 'conv2d', name: 'c1', inputs: ['image'], kernel: [3, 3], outChannels: 8, pads: [1, 1, 1, 1] },
      { op: 'globalAveragePool', name: 'g', inputs: ['c1'] },
      { op: 'linear', name: 'fc', inputs: ['g'], outFeatures: 5 },
    ],
  };
  const images = new Float32Array(48).fill(0.5);
  const sound = { 'c1.weight': values([8, 3, 3, 3]), 'fc.weight': values([5, 8]), 'fc.bias': values([5]) };
  const wrong: Record<string, Record<string, never>> = {
    'a HWIO weight': { 'c1.weight': values([3, 3, 3, 8]) },
    'a 5x5 kernel': { 'c1.weight': values([8, 3, 5, 5]) },
    'half the channels': { 'c1.weight': values([4, 3, 3, 3]) },
    'a transposed classifier': { 'fc.weight': values([8, 5]) },
    'a short classifier': { 'fc.weight': values([5, 4]) },
    'a bias of 3': { 'fc.bias': values([3]) },
    'float16 by name only': { 'c1.weight': values([8, 3, 3, 3], 'float16') },
  };
  const ways: [string, (model: Model) => Promise<Parameters<typeof compile>[1]> | Model][] = [
    ['fp32', (model) => model],
    ['k-means', (model) => quantizeModel(gpu.runtime, model, { method: 'kmeans', bits: 4 })],
    [
      'linear',
      (model) => quantizeModel(gpu.runtime, model, { method: 'linear', bits: 8, calibration: images }),
    ],
  ];
  describe.each(Object.keys(wrong))('%s', (name) => {
    test.each(ways)('%s', async (_, quantize) => {
      const model: Model = { graph, parameters: new Map(Object.entries({ ...sound, ...wrong[name] })) };
      const run = async () => {
        const session = await compile(gpu.runtime, await quantize(model), { batch: 1 });
        await session.run(images);
      };
      await expect(run()).rejects.toMatchObject({
        name: 'LloydError',
        message: expect.stringMatching(/weight|bias/),
      });
    });
  });
});

// Small networks whose values are exact arithmetic: 1x1 convolutions of known numbers.
describe('exact arithmetic', () => {
  const run = async (model: Parameters<typeof compile>[1], x: Float32Array, batch = 1) => {
    const session = await compile(gpu.runtime, model, { batch });
    try {
      return (await session.run(x)) as Float32Array;
    } finally {
      session.destroy();
    }
  };
  const identity = network(
    [1, 1, 3],
    [{ op: 'conv2d', name: 'c', inputs: ['input'], kernel: [1, 1], outChannels: 3 }],
    {
      'c.weight': [
        [3, 3, 1, 1],
        [1, 0, 0, 0, 1, 0, 0, 0, 1],
      ],
      'c.bias': [[3], [0, 0, 0]],
    },
  );

  test('a dead channel becomes its bias alone, in floats and integers', async () => {
    const dead = network(
      [1, 1, 1],
      [
        { op: 'conv2d', name: 'c', inputs: ['input'], kernel: [1, 1], outChannels: 2 },
        { op: 'relu', name: 'r', inputs: ['c'] },
        { op: 'linear', name: 'fc', inputs: ['r'], outFeatures: 2 },
      ],
      {
        'c.weight': [
          [2, 1, 1, 1],
          [1, 3.8e-33],
        ],
        'c.bias': [[2], [0.1, 0.453]],
        'fc.weight': [
          [2, 2],
          [1, 0, 0, 1],
        ],
        'fc.bias': [[2], [0, 0]],
      },
    );
    const x = Float32Array.of(0.5);
    expect(furthest(await run(dead, x), [0.6, 0.453])).toBeLessThan(1e-6);
    const int8 = await quantizeModel(gpu.runtime, dead, {
      method: 'linear',
      bits: 8,
      calibration: Float32Array.of(0, 0.5, 1),
    });
    expect(furthest(await run(int8, x), [0.6, 0.453])).toBeLessThan(0.01);
  });

  test('inputs outside 0 to 1', async () => {
    const x = Float32Array.of(-0.5, 0.5, 1.5);
    expect(furthest(await run(identity, x), x)).toBeLessThan(1e-6);
    const calibration = Float32Array.of(-1, -1, -1, 2, 2, 2);
    const int8 = await quantizeModel(gpu.runtime, identity, { method: 'linear', bits: 8, calibration });
    expect(furthest(await run(int8, x), x)).toBeLessThan(0.015);
  });

  test('a batch norm ahead of everything: 2x - 1', async () => {
    const ahead: Model = network(
      [1, 1, 3],
      [
        { op: 'batchNorm', name: 'n', inputs: ['input'], epsilon: 0 },
        { op: 'conv2d', name: 'c', inputs: ['n'], kernel: [1, 1], outChannels: 3 },
      ],
      {
        'c.weight': [
          [3, 3, 1, 1],
          [1, 0, 0, 0, 1, 0, 0, 0, 1],
        ],
        'c.bias': [[3], [0, 0, 0]],
        'n.weight': [[3], [2, 2, 2]],
        'n.bias': [[3], [-1, -1, -1]],
        'n.running_mean': [[3], [0, 0, 0]],
        'n.running_var': [[3], [1, 1, 1]],
      },
    );
    const calibration = Float32Array.of(0, 0, 0, 1, 1, 1);
    const int8 = await quantizeModel(gpu.runtime, ahead, { method: 'linear', bits: 8, calibration });
    expect(furthest(await run(int8, Float32Array.of(0, 0.25, 1)), [-1, -0.5, 1])).toBeLessThan(0.015);
  });

  test('an output of four pixels, of one image and of two', async () => {
    const spatial = network(
      [2, 2, 1],
      [{ op: 'conv2d', name: 'c', inputs: ['input'], kernel: [1, 1], outChannels: 1 }],
      { 'c.weight': [[1, 1, 1, 1], [1]], 'c.bias': [[1], [0]] },
    );
    const x = Float32Array.of(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8);
    expect(furthest(await run(spatial, x.subarray(0, 4)), x.subarray(0, 4))).toBeLessThan(1e-6);
    expect(furthest(await run(spatial, x, 2), x)).toBeLessThan(1e-6);
  });

  test('weights of 3 channels on an input of 8', async () => {
    const misfit = network(
      [3, 3, 8],
      [{ op: 'conv2d', name: 'c', inputs: ['input'], kernel: [3, 3], outChannels: 2 }],
      { 'c.weight': [[2, 3, 3, 3], new Array(54).fill(0.1)], 'c.bias': [[2], [0, 0]] },
    );
    await expect(run(misfit, new Float32Array(72).fill(0.5))).rejects.toMatchObject({ name: 'LloydError' });
  });

  test.each([
    ['depthwise', 64],
    ['depthwise', 576],
    ['batchNorm', 512],
  ] as const)('a %s of %i channels computes what it says', async (op, channels) => {
    const all = (value: number, count: number = channels) => new Array(count).fill(value);
    const pooled = { op: 'globalAveragePool', name: 'g', inputs: ['d'] } as const;
    const model =
      op === 'depthwise'
        ? network(
            [14, 14, channels],
            [
              {
                op: 'conv2d',
                name: 'd',
                inputs: ['input'],
                kernel: [3, 3],
                outChannels: channels,
                groups: channels,
                pads: [1, 1, 1, 1],
              },
              pooled,
            ],
            { 'd.weight': [[channels, 1, 3, 3], all(0.1, channels * 9)], 'd.bias': [[channels], all(0)] },
          )
        : network(
            [14, 14, channels],
            [{ op: 'batchNorm', name: 'd', inputs: ['input'], epsilon: 0 }, pooled],
            {
              'd.weight': [[channels], all(2)],
              'd.bias': [[channels], all(0)],
              'd.running_mean': [[channels], all(0)],
              'd.running_var': [[channels], all(1)],
            },
          );
    const got = await run(model, new Float32Array(14 * 14 * channels).fill(0.5));
    // Taps inside the image: 14 rows of 3, less one at each end, in both directions.
    const want = op === 'depthwise' ? (0.5 * 0.1 * 40 * 40) / 196 : 1;
    expect(furthest(got, all(want))).toBeLessThan(1e-5);
  });
});
