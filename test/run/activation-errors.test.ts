// A network written channels last, as tfjs and TFLite have them: passes move its transposes, its values keep their names.
import { describe, expect, test } from 'vitest';
import type { GraphModel, Node } from '../../src/graph/graph.ts';
import type { Attributes, OnnxTensor } from '../../src/graph/ops/tensors.ts';
import { fuseGraph } from '../../src/lower/fuse.ts';
import type { QuantizedModel } from '../../src/model/quantized-model.ts';
import { readOnnx, writeOnnx } from '../../src/onnx/index.ts';
import { compareActivations } from '../../src/run/activation-errors.ts';
import { quantizeModel } from '../../src/run/precision.ts';
import { compile } from '../../src/run/session.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();
const random = seeded(311);
const node = (op: string, inputs: string[], output: string, attributes: Attributes = {}): Node => ({
  ...{ op, name: output, inputs, outputs: [output], attributes },
});
const first = (input: string) => node('Transpose', [input], `${input}/nchw`, { perm: [0, 3, 1, 2] });
const last = (output: string) => node('Transpose', [`${output}/nchw`], output, { perm: [0, 2, 3, 1] });
const tensor = (...dims: number[]): OnnxTensor => ({
  dtype: 'float32',
  dims,
  data: random.floats(dims.reduce((a, b) => a * b)),
});

/** Two convolutions whose activations, sum and sigmoid are all written channels last. */
const model: GraphModel = {
  graph: {
    name: 'channels last',
    opset: 21,
    inputs: [{ name: 'image', dtype: 'float32', shape: ['batch', 6, 5, 3] }],
    outputs: ['scores'],
    nodes: [
      first('image'),
      node('Conv', ['image/nchw', 'w1', 'b1'], 'conv1/nchw', { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }),
      last('conv1'),
      node('Relu', ['conv1'], 'relu1'),
      first('relu1'),
      node('Conv', ['relu1/nchw', 'w2', 'b2'], 'conv2/nchw', { kernel_shape: [1, 1] }),
      last('conv2'),
      node('Add', ['conv2', 'relu1'], 'sum'),
      node('Relu', ['sum'], 'relu2'),
      first('relu2'),
      node('Conv', ['relu2/nchw', 'w3', 'b2'], 'conv3/nchw', { kernel_shape: [1, 1] }),
      last('conv3'),
      node('Sigmoid', ['conv3'], 'scores'),
    ],
  },
  parameters: new Map([
    ['w1', tensor(4, 3, 3, 3)],
    ['b1', tensor(4)],
    ['w2', tensor(4, 4, 1, 1)],
    ['b2', tensor(4)],
    ['w3', tensor(4, 4, 1, 1)],
  ]),
};
const feeds = Array.from({ length: 3 }, () => ({ image: tensor(1, 6, 5, 3) }));

const quantized = () => quantizeModel(gpu.runtime, model, { method: 'linear', bits: 8, calibration: feeds });

describe('a network written channels last', () => {
  test('has the scale of every activation by a name of its own, that no pass has made', async () => {
    const { activations } = await quantized();
    const own = new Set(model.graph.nodes.flatMap(({ outputs }) => outputs));
    expect([...activations.keys()].filter((name) => name !== 'image' && !own.has(name))).toEqual([]);
    expect([...activations.keys()]).toEqual(expect.arrayContaining(['image', 'relu1', 'relu2']));
  });

  test('is compared layer by layer, each by itself and in its place', async () => {
    const { layers, outputs } = await compareActivations(gpu.runtime, model, await quantized(), feeds);
    expect(layers.map(({ op, dtype, own }) => [op, dtype, own !== null])).toEqual([
      ['Conv', 'int8', true],
      ['Conv', 'int8', true],
      ['Add', 'int8', true],
      ['Conv', 'int8', true],
      ['Sigmoid', 'float32', true],
    ]);
    for (const { own, total } of layers) {
      expect(own!.sqnrDb).toBeGreaterThan(30);
      expect(total!.sqnrDb).toBeGreaterThan(30);
    }
    expect(outputs[0].sqnrDb).toBeGreaterThan(30);
  });

  test('finds the layer whose scale was doubled, and no other', async () => {
    const good = await quantized();
    const name = 'conv2/nchw';
    const layer = good.layers.get(name) as Extract<
      typeof good.layers extends ReadonlyMap<string, infer L> ? L : never,
      { method: 'linear' }
    >;
    const wrong: QuantizedModel<GraphModel> = {
      ...good,
      layers: new Map([...good.layers, [name, { ...layer, scale: layer.scale.map((s) => s * 2) }]]),
    };
    const { layers } = await compareActivations(gpu.runtime, model, wrong, feeds);
    expect(layers.filter(({ own }) => own!.sqnrDb < 20).map((each) => each.layer)).toEqual([name]);
  });

  test('gives the same codes with more of its values as outputs, where they are what a layer leaves', async () => {
    const network = await quantized();
    const wider: QuantizedModel<GraphModel> = {
      ...network,
      model: { ...model, graph: { ...model.graph, outputs: ['scores', 'relu1', 'relu2'] } },
    };
    const sessions = [await compile(gpu.runtime, network), await compile(gpu.runtime, wider)];
    const [narrow, wide] = await Promise.all(sessions.map((session) => session.run(feeds[0])));
    for (const session of sessions) session.destroy();
    expect(wide.scores).toEqual(narrow.scores);
    expect(wide.relu1.dims).toEqual([1, 6, 5, 4]);
  });

  test('keeps its scales through QDQ', async () => {
    const network = await quantized();
    const again = await readOnnx(writeOnnx(network, { format: 'qdq' }));
    const sessions = [await compile(gpu.runtime, network), await compile(gpu.runtime, again)];
    const [direct, read] = await Promise.all(sessions.map((session) => session.run(feeds[0])));
    const dtypes = sessions.map((session) => session.plan().map(({ kernel }) => kernel));
    for (const session of sessions) session.destroy();
    expect(dtypes[1]).toEqual(dtypes[0]);
    expect(read.scores).toEqual(direct.scores);
  });

  test('origins are of its own graph', () => {
    const fused = fuseGraph(model);
    const own = new Set(['image', ...model.graph.nodes.flatMap(({ outputs }) => outputs)]);
    for (const name of fused.graph.values.keys()) {
      if (!fused.graph.values.get(name)!.data) expect(own, name).toContain(fused.origin(name));
    }
    expect(fused.layers.map(({ output }) => fused.origin(output))).toEqual([
      'relu1',
      'conv2/nchw',
      'relu2',
      'conv3/nchw',
      'scores',
    ]);
  });
});
