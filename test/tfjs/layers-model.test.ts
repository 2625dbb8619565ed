// tfjs layers models by hand, one idea each, held to tfjs's own predictions on its CPU backend.
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, test } from 'vitest';
import { LloydError } from '../../src/gpu/errors.ts';
import { logitSqnrDb } from '../../src/run/metrics.ts';
import { quantizeModel } from '../../src/run/precision.ts';
import { compile } from '../../src/run/session.ts';
import { fromGraphModel, fromLayersModel } from '../../src/tfjs/index.ts';
import { furthest } from '../cases/networks.ts';
import { interpretGraph } from '../support/interpret-graph.ts';
import { seeded, useRuntime } from '../support/runtime.ts';
import { layersAsTfjs, operatorsOf } from '../support/tfjs-witness.ts';

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
  'batch norm of a flattened image, then a ReLU': () =>
    sequential(L.flatten(image), L.batchNormalization(), L.reLU(), L.dense({ units: 2 })),
  'a reshape that moves pixels': () => sequential(L.reshape({ ...image, targetShape: [5, 6, 3] }), conv(2)),
  'a reshape of features to an image': () =>
    sequential(L.dense({ inputShape: [4], units: 27 }), L.reshape({ targetShape: [3, -1, 3] }), conv(2)),
  'sums that broadcast, of other ranks too': () =>
    functional((x) =>
      apply(
        L.add(),
        apply(L.maxPooling2d({ poolSize: [6, 5] }), x),
        x,
        apply(L.globalAveragePooling2d({}), x),
      ),
    ),
  'one dimension': () =>
    sequential(
      L.conv1d({ inputShape: [17, 3], filters: 4, kernelSize: 3, strides: 2, padding: 'same' }),
      L.maxPooling1d({ poolSize: 3, strides: 2, padding: 'same' }),
      L.conv1d({ filters: 5, kernelSize: 2, dilationRate: 2, activation: 'tanh' }),
      L.averagePooling1d({ poolSize: 2, strides: 1 }),
    ),
  'global pools of one dimension': () =>
    functional(
      (x) => apply(L.concatenate(), apply(L.globalAveragePooling1d(), x), apply(L.globalMaxPooling1d(), x)),
      undefined,
      [7, 4],
    ),
  'three dimensions': () =>
    sequential(
      L.conv3d({ inputShape: [5, 6, 4, 2], filters: 3, kernelSize: [3, 2, 2], padding: 'same', strides: 2 }),
      L.maxPooling3d({ poolSize: 2, padding: 'same' }) as AnyLayer,
    ),
  'a dense layer of every rank': () =>
    functional((x) =>
      apply(
        L.dense({ units: 4 }),
        apply(L.reshape({ targetShape: [5, 6] }), apply(L.dense({ units: 1, activation: 'sigmoid' }), x)),
      ),
    ),
  'transposed convolutions': () =>
    sequential(
      L.conv2dTranspose({
        ...image,
        filters: 4,
        kernelSize: 3,
        strides: 2,
        padding: 'same',
        activation: 'relu',
      }),
      L.conv2dTranspose({ filters: 3, kernelSize: [3, 1], strides: [2, 3] }),
      L.conv2dTranspose({ filters: 2, kernelSize: 2, strides: 3, padding: 'same', useBias: false }),
    ),
  'channels first': () =>
    sequential(
      conv(4, { inputShape: [3, 6, 5], dataFormat: 'channelsFirst', padding: 'same' }),
      L.zeroPadding2d({ padding: 1, dataFormat: 'channelsFirst' }),
      L.maxPooling2d({ poolSize: 2, dataFormat: 'channelsFirst' }),
      L.upSampling2d({ size: [2, 3], dataFormat: 'channelsFirst' }),
      L.flatten({ dataFormat: 'channelsFirst' }),
      L.dense({ units: 3 }),
    ),
  'upsampling, cropping': () =>
    sequential(
      L.upSampling2d({ ...image, size: [2, 3] }),
      L.cropping2D({
        cropping: [
          [1, 2],
          [0, 3],
        ],
      }),
      L.upSampling2d({ size: [3, 2], interpolation: 'bilinear' }),
    ),
  'norms of the last axis, and of layers along any': () =>
    sequential(
      L.layerNormalization(image as never),
      L.layerNormalization({ axis: [1, 2] }),
      L.layerNormalization({ axis: [2, 3], center: false }),
      L.batchNormalization({ axis: 3 }),
    ),
  'activations with parameters': () =>
    sequential(
      conv(4, image),
      L.leakyReLU({ alpha: 0.1 }),
      L.prelu({ sharedAxes: [1, 2] }),
      L.prelu(),
      L.elu(),
      L.thresholdedReLU({ theta: 0.3 }),
      L.reLU({ maxValue: 1 }),
    ),
  'merges of every kind': () =>
    functional((x) => {
      const [a, b, c] = [3, 3, 3].map((n) => apply(conv(n), x));
      const parts = [L.multiply(), L.average(), L.maximum(), L.minimum()].map((layer) =>
        apply(layer, a, b, c),
      );
      return apply(L.concatenate({ axis: 1 }), ...parts);
    }),
  'products of sequences': () =>
    functional(
      (x) => {
        const other = apply(L.dense({ units: 3 }), x);
        const scores = apply(L.dot({ axes: [2, 2] }), x, apply(L.dense({ units: 4 }), x));
        return apply(L.dot({ axes: [2, 1] }), scores, other);
      },
      undefined,
      [5, 4],
    ),
  'products of vectors': () =>
    functional((x) => apply(L.dot({ axes: 1 }), x, apply(L.dense({ units: 4 }), x)), undefined, [4]),
  'products of normalized sequences and vectors': () =>
    functional(
      (x) => {
        const normalize = true;
        const scores = apply(L.dot({ axes: [2, 2], normalize }), x, apply(L.dense({ units: 4 }), x));
        const [a, b] = [apply(L.flatten(), scores), apply(L.dense({ units: 25 }), apply(L.flatten(), x))];
        return apply(L.dot({ axes: -1, normalize }), a, b);
      },
      undefined,
      [5, 4],
    ),
  'permuted, repeated': () =>
    functional((x) => {
      const moved = apply(L.permute({ dims: [3, 1, 2] }), x);
      return apply(L.repeatVector({ n: 4 }), apply(L.globalMaxPooling2d({}), moved));
    }),
  'a layer on every step': () =>
    sequential(
      L.timeDistributed({ inputShape: [4, 6, 5, 3], layer: conv(2, { activation: 'relu' }) } as never),
      L.timeDistributed({ layer: L.flatten() }),
      L.timeDistributed({ layer: L.dense({ units: 3 }) }),
    ),
  noise: () =>
    sequential(L.gaussianNoise({ ...image, stddev: 1 }), conv(2), L.gaussianDropout({ rate: 0.5 })),
};

/** A registered class that tf.layers does not always have a function for. */
function rescaling(): new (options: object) => AnyLayer {
  return tf.serialization.SerializationMap.getMap().classNameMap.Rescaling[0] as never;
}

// tfjs's CPU kernel takes such a norm's parameters one after the other, whatever their shape (4.22).
test.each([1, 2])('a batch norm along axis %d, by its definition', async (axis) => {
  const model = draw(sequential(L.batchNormalization({ ...image, axis })));
  const read = await fromLayersModel(model);
  const x = random.floats(90, 1);
  const input = { dtype: 'float32', dims: [1, 6, 5, 3], data: x } as const;
  const got = interpretGraph(read, { [model.inputNames[0]]: input })[model.outputNames[0]];
  const [gamma, beta, mean, variance] = model.getWeights().map((weight) => weight.dataSync());
  const want = x.map((value, i) => {
    const c = axis === 1 ? Math.floor(i / 15) : Math.floor(i / 3) % 5;
    return ((value - mean[c]) / Math.sqrt(variance[c] + 1e-3)) * gamma[c] + beta[c];
  });
  expect(furthest(got.data as Float32Array, want)).toBeLessThan(1e-5);
});

const ACTIVATIONS =
  'elu hardSigmoid linear relu relu6 selu sigmoid softmax softplus softsign tanh swish mish gelu gelu_new'.split(
    ' ',
  );

describe('activations', () => {
  test.each(ACTIVATIONS)('%s', async (activation) => {
    const model = sequential(
      conv(4, { ...image, kernelSize: 2, activation }),
      L.dense({ units: 3, activation: activation as 'relu' }),
      L.activation({ activation: activation as 'relu' }),
    );
    await layersAsTfjs(draw(model), { draw: (own) => 6 * own.next() - 3 });
  });
});

describe('inputs and outputs', () => {
  test('several of each', async () => {
    const x = tf.input({ shape: [4], name: 'x' });
    const ids = tf.input({ shape: [3], name: 'ids', dtype: 'int32' });
    const embedded = apply(L.embedding({ inputDim: 4, outputDim: 5, name: 'words' }), ids);
    const sum = apply(
      L.dense({ units: 2, name: 'sum' }),
      apply(L.concatenate(), apply(L.flatten(), embedded), x),
    );
    const model = tf.model({ inputs: [x, ids], outputs: [sum, embedded, apply(L.reLU({ name: 'r' }), x)] });
    const { model: read } = await layersAsTfjs(draw(model));
    expect(read.graph.inputs).toEqual([
      { name: 'x', dtype: 'float32', shape: ['batch', 4] },
      { name: 'ids', dtype: 'int32', shape: ['batch', 3] },
    ]);
    expect(read.graph.outputs).toEqual(['sum', 'words', 'r']);
  });

  test('height and width that the model leaves open', async () => {
    const model = draw(
      sequential(
        conv(4, { inputShape: [null, null, 3], name: 'c', strides: 2, padding: 'same' }),
        L.upSampling2d({ size: [2, 2] }),
        L.conv2dTranspose({ filters: 2, kernelSize: 3, strides: 2, padding: 'same' }),
        L.globalAveragePooling2d({}),
      ),
    );
    const [name] = model.inputNames;
    for (const dims of [
      [1, 5, 8, 3],
      [2, 7, 4, 3],
    ]) {
      const { model: read } = await layersAsTfjs(model, { shapes: { [name]: dims } });
      expect(read.graph.inputs[0].shape).toEqual(['batch', `${name}:1`, `${name}:2`, 3]);
    }
  });

  test('a model that is the last layer names the output', async () => {
    const inner = sequential(L.dense({ inputShape: [4], units: 3, name: 'inner' }));
    const model = sequential(L.dense({ inputShape: [4], units: 4 }), inner);
    const { model: read } = await layersAsTfjs(draw(model));
    expect(read.graph.outputs).toEqual([inner.name]);
    expect(read.graph.nodes.find(({ name }) => name === `${inner.name}/inner`)?.op).toBe('MatMul');
  });
});

test.each([1, 2])(
  'a causal convolution, which tfjs reads and cannot compute, dilated by %d',
  async (dilation) => {
    const options = { filters: 4, kernelSize: 3, dilationRate: dilation, activation: 'tanh' } as const;
    const causal = draw(sequential(L.conv1d({ inputShape: [9, 2], ...options, padding: 'causal' })));
    const plain = sequential(L.conv1d({ inputShape: [9 + 2 * dilation, 2], ...options }));
    plain.setWeights(causal.getWeights());
    const x = tf.tensor(random.floats(36), [2, 9, 2]);
    const padded = tf.pad(x, [
      [0, 0],
      [2 * dilation, 0],
      [0, 0],
    ]);
    const want = (plain.predict(padded) as tf.Tensor).dataSync() as Float32Array;
    const read = await fromLayersModel(causal);
    const data = x.dataSync() as Float32Array;
    const feed = { [read.graph.inputs[0].name]: { dtype: 'float32', dims: [2, 9, 2], data } } as const;
    const [made] = Object.values(interpretGraph(read, feed));
    expect(made.dims).toEqual([2, 9, 4]);
    for (const [i, value] of made.data.entries()) expect(Number(value)).toBeCloseTo(want[i], 5);
  },
);

describe('what tfjs computes', () => {
  test.each(Object.keys(networks))('%s', async (name) => {
    const model = draw(networks[name]());
    const { want, model: read } = await layersAsTfjs(model);
    expect(Math.hypot(...want[0].dataSync())).toBeGreaterThan(0.01);
    expect(read.graph.inputs.map((input) => input.name)).toEqual(model.inputNames);
    expect(read.graph.outputs).toEqual(model.outputNames);
  });
});

test('layers of models and of later uses have names of their own', async () => {
  const names = Object.keys(networks).indexOf(
    'a functional model with a branch in a functional model, used twice',
  );
  const model = Object.values(networks)[names]();
  const inner = model.layers.find(({ name }) => /^model/.test(name))!.name;
  const { graph } = await fromLayersModel(draw(model));
  const convs = graph.nodes.filter(({ op }) => op === 'Conv');
  expect(convs.map(({ name }) => name)).toEqual(
    ['', '#2', '#3', '#4', '#5', '#6'].map((use) => `${inner}/shared${use}`),
  );
  // They share their weights.
  expect(new Set(convs.map(({ inputs }) => inputs[1])).size).toBe(1);
});

describe('a softmax', () => {
  const dense = (units: number, activation?: 'softmax') => L.dense({ units, activation, name: `of${units}` });
  test('at the end is left out for logits, whatever names the tensor anew after it', async () => {
    for (const last of [
      [L.softmax({ axis: -1 })],
      [L.activation({ activation: 'softmax' })],
      [L.softmax(), L.dropout({ rate: 0.1 })],
    ]) {
      const model = draw(sequential(L.flatten(image), dense(3), ...last));
      const { graph } = await fromLayersModel(model, { logits: true });
      expect(graph.outputs).toEqual(['of3']);
      expect(graph.nodes.map(({ op }) => op)).toEqual(['Flatten', 'MatMul', 'Add']);
      await layersAsTfjs(model);
    }
    const model = draw(sequential(L.flatten(image), dense(3, 'softmax')));
    const { graph } = await fromLayersModel(model, { logits: true });
    expect(graph.outputs).toEqual(['of3']);
    expect(graph.nodes.map(({ op }) => op)).toEqual(['Flatten', 'MatMul', 'Add']);
    const { model: whole } = await layersAsTfjs(model);
    expect(operatorsOf(whole)).toContain('Softmax');
    expect(whole.graph.outputs).toEqual(['of3']);
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
  ])('%s that is not last is computed', async (_, build) => {
    const model = draw(build());
    await layersAsTfjs(model);
    const { graph } = await fromLayersModel(model, { logits: true });
    expect(graph.nodes.filter(({ op }) => op === 'Softmax')).toHaveLength(1);
  });
});

describe('recurrent layers', () => {
  const kinds = ['simpleRNN', 'gru', 'lstm'] as const;
  const make = (kind: (typeof kinds)[number], options: object) =>
    (L[kind] as (o: object) => AnyLayer)({ units: 3, ...options });
  const built = (layer: AnyLayer, steps = true) =>
    draw(sequential(layer, ...(steps ? [L.flatten()] : []), L.dense({ units: 2 })));
  const inputShape = [5, 4];

  test.each(
    kinds.flatMap((kind) => [true, false].map((returnSequences) => [kind, returnSequences] as const)),
  )('%s, forwards and backwards, all steps: %s', async (kind, returnSequences) => {
    for (const goBackwards of [false, true])
      await layersAsTfjs(
        built(
          make(kind, { inputShape, returnSequences, goBackwards, biasInitializer: 'ones' }),
          returnSequences,
        ),
      );
  });

  test('of other activations, without a bias', async () => {
    for (const kind of kinds) {
      const options = { inputShape, activation: 'relu', recurrentActivation: 'sigmoid', useBias: false };
      await layersAsTfjs(built(make(kind, options), false));
    }
  });

  test.each(['concat', 'sum', 'mul', 'ave'] as const)(
    'in both directions, merged by %s',
    async (mergeMode) => {
      for (const returnSequences of [false, true]) {
        const layer = make('lstm', { returnSequences }) as never;
        await layersAsTfjs(
          built(L.bidirectional({ layer, mergeMode, inputShape } as never), returnSequences),
        );
      }
    },
  );

  test('states that are kept, or outputs, are refused', async () => {
    const kept = sequential(make('gru', { batchInputShape: [2, 5, 4], stateful: true, name: 'kept' }));
    await expect(fromLayersModel(kept)).rejects.toThrow(
      /kept \(GRU\): its state must not be kept from one call to the next/,
    );
  });
});

describe('what has no counterpart is one clear error', () => {
  test('every layer at once, with its class and the reason', async () => {
    const model = functional(
      (x) => {
        const steps = apply(
          L.rnn({ cell: L.simpleRNNCell({ units: 2 }), returnSequences: true, name: 'recurrent' }),
          x,
        );
        const masked = apply(L.masking({ name: 'masked' }), x);
        const norm = apply(L.conv1d({ filters: 2, kernelSize: 1, name: 'fine' }), steps);
        return apply(
          L.concatenate(),
          norm,
          apply(L.rnn({ cell: L.lstmCell({ units: 2 }), returnSequences: true, name: 'kept' }), masked),
        );
      },
      'x',
      [5, 3],
    );
    const error = await fromLayersModel(draw(model)).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(LloydError);
    const { message } = error as LloydError;
    expect(message).toMatch(/3 of 5 have none/);
    expect(message).toMatch(/recurrent \(RNN\): a recurrent layer/);
    expect(message).toMatch(/masked \(Masking\): steps that are left out/);
    expect(message).toMatch(/kept \(RNN\): a recurrent layer/);
    expect(message).not.toMatch(/fine/);
  });

  test('but not what only reads such a layer, at every step either', async () => {
    const model = functional(
      (x) => {
        const steps = apply(L.masking({ name: 'masked' }), x);
        return apply(L.timeDistributed({ layer: L.dense({ units: 2 }), name: 'fine' }), steps);
      },
      'x',
      [5, 3],
    );
    const error = await fromLayersModel(draw(model)).catch((thrown: unknown) => thrown);
    expect((error as LloydError).message).toMatch(/1 of 2 have none: masked \(Masking\): steps that/);
    expect((error as LloydError).message).not.toMatch(/fine/);
  });

  test.each<[RegExp, () => tf.LayersModel]>([
    [
      /odd \(DepthwiseConv2D\): tfjs leaves the dilation of a depthwise layer out/,
      () => sequential(L.depthwiseConv2d({ ...image, name: 'odd', kernelSize: 2, dilationRate: 2 })),
    ],
    [
      /odd \(Softmax\): a softmax must be along one axis; received \[1, 2\]/,
      () => sequential(L.softmax({ ...image, name: 'odd', axis: [1, 2] as never })),
    ],
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

describe('sessions of layers models', () => {
  const gpu = useRuntime();
  const IMAGES = 5;

  async function compare(model: tf.LayersModel) {
    const dims = draw(model).inputs[0].shape.slice(1) as number[];
    const x = Float32Array.from({ length: IMAGES * dims.reduce((a, b) => a * b, 1) }, () => random.next());
    const want = (model.predict(tf.tensor(x, [IMAGES, ...dims])) as tf.Tensor).dataSync() as Float32Array;
    const ours = await fromLayersModel(model);
    const session = await compile(gpu.runtime, ours, { batch: 2 });
    // Images come channels last, whatever the network's order.
    const [input, output] = [session.inputs[0].name, session.outputs[0].name];
    const named = { [input]: { dtype: 'float32', dims: [IMAGES, ...dims], data: x } } as const;
    const first = model.layers.some((layer) => layer.getConfig().dataFormat === 'channelsFirst');
    const got = first ? ((await session.run(named))[output].data as Float32Array) : await session.run(x);
    session.destroy();
    expect(got).toHaveLength(want.length);
    expect(Math.hypot(...want)).toBeGreaterThan(0.05);
    for (const [i, value] of got.entries()) expect(value).toBeCloseTo(want[i], 4);
    return { ours, x, want };
  }

  for (const [name, build] of Object.entries(networks)) test(name, async () => void (await compare(build())));

  test('a batch norm of a flattened image stays right in integers and codebooks', async () => {
    const { ours, x, want } = await compare(networks['batch norm of a flattened image']());
    for (const options of [
      { method: 'linear', bits: 8, calibration: x },
      { method: 'kmeans', bits: 8 },
    ] as const) {
      const session = await compile(gpu.runtime, await quantizeModel(gpu.runtime, ours, options), {
        batch: 3,
      });
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
});
