// Inputs for the readers of tfjs models: topologies as JSON, changed; what tfjs itself refuses is passed over.
import * as tf from '@tensorflow/tfjs';
import { LloydError } from '../../src/gpu/errors.ts';
import { concreteGraph } from '../../src/graph/concrete.ts';
import type { GraphModel } from '../../src/graph/graph.ts';
import { fromGraphModel } from '../../src/tfjs/graph-model.ts';
import { fromLayersModel } from '../../src/tfjs/layers-model.ts';
import { graphDef } from '../support/graph-def.ts';
import { damagedJson, NASTY, type Random } from './random.ts';
import { type Target, Unbuildable } from './target.ts';

let layers: string[] = [];
let graphs: string[] = [];

async function open() {
  await tf.setBackend('cpu');
  if (layers.length > 0) return;
  const L = tf.layers;
  const built = [
    tf.sequential({
      layers: [
        L.conv2d({ inputShape: [6, 5, 3], filters: 4, kernelSize: 3, activation: 'relu', padding: 'same' }),
        L.batchNormalization(),
        L.maxPooling2d({ poolSize: 2 }),
        L.depthwiseConv2d({ kernelSize: 2 }),
        L.dropout({ rate: 0.5 }),
        L.flatten(),
        L.dense({ units: 3, activation: 'softmax' }),
      ],
    }),
    (() => {
      const inputs = tf.input({ shape: [5, 5, 2] });
      const a = L.conv2d({ filters: 2, kernelSize: 3, padding: 'same' }).apply(inputs) as tf.SymbolicTensor;
      const b = L.zeroPadding2d({ padding: 1 }).apply(inputs) as tf.SymbolicTensor;
      const c = L.conv2d({ filters: 2, kernelSize: 3 }).apply(b) as tf.SymbolicTensor;
      const sum = L.reLU().apply(L.add().apply([a, c]));
      return tf.model({
        inputs,
        outputs: L.globalAveragePooling2d({ dataFormat: 'channelsLast' }).apply(sum) as tf.SymbolicTensor,
      });
    })(),
  ];
  layers = built.map((model) => JSON.stringify(model.toJSON(null, false)));
  graphs = [makeGraph(false), makeGraph(true)];
}

function makeGraph(residual: boolean): string {
  const g = graphDef('image', [-1, 6, 6, 3]);
  const floats = (name: string, ...shape: number[]) =>
    g.constant(
      name,
      shape,
      Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(i)),
    );
  const window = { strides: [1, 1, 1, 1], dilations: [1, 1, 1, 1], padding: 'SAME', data_format: 'NHWC' };
  const fused = { fused_ops: ['BiasAdd', 'Relu6'], num_args: 1, epsilon: { float: 0.001 } };
  let x = g.node('_FusedConv2D', 'c0', ['image', floats('w', 3, 3, 3, 4), floats('b', 4)], {
    ...window,
    ...fused,
  });
  if (residual) {
    const d = g.node('DepthwiseConv2dNative', 'd', [x, floats('dw', 3, 3, 4, 1)], window);
    x = g.node('Relu', 'r', [g.node('AddV2', 'a', [x, d])]);
  }
  const axes = g.constant('axes', [2], Int32Array.of(1, 2));
  const mean = g.node('Mean', 'm', [x, axes], { keep_dims: false });
  g.node('MatMul', 'fc', [mean, floats('fw', 4, 2)], { transpose_a: false, transpose_b: false });
  return JSON.stringify(g.artifacts(), (_, value) =>
    value instanceof ArrayBuffer ? [...new Uint8Array(value)] : value,
  );
}

const encode = (text: string) => new TextEncoder().encode(text);

async function built<M>(bytes: Uint8Array, load: (value: never) => Promise<M>): Promise<M> {
  try {
    return await load(JSON.parse(new TextDecoder().decode(bytes)) as never);
  } catch (cause) {
    throw new Unbuildable('tfjs refuses it', { cause });
  }
}

function loadLayers(modelTopology: object) {
  return tf.loadLayersModel(tf.io.fromMemory({ modelTopology } as never) as never, { strict: false });
}

function loadGraph(artifacts: { weightData: number[] }) {
  const weightData = Uint8Array.from(artifacts.weightData).buffer;
  return tf.loadGraphModel(tf.io.fromMemory({ ...artifacts, weightData } as never) as never);
}

/** A network that was read must have shapes, or say what is wrong with them: the batch is not known before. */
function networkBroken(model: GraphModel): string | undefined {
  try {
    concreteGraph(model, { batch: 1 });
  } catch (error) {
    if (!(error instanceof LloydError))
      return `${(error as Error).name}: ${(error as Error).message.slice(0, 80)}`;
  }
  return undefined;
}

/** Without what tfjs itself would allocate for minutes. */
const MILD = NASTY.filter((value) => !(Math.abs(Number(value)) > 100));
const CLASSES = [
  'Conv2D',
  'Dense',
  'Flatten',
  'Softmax',
  'ReLU',
  'Dropout',
  'MaxPooling2D',
  'ZeroPadding2D',
  'Reshape',
];

/** One or two settings of layers changed; the wiring stays, since tfjs waits for ever for a layer that nobody is. */
function makeLayers(random: Random): Uint8Array {
  const model = JSON.parse(random.pick(layers));
  const all: { class_name: string; config: Record<string, unknown> }[] = model.config.layers.filter(
    (layer: { class_name: string }) => layer.class_name !== 'InputLayer',
  );
  for (let n = random.int(3); n > 0; n--) {
    const layer = random.pick(all);
    const key = random.pick(Object.keys(layer.config).filter((name) => name !== 'name'));
    if (random.chance(0.15)) layer.class_name = random.pick(CLASSES);
    else layer.config[key] = changedValue(random, layer.config[key]);
  }
  return encode(JSON.stringify(model));
}

function changedValue(random: Random, value: unknown): unknown {
  if (typeof value === 'string' && random.chance(0.7))
    return random.pick([
      'same',
      'valid',
      'causal',
      'relu',
      'relu6',
      'softmax',
      'sigmoid',
      'linear',
      'channels_first',
    ]);
  if (Array.isArray(value) && random.chance(0.7)) return value.map(() => random.int(5));
  try {
    return JSON.parse(random.pick(MILD));
  } catch {
    return random.int(5);
  }
}

function makeGraphs(random: Random): Uint8Array {
  const text = random.pick(graphs);
  return encode(random.chance(0.05) ? text : damagedJson(random, text, MILD));
}

export const tfjsFiles: Target<Uint8Array>[] = [
  {
    name: 'tfjs-layers',
    kind: 'reader',
    grows: false,
    share: 0.02,
    open,
    make: makeLayers,
    run: async (bytes) => {
      const model = await built(bytes, loadLayers);
      try {
        return await fromLayersModel(model);
      } finally {
        model.dispose();
      }
    },
    verify: networkBroken,
  },
  {
    name: 'tfjs-graph',
    kind: 'reader',
    share: 0.02,
    open,
    make: makeGraphs,
    run: async (bytes) => {
      const model = await built(bytes, loadGraph);
      try {
        return await fromGraphModel(model);
      } finally {
        model.dispose();
      }
    },
    verify: networkBroken,
  },
];
