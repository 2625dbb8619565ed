// Reported situations of networks that come from tfjs, against tfjs on the CPU.
import * as tf from '@tensorflow/tfjs';
import { compile, quantizeModel } from 'lloyd';
import { fromLayersModel } from 'lloyd/tfjs';
import { beforeAll, describe, expect, test } from 'vitest';
import { useRuntime } from '../support/runtime.ts';
import { layersAsTfjs } from '../support/tfjs-witness.ts';
import { bothPrecisions, furthest, network, uniform } from './networks.ts';

const gpu = useRuntime();
const L = tf.layers;
const random = uniform(1);
type Layers = Parameters<typeof tf.sequential>[0] extends { layers?: infer A } | undefined
  ? NonNullable<A>
  : never;

beforeAll(async () => {
  await tf.setBackend('cpu');
});

function randomized(model: tf.LayersModel): tf.LayersModel {
  const weights = model.weights.map(({ shape, name }) => {
    const size = (shape as number[]).reduce((a, b) => a * b, 1);
    const values = Float32Array.from({ length: size }, () =>
      /variance/.test(name) ? 0.5 + random() : random() * 2 - 1,
    );
    return tf.tensor(values, shape as number[]);
  });
  model.setWeights(weights);
  return model;
}

/** What tfjs and we compute of three images, in batches of two. */
async function outputs(model: tf.LayersModel, count = 3, options: { logits?: boolean } = {}) {
  const shape = (randomized(model).inputs[0].shape as (number | null)[]).slice(1) as number[];
  const size = shape.reduce((a, b) => a * b, 1);
  const x = Float32Array.from({ length: count * size }, random);
  const [first] = [model.predict(tf.tensor(x, [count, ...shape]))].flat();
  const want = first.dataSync() as Float32Array;
  const session = await compile(gpu.runtime, await fromLayersModel(model, options), { batch: 2 });
  try {
    return { want, got: (await session.run(x)) as Float32Array };
  } finally {
    session.destroy();
  }
}

async function expectRight(model: tf.LayersModel) {
  const { want, got } = await outputs(model);
  const scale = Math.max(...want.map(Math.abs));
  expect(got.length).toBe(want.length);
  expect(furthest(got, want) / scale).toBeLessThan(1e-4);
}

const sequential = (...layers: Layers) => tf.sequential({ layers });
const functional = (
  shape: number[],
  build: (input: tf.SymbolicTensor) => tf.SymbolicTensor | tf.SymbolicTensor[],
) => {
  const inputs = tf.input({ shape });
  return tf.model({ inputs, outputs: build(inputs) });
};
type Symbolic = tf.SymbolicTensor;

const pool = () => L.globalAveragePooling2d({ dataFormat: 'channelsLast' });
const conv = (filters = 4) => L.conv2d({ inputShape: [5, 5, 3], filters, kernelSize: 3 });
const right: Record<string, () => tf.LayersModel> = {
  // tensorflow/tfjs#477: a fully convolutional network at a larger size.
  'an output of several pixels': () =>
    sequential(L.conv2d({ inputShape: [6, 6, 3], filters: 2, kernelSize: 3 })),
  'an output of several pixels, flattened': () =>
    sequential(L.conv2d({ inputShape: [6, 6, 3], filters: 2, kernelSize: 3 }), L.flatten()),
  // apache/tvm#1144, onnx/onnx#1384: the divisor counts real pixels only.
  'an average pool of SAME padding': () =>
    sequential(
      L.conv2d({ inputShape: [7, 5, 3], filters: 5, kernelSize: 1 }),
      L.averagePooling2d({ poolSize: 3, strides: 2, padding: 'same' }),
      L.flatten(),
      L.dense({ units: 2 }),
    ),
  'an input layer named input': () => {
    const inputs = tf.input({ shape: [3, 3, 3], name: 'input' });
    return tf.model({
      inputs,
      outputs: L.dense({ units: 2 }).apply(L.flatten().apply(inputs)) as Symbolic,
    });
  },
  'a batch norm after a concatenation': () =>
    functional([5, 5, 3], (i) => {
      const a = L.conv2d({ filters: 4, kernelSize: 3 }).apply(i) as Symbolic;
      const b = L.conv2d({ filters: 3, kernelSize: 3 }).apply(i) as Symbolic;
      const joined = L.batchNormalization().apply(L.concatenate().apply([a, b]));
      const pooled = L.globalAveragePooling2d({ dataFormat: 'channelsLast' }).apply(L.reLU().apply(joined));
      return L.dense({ units: 2 }).apply(pooled) as Symbolic;
    }),
  'an oblong image, stride 2, SAME': () =>
    sequential(
      L.conv2d({
        inputShape: [7, 5, 3],
        filters: 4,
        kernelSize: 3,
        strides: 2,
        padding: 'same',
        activation: 'relu',
      }),
      L.flatten(),
      L.dense({ units: 2 }),
    ),
  'a layer named input': () => {
    const inputs = tf.input({ shape: [3, 3, 3], name: 'x' });
    const flat = L.flatten({ name: 'input' }).apply(inputs);
    return tf.model({ inputs, outputs: L.dense({ units: 2 }).apply(flat) as Symbolic });
  },
  // onnx/tensorflow-onnx#714: after Flatten the norm has one parameter a pixel and channel.
  'a batch norm after Flatten': () =>
    sequential(
      L.conv2d({ inputShape: [4, 4, 2], filters: 3, kernelSize: 3, activation: 'relu' }),
      L.flatten(),
      L.batchNormalization(),
      L.dense({ units: 2 }),
    ),
  // tensorflow/tfjs#340, #398: a model used as a layer of another.
  'a model as a layer of a sequential one': () =>
    sequential(
      sequential(L.conv2d({ inputShape: [4, 4, 2], filters: 3, kernelSize: 3 })) as never,
      L.flatten(),
      L.dense({ units: 2 }),
    ),
  'a model as a layer of a functional one': () =>
    functional([4, 4, 2], (i) => {
      const inner = sequential(L.conv2d({ inputShape: [4, 4, 2], filters: 3, kernelSize: 3 }));
      return L.dense({ units: 2 }).apply(L.flatten().apply(inner.apply(i) as Symbolic)) as Symbolic;
    }),
  'two models as layers': () =>
    sequential(
      sequential(
        L.conv2d({ inputShape: [5, 5, 3], filters: 4, kernelSize: 3, activation: 'relu' }),
        pool(),
      ) as never,
      sequential(L.dense({ inputShape: [4], units: 3 })) as never,
    ),
  'a Softmax layer in the middle': () => sequential(conv(), L.flatten(), L.softmax(), L.dense({ units: 3 })),
  'a softmax activation in the middle': () =>
    sequential(
      L.flatten({ inputShape: [3, 3, 3] }),
      L.dense({ units: 4, activation: 'softmax' }),
      L.dense({ units: 3 }),
    ),
  'no image': () => sequential(L.dense({ inputShape: [5], units: 3 })),
  'a leaky ReLU': () => sequential(conv(), L.leakyReLU({ alpha: 0.1 }), pool(), L.dense({ units: 2 })),
  'a separable convolution': () =>
    sequential(
      L.separableConv2d({ inputShape: [5, 5, 3], filters: 4, kernelSize: 3 }),
      pool(),
      L.dense({ units: 2 }),
    ),
  'a reshape to 1 x 1 x C': () =>
    sequential(
      conv(),
      pool(),
      L.reshape({ targetShape: [1, 1, 4] }),
      L.conv2d({ filters: 2, kernelSize: 1 }),
      L.reshape({ targetShape: [2] }),
    ),
  'a global max pool': () =>
    sequential(conv(), L.globalMaxPooling2d({ dataFormat: 'channelsLast' }), L.dense({ units: 2 })),
  'padding before a max pool': () =>
    sequential(
      L.conv2d({ inputShape: [6, 6, 3], filters: 4, kernelSize: 3, activation: 'relu' }),
      L.zeroPadding2d({ padding: 1 }),
      L.maxPooling2d({ poolSize: 3, strides: 2 }),
      L.flatten(),
      L.dense({ units: 2 }),
    ),
  'a gate that is multiplied': () =>
    functional([5, 5, 3], (i) => {
      const c = L.conv2d({ filters: 4, kernelSize: 3 }).apply(i) as Symbolic;
      const squeezed = L.reshape({ targetShape: [1, 1, 4] }).apply(pool().apply(c));
      const gate = L.conv2d({ filters: 4, kernelSize: 1, activation: 'sigmoid' }).apply(squeezed) as Symbolic;
      return L.dense({ units: 2 }).apply(pool().apply(L.multiply().apply([c, gate]))) as Symbolic;
    }),
  'an addition that broadcasts': () =>
    functional([5, 5, 3], (i) => {
      const c = L.conv2d({ filters: 4, kernelSize: 3 }).apply(i) as Symbolic;
      const one = L.averagePooling2d({ poolSize: 3 }).apply(c) as Symbolic;
      return L.dense({ units: 2 }).apply(pool().apply(L.add().apply([c, one]))) as Symbolic;
    }),
  'one layer used twice': () =>
    functional([5, 5, 3], (i) => {
      const shared = L.conv2d({ filters: 3, kernelSize: 3, padding: 'same' });
      return L.dense({ units: 2 }).apply(pool().apply(shared.apply(shared.apply(i)))) as Symbolic;
    }),
  'a transposed convolution': () =>
    sequential(
      L.conv2dTranspose({ inputShape: [5, 5, 3], filters: 4, kernelSize: 3 }),
      pool(),
      L.dense({ units: 2 }),
    ),
  upsampling: () =>
    sequential(
      L.upSampling2d({ inputShape: [5, 5, 3], size: [2, 2] }),
      L.conv2d({ filters: 4, kernelSize: 3 }),
      pool(),
      L.dense({ units: 2 }),
    ),
  'a convolution in one dimension': () =>
    sequential(
      L.conv1d({ inputShape: [16, 3], filters: 4, kernelSize: 3 }),
      L.globalAveragePooling1d(),
      L.dense({ units: 2 }),
    ),
  rescaling: () =>
    sequential(
      L.rescaling({ inputShape: [5, 5, 3], scale: 2, offset: -1 } as never),
      L.conv2d({ filters: 2, kernelSize: 3 }),
      pool(),
      L.dense({ units: 2 }),
    ),
  'a hard sigmoid': () =>
    sequential(
      L.conv2d({ inputShape: [5, 5, 3], filters: 4, kernelSize: 3, activation: 'hardSigmoid' }),
      pool(),
      L.dense({ units: 2 }),
    ),
  'a sigmoid as the output': () =>
    sequential(L.flatten({ inputShape: [3, 3, 3] }), L.dense({ units: 1, activation: 'sigmoid' })),
  'two outputs': () =>
    functional([3, 3, 3], (i) => {
      const flat = L.flatten().apply(i);
      return [L.dense({ units: 2 }).apply(flat) as Symbolic, L.dense({ units: 2 }).apply(flat) as Symbolic];
    }),
  'a softmax as the output': () =>
    sequential(L.flatten({ inputShape: [3, 3, 3] }), L.dense({ units: 4, activation: 'softmax' })),
};

describe('computed as tfjs does', () => {
  test.each(Object.keys(right))('%s', async (name) => void (await layersAsTfjs(randomized(right[name]()))));
});

describe('computed as tfjs does, in sessions', () => {
  test.each(Object.keys(right))('%s', async (name) => expectRight(right[name]()));
});

describe('logits of a softmax as the output', () => {
  test('order as tfjs does', async () => {
    const { want, got } = await outputs(
      sequential(L.flatten({ inputShape: [3, 3, 3] }), L.dense({ units: 4, activation: 'softmax' })),
      3,
      { logits: true },
    );
    const orders = (values: Float32Array) =>
      Array.from({ length: values.length / 4 }, (_, i) =>
        [0, 1, 2, 3].sort((a, b) => values[4 * i + b] - values[4 * i + a]).join(''),
      );
    expect(orders(got)).toEqual(orders(want));
  });
});

// apache/tvm#1144: int8, with a zero point that is not 0: a constant image must stay constant, edges included.
test('an int8 average pool leaves padding out', async () => {
  const model = network(
    [5, 5, 1],
    [
      { op: 'conv2d', name: 'c', inputs: ['input'], kernel: [1, 1], outChannels: 1 },
      { op: 'averagePool', name: 'p', inputs: ['c'], kernel: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] },
      { op: 'linear', name: 'fc', inputs: ['p'], outFeatures: 9 },
    ],
    {
      'c.weight': [[1, 1, 1, 1], [2]],
      'c.bias': [[1], [-0.7]],
      'fc.weight': [[9, 9], Array.from({ length: 81 }, (_, i) => (i % 10 === 0 ? 1 : 0))],
      'fc.bias': [[9], new Array(9).fill(0)],
    },
  );
  const images = new Uint8Array(75).fill(200, 25, 50).fill(255, 50);
  const { float, int8 } = await bothPrecisions(gpu.runtime, model, images);
  expect(furthest(float, int8)).toBeLessThan(0.03);
});

// XiaoMi/mace#297, espressif/esp-dl#267: networks on normalized inputs, then quantized: the range has to follow.
describe('images from -1 to 1', () => {
  test('in floats and integers', async () => {
    const keras = randomized(
      sequential(
        L.conv2d({ inputShape: [4, 4, 2], filters: 4, kernelSize: 3, activation: 'relu' }),
        L.flatten(),
        L.dense({ units: 3 }),
      ),
    );
    const x = Float32Array.from({ length: 32 * 16 }, () => random() * 2 - 1);
    const want = (keras.predict(tf.tensor(x, [16, 4, 4, 2])) as tf.Tensor).dataSync() as Float32Array;
    const range = Math.max(...want) - Math.min(...want);
    const model = await fromLayersModel(keras);
    const run = async (network: Parameters<typeof compile>[1]) => {
      const session = await compile(gpu.runtime, network, { batch: 4 });
      const got = (await session.run(x)) as Float32Array;
      session.destroy();
      return furthest(got, want) / range;
    };
    expect(await run(model)).toBeLessThan(1e-5);
    expect(
      await run(await quantizeModel(gpu.runtime, model, { method: 'linear', bits: 8, calibration: x })),
    ).toBeLessThan(0.05);
  });
});
