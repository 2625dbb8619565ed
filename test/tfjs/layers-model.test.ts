// tfjs layers models by hand, one idea each, held to tfjs's own predictions on its CPU backend.
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, test } from 'vitest';
import { LloydError } from '../../src/gpu/errors.ts';
import { logitSqnrDb } from '../../src/model/metrics.ts';
import { quantizeModel } from '../../src/model/precision.ts';
import { compile } from '../../src/model/session.ts';
import { fromGraphModel, fromLayersModel } from '../../src/tfjs/index.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();
const random = seeded(41);
const L = tf.layers;
type Symbolic = tf.SymbolicTensor;
type AnyLayer = tf.layers.Layer;

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const apply = (layer: AnyLayer | tf.LayersModel, ...inputs: Symbolic[]) =>
  layer.apply(inputs.length > 1 ? inputs : inputs[0]) as Symbolic;
const conv = (filters: number, more: object = {}) => L.conv2d({ filters, kernelSize: 3, ...more });
const image = { inputShape: [6, 5, 3] };
const sequential = (...layers: (AnyLayer | tf.LayersModel)[]) =>
  tf.sequential({ layers: layers as AnyLayer[] });
function functional(build: (x: Symbolic) => Symbolic, name?: string, shape = [6, 5, 3]): tf.LayersModel {
  const x = tf.input({ shape, name });
  return tf.model({ inputs: x, outputs: build(x) });
}

/** Seeded weights, statistics away from the identity. */
function draw(model: tf.LayersModel): tf.LayersModel {
  const weights = model.weights.map(({ name, shape }) => {
    const size = (shape as number[]).reduce((a, b) => a * b, 1);
    const values = random.floats(size, 0.4);
    return tf.tensor(
      /variance/.test(name) ? values.map((x) => 0.3 + Math.abs(x)) : values,
      shape as number[],
    );
  });
  model.setWeights(weights);
  return model;
}

const IMAGES = 5;

async function compare(model: tf.LayersModel) {
  const dims = draw(model).inputs[0].shape.slice(1) as number[];
  const x = Float32Array.from({ length: IMAGES * dims.reduce((a, b) => a * b, 1) }, () => random.next());
  const want = (model.predict(tf.tensor(x, [IMAGES, ...dims])) as tf.Tensor).dataSync() as Float32Array;
  const ours = await fromLayersModel(model);
  const session = await compile(gpu.runtime, ours, { batch: 2 });
  const got = await session.run(x);
  session.destroy();
  expect(got).toHaveLength(want.length);
  expect(Math.hypot(...want)).toBeGreaterThan(0.05);
  for (const [i, value] of got.entries()) expect(value).toBeCloseTo(want[i], 4);
  return { ours, x, want };
}

const networks: Record<string, () => tf.LayersModel> = {
  'an output of several pixels': () => sequential(conv(2, image)),
  'an output that is flattened': () => sequential(conv(3, image), L.flatten()),
  'batch norm of a flattened image': () =>
    sequential(
      conv(3, { ...image, activation: 'relu' }),
      L.flatten(),
      L.batchNormalization(),
      L.dense({ units: 2 }),
    ),
  'batch norm of a flattened image by way of dropout and another norm, without biases': () =>
    sequential(
      L.flatten(image),
      L.batchNormalization({ scale: false }),
      L.dropout({ rate: 0.5 }),
      L.batchNormalization({ center: false }),
      L.dense({ units: 4, useBias: false }),
    ),
  'batch norm of a flattened image that two layers read': () =>
    functional((x) => {
      const norm = apply(L.batchNormalization(), apply(L.flatten(), x));
      return apply(L.add(), apply(L.dense({ units: 3 }), norm), apply(L.dense({ units: 3 }), norm));
    }),
  'batch norm of one flattened pixel': () =>
    sequential(conv(4, { ...image, kernelSize: [6, 5] }), L.flatten(), L.batchNormalization(), L.reLU()),
  'an input layer called input': () => functional((x) => apply(conv(2), x), 'input'),
  'a first layer called input': () => functional((x) => apply(conv(2, { name: 'input' }), x), 'x'),
  'padding first': () =>
    sequential(
      L.zeroPadding2d({
        ...image,
        padding: [
          [1, 2],
          [0, 1],
        ],
      }),
      conv(2),
    ),
  'padding twice, dropout between, then a convolution that pads itself': () =>
    sequential(
      L.zeroPadding2d({
        ...image,
        padding: [
          [1, 0],
          [2, 1],
        ],
      }),
      L.dropout({ rate: 0.5 }),
      L.zeroPadding2d({ padding: 1 }),
      conv(2, { strides: 2, padding: 'same' }),
    ),
  'dropout first': () => sequential(L.dropout({ ...image, rate: 0.2 }), conv(2)),
  'an activation first': () => sequential(L.activation({ ...image, activation: 'relu' }), conv(2)),
  'a linear activation first, called input': () =>
    sequential(L.activation({ ...image, activation: 'linear', name: 'input' }), conv(2)),
  'padding before a max-pool of what is at least zero': () =>
    sequential(
      conv(4, { ...image, activation: 'relu' }),
      L.zeroPadding2d({ padding: 1 }),
      L.maxPooling2d({ poolSize: 3, strides: 2 }),
    ),
  'padding before a max-pool of what may be below zero': () =>
    sequential(
      conv(4, image),
      L.zeroPadding2d({ padding: 1 }),
      L.maxPooling2d({ poolSize: 3, strides: 2, padding: 'same' }),
    ),
  'padding before an average pool, and last': () =>
    sequential(
      conv(3, image),
      L.zeroPadding2d({
        padding: [
          [1, 1],
          [0, 2],
        ],
      }),
      L.averagePooling2d({ poolSize: 2, strides: 1 }),
      L.zeroPadding2d({ padding: 1 }),
    ),
  'models in a row': () =>
    sequential(
      sequential(conv(4, { ...image, activation: 'relu' }), L.globalAveragePooling2d({})),
      sequential(L.dense({ inputShape: [4], units: 3, activation: 'relu' }), L.dense({ units: 2 })),
    ),
  'a functional model with a branch in a functional model, used twice': () => {
    const shared = conv(3, { padding: 'same', name: 'shared' });
    const inner = functional(
      (x) => apply(L.add(), apply(shared, x), apply(shared, apply(shared, x))),
      'input',
    );
    return functional((x) => apply(L.concatenate(), apply(inner, apply(inner, x)), x));
  },
  'a model of three levels': () =>
    functional((x) =>
      apply(sequential(sequential(conv(4, image)), L.flatten()), apply(L.dropout({ rate: 0.1 }), x)),
    ),
  'a model of two outputs in another': () => {
    const x = tf.input({ shape: [6, 5, 3] });
    const stem = apply(conv(2), x);
    const inner = tf.model({
      inputs: x,
      outputs: [apply(L.reLU(), stem), apply(conv(2, { padding: 'same' }), stem)],
    });
    const outer = tf.input({ shape: [6, 5, 3] });
    const [a, b] = inner.apply(outer) as unknown as Symbolic[];
    return tf.model({ inputs: outer, outputs: apply(L.concatenate(), b, a) });
  },
  'one layer, activation and all, used three times': () => {
    const layer = conv(3, { padding: 'same', activation: 'relu' });
    return functional((x) => apply(layer, apply(layer, apply(layer, x))));
  },
  'a separable convolution': () =>
    sequential(
      L.separableConv2d({
        ...image,
        filters: 4,
        kernelSize: 3,
        depthMultiplier: 2,
        strides: 2,
        activation: 'relu6',
      }),
    ),
  'reshapes of one pixel, and flattening by reshape': () =>
    sequential(
      conv(4, image),
      L.globalMaxPooling2d({}),
      L.reshape({ targetShape: [1, 1, 4] }),
      conv(6, { kernelSize: 1 }),
      L.reshape({ targetShape: [6] }),
      L.dense({ units: 3 }),
    ),
  'a reshape that flattens': () =>
    sequential(conv(4, image), L.reshape({ targetShape: [48] }), L.dense({ units: 3 })),
  'rows as input': () =>
    sequential(L.dense({ inputShape: [7], units: 5, activation: 'relu' }), L.dense({ units: 3 })),
  'a dense layer over channels': () => sequential(conv(4, image), L.dense({ units: 5, activation: 'relu' })),
  rescaling: () =>
    functional((x) =>
      apply(conv(2, { padding: 'same' }), apply(new (rescaling())({ scale: 2, offset: -1 }), x)),
    ),
  'rescaling of a flattened image': () =>
    functional((x) =>
      apply(
        L.dense({ units: 3 }),
        apply(new (rescaling())({ scale: 0.5, offset: 0.25 }), apply(L.flatten(), x)),
      ),
    ),
  noise: () =>
    sequential(L.gaussianNoise({ ...image, stddev: 1 }), conv(2), L.gaussianDropout({ rate: 0.5 })),
};

/** A registered class that tf.layers does not always have a function for. */
function rescaling(): new (options: object) => AnyLayer {
  return tf.serialization.SerializationMap.getMap().classNameMap.Rescaling[0] as never;
}

describe('what tfjs computes', () => {
  for (const [name, build] of Object.entries(networks)) test(name, async () => void (await compare(build())));
});

test('a batch norm of a flattened image stays right in integers and codebooks', async () => {
  const { ours, x, want } = await compare(networks['batch norm of a flattened image']());
  for (const options of [
    { method: 'linear', bits: 8, calibration: x },
    { method: 'kmeans', bits: 8 },
  ] as const) {
    const session = await compile(gpu.runtime, await quantizeModel(gpu.runtime, ours, options), { batch: 3 });
    expect(logitSqnrDb(await session.run(x), want)).toBeGreaterThan(25);
    session.destroy();
  }
});

test('padding that is a layer of its own stays right in integers', async () => {
  const { ours, x, want } = await compare(networks['padding before an average pool, and last']());
  const options = { method: 'linear', bits: 8, calibration: x } as const;
  const session = await compile(gpu.runtime, await quantizeModel(gpu.runtime, ours, options), { batch: 3 });
  expect(logitSqnrDb(await session.run(x), want)).toBeGreaterThan(20);
  session.destroy();
});

test('layers of models and of later uses have names of their own', async () => {
  const names = Object.keys(networks).indexOf(
    'a functional model with a branch in a functional model, used twice',
  );
  const model = Object.values(networks)[names]();
  const inner = model.layers.find(({ name }) => /^model/.test(name))!.name;
  const { graph } = await fromLayersModel(draw(model));
  const convs = graph.nodes.filter(({ op }) => op === 'conv2d').map(({ name }) => name);
  expect(convs).toEqual(['', '#2', '#3', '#4', '#5', '#6'].map((use) => `${inner}/shared${use}`));
});

describe('a softmax', () => {
  const dense = (units: number, activation?: 'softmax') => L.dense({ units, activation, name: `of${units}` });
  test('at the end is left out, whatever names the tensor anew after it', async () => {
    for (const last of [
      [L.softmax()],
      [L.activation({ activation: 'softmax' })],
      [L.softmax(), L.dropout({ rate: 0.1 })],
    ]) {
      const model = sequential(L.flatten(image), dense(3), ...last);
      const { graph } = await fromLayersModel(draw(model));
      expect(graph.output).toBe('of3');
    }
    const { graph } = await fromLayersModel(draw(sequential(L.flatten(image), dense(3, 'softmax'))));
    expect(graph.output).toBe('of3');
  });
  test.each<[string, () => tf.LayersModel]>([
    ['of a dense layer', () => sequential(L.flatten(image), dense(4, 'softmax'), dense(3))],
    ['of a layer', () => sequential(L.flatten(image), dense(4), L.softmax(), dense(3))],
    [
      'of an activation',
      () => sequential(L.flatten(image), dense(4), L.activation({ activation: 'softmax' }), dense(3)),
    ],
    [
      'of a convolution',
      () => sequential(conv(3, { ...image, activation: 'softmax' }), L.flatten(), dense(3)),
    ],
    ['of a model', () => sequential(sequential(L.flatten(image), dense(4, 'softmax')), dense(3))],
    ['twice', () => sequential(L.flatten(image), dense(4, 'softmax'), L.softmax({ name: 'of3' }))],
    [
      'added',
      () =>
        functional((x) => {
          const soft = apply(dense(4, 'softmax'), apply(L.flatten(), x));
          return apply(L.add({ name: 'of3' }), soft, soft);
        }),
    ],
  ])('%s that is not last is refused', async (_, build) => {
    await expect(fromLayersModel(draw(build()))).rejects.toThrow(/of3: a softmax may only be the last/);
  });
});

describe('what has no counterpart is one clear error', () => {
  const named = { name: 'odd' };
  test.each<[RegExp, () => tf.LayersModel]>([
    [
      /odd: of a flattened image only a dense layer takes a norm/,
      () => sequential(L.flatten(image), L.batchNormalization(), L.reLU(named), L.dense({ units: 2 })),
    ],
    [
      /the output: of a flattened image only a dense layer/,
      () => sequential(L.flatten(image), L.batchNormalization()),
    ],
    [
      /odd: a reshape may only.*\[5,6,3\] of 6 x 5 x 3/,
      () => sequential(L.reshape({ ...image, ...named, targetShape: [5, 6, 3] }), conv(2)),
    ],
    [
      /odd: a reshape may only.*\[3,3,3\] of 1 x 1 x 27/,
      () =>
        sequential(
          L.dense({ inputShape: [4], units: 27 }),
          L.reshape({ ...named, targetShape: [3, 3, 3] }),
          conv(2),
        ),
    ],
    [
      /odd: a layer must be one of .*received "LeakyReLU"/,
      () => sequential(L.leakyReLU({ ...image, ...named })),
    ],
    [
      /odd: a softmax must be along the last axis/,
      () => sequential(L.softmax({ ...image, ...named, axis: 1 })),
    ],
    [
      /odd: an activation must be relu, relu6, linear or a final softmax; received "sigmoid"/,
      () => sequential(conv(2, { ...image, ...named, activation: 'sigmoid' })),
    ],
    [
      /odd: add takes equal shapes/,
      () => functional((x) => apply(L.add(named), apply(L.maxPooling2d({ poolSize: [6, 5] }), x), x)),
    ],
    [
      /must be images of fixed size.*\[batch, 16, 3\]/,
      () => sequential(L.conv1d({ inputShape: [16, 3], filters: 2, kernelSize: 3 })),
    ],
    [
      /must be images of fixed size.*\[batch, , , 3\]/,
      () => sequential(conv(2, { inputShape: [null, null, 3] })),
    ],
    [
      /one input and one output/,
      () => {
        const x = tf.input({ shape: [4] });
        const y = tf.input({ shape: [4] });
        return tf.model({ inputs: [x, y], outputs: apply(L.add(), x, y) });
      },
    ],
    [/a network must compute something/, () => sequential(L.flatten(image))],
  ])('%s', async (rule, build) => {
    const error = await fromLayersModel(draw(build())).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(LloydError);
    expect((error as LloydError).message).toMatch(rule);
  });

  test('and so is what is no model', async () => {
    for (const odd of [undefined, {}, { layers: 5 }]) {
      await expect(fromLayersModel(odd as never)).rejects.toThrow(/fromLayersModel takes a tfjs LayersModel/);
      await expect(fromGraphModel(odd as never)).rejects.toThrow(
        /fromGraphModel takes what tf.loadGraphModel/,
      );
    }
    await expect(fromGraphModel(sequential(conv(2, image)) as never)).rejects.toThrow(
      /fromLayersModel takes/,
    );
  });
});
