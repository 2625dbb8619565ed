// tfjs layers networks that branch: Add and Concatenate, held to tfjs's own predictions.
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, test } from 'vitest';
import { logitSqnrDb } from '../../src/run/metrics.ts';
import { quantizeModel } from '../../src/run/precision.ts';
import { compile } from '../../src/run/session.ts';
import { fromLayersModel } from '../../src/tfjs/index.ts';
import { int8Logits } from '../support/int8-twin.ts';
import { seeded, useRuntime } from '../support/runtime.ts';
import { layersAsTfjs } from '../support/tfjs-witness.ts';

type Symbolic = tf.SymbolicTensor;
type Build = (image: Symbolic) => Symbolic;

const { layers } = tf;

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const apply = (layer: { apply(x: never): unknown }, ...inputs: Symbolic[]) =>
  layer.apply((inputs.length > 1 ? inputs : inputs[0]) as never) as Symbolic;

/** conv, batch norm, ReLU. */
function unit(x: Symbolic, filters: number, strides = 1, kernelSize = 3): Symbolic {
  const conv = apply(layers.conv2d({ filters, kernelSize, strides, padding: 'same' }), x);
  return apply(layers.reLU(), apply(layers.batchNormalization(), conv));
}

const networks: Record<string, Build> = {
  'a residual network, with a sum of three': (image) => {
    const stem = unit(image, 6);
    const block = apply(layers.conv2d({ filters: 6, kernelSize: 3, padding: 'same' }), unit(stem, 6));
    const sum = apply(layers.reLU({ maxValue: 6 }), apply(layers.add(), block, stem));
    const down = unit(sum, 10, 2);
    const shortcut = unit(sum, 10, 2, 1);
    const other = unit(stem, 10, 2, 1);
    const three = apply(
      layers.activation({ activation: 'relu' }),
      apply(layers.add(), down, shortcut, other),
    );
    return apply(layers.dense({ units: 5 }), apply(layers.globalAveragePooling2d({}), three));
  },
  'an inception-like network, concatenated before it is flattened': (image) => {
    const stem = unit(image, 7);
    const pooled = apply(layers.maxPooling2d({ poolSize: 3, strides: 1, padding: 'same' }), stem);
    const branches = [unit(stem, 5, 1, 1), unit(unit(stem, 3, 1, 1), 6), unit(pooled, 3, 1, 1)];
    const joined = apply(layers.concatenate(), ...branches, stem);
    const small = unit(joined, 4, 2);
    return apply(layers.dense({ units: 5 }), apply(layers.flatten(), small));
  },
  'vectors that are concatenated and added': (image) => {
    const means = [5, 6].map((n) => apply(layers.globalAveragePooling2d({}), unit(image, n, 2)));
    const flat = apply(layers.flatten(), unit(image, 2, 4));
    const twice = apply(layers.flatten(), unit(image, 2, 4));
    const sum = apply(layers.dense({ units: 3, activation: 'relu' }), apply(layers.add(), flat, twice));
    return apply(layers.dense({ units: 5 }), apply(layers.concatenate(), ...means, sum));
  },
};

function draw(build: Build) {
  const image = tf.input({ shape: [9, 7, 3] });
  const network = tf.model({ inputs: image, outputs: build(image) });
  const random = seeded(11);
  const drawn = network.weights.map(({ name, shape }) => {
    const dims = shape as number[];
    const size = dims.reduce((a, b) => a * b, 1);
    const spread = dims.length > 1 ? Math.sqrt((2 * dims.at(-1)!) / size) : 0.2;
    const positive = /variance|gamma/.test(name);
    return tf.tensor(
      positive ? random.floats(size, 0.1).map((x) => 1 + Math.abs(x)) : random.floats(size, spread),
      dims,
    );
  });
  network.setWeights(drawn);
  return network;
}

const flattenedThenJoined: Build = (image) => {
  const flat = [2, 3].map((n) =>
    apply(layers.reLU(), apply(layers.flatten(), apply(layers.conv2d({ filters: n, kernelSize: 3 }), image))),
  );
  return apply(layers.dense({ units: 5 }), apply(layers.concatenate({ name: 'joined' }), ...flat));
};
const joinedRows: Build = (image) =>
  apply(
    layers.globalAveragePooling2d({}),
    apply(layers.concatenate({ axis: 1, name: 'rows' }), image, apply(layers.reLU(), image)),
  );

describe('what tfjs computes', () => {
  const all = {
    ...networks,
    'flattened images, concatenated': flattenedThenJoined,
    'rows, concatenated': joinedRows,
  };
  test.each(Object.keys(all))('%s', async (name) => {
    const network = draw(all[name as keyof typeof all]);
    const { want } = await layersAsTfjs(network);
    expect(Math.hypot(...want[0].dataSync())).toBeGreaterThan(0.1);
  });
});

describe('sessions of networks that branch', () => {
  const gpu = useRuntime();
  for (const [name, build] of Object.entries(networks)) {
    test(name, async () => {
      const { runtime } = gpu;
      const network = draw(build);
      const random = seeded(12);
      const count = 6;
      const images = Uint8Array.from({ length: count * 9 * 7 * 3 }, () => random.integer(0, 255));
      const pixels = Float32Array.from(images, (p) => p / 255);
      const predicted = network.predict(tf.tensor4d(pixels, [count, 9, 7, 3])) as tf.Tensor;
      const want = predicted.dataSync() as Float32Array;
      const model = await fromLayersModel(network);
      const session = await compile(runtime, model, { batch: 4 });
      const got = await session.run(images);
      session.destroy();
      expect(logitSqnrDb(got, want)).toBeGreaterThan(90);
      const quantized = await quantizeModel(runtime, model, {
        method: 'linear',
        bits: 8,
        calibration: images,
      });
      const integers = await compile(runtime, quantized, { batch: count });
      const logits = await integers.run(images);
      integers.destroy();
      expect(logits).toEqual(int8Logits(quantized, images));
      expect(logitSqnrDb(logits, want)).toBeGreaterThan(18);
    });
  }
});
