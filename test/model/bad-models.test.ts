// Networks that don't hold together are refused by name, before anything is computed with them.
import { describe, expect, test } from 'vitest';
import { LloydError } from '../../src/gpu/errors.ts';
import type { Tensor } from '../../src/gpu/tensor.ts';
import { fuseGraph } from '../../src/lower/fuse.ts';
import { checkNetwork } from '../../src/model/check-network.ts';
import { type ImageGraph, type ImageModel, type ImageNode, inferShapes } from '../../src/model/graph.ts';
import { type QuantizedModel } from '../../src/model/quantized-model.ts';
import { vgg } from '../../src/model/vgg.ts';
import { compareModel } from '../../src/run/compare.ts';
import { writeModelFile } from '../../src/run/file.ts';
import { quantizeModel } from '../../src/run/precision.ts';
import { compile } from '../../src/run/session.ts';
import { initialize } from '../../src/train/initialize.ts';
import { trainedLayers } from '../../src/train/layers.ts';
import { withParameters } from '../support/branching-models.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const context = useRuntime();
const random = seeded(31);

const graph: ImageGraph = {
  name: 'tiny',
  input: { name: 'image', height: 4, width: 3, channels: 4 },
  nodes: [
    { op: 'conv2d', name: 'c', inputs: ['image'], kernel: [3, 1], outChannels: 6, groups: 2 },
    { op: 'batchNorm', name: 'n', inputs: ['c'] },
    { op: 'relu', name: 'r', inputs: ['n'] },
    { op: 'flatten', name: 'f', inputs: ['r'] },
    { op: 'linear', name: 'fc', inputs: ['f'], outFeatures: 5 },
  ],
  output: 'fc',
};
const model = withParameters(graph);
const images = random.floats(2 * 48, 0.5);

const tensor = (dims: number[], dtype: Tensor['dtype'] = 'float32'): Tensor => ({
  dtype,
  dims,
  data: random.floats(
    dims.reduce((a, b) => a * b, 1),
    0.5,
  ),
});

const changed = (changes: Record<string, unknown>) =>
  ({ graph, parameters: new Map([...model.parameters, ...Object.entries(changes)]) }) as ImageModel;

const quantizations = {
  kmeans: (bad: ImageModel) => quantizeModel(context.runtime, bad, { method: 'kmeans', bits: 4 }),
  linear: (bad: ImageModel) =>
    quantizeModel(context.runtime, bad, { method: 'linear', bits: 8, calibration: images }),
};

async function refusal(work: () => Promise<unknown>): Promise<string> {
  const error = await work().catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(LloydError);
  return (error as LloydError).message;
}

describe('parameters that are not what the graph says', () => {
  // [2, 3, 1, 6], as TensorFlow has it, holds as many values as [6, 2, 3, 1].
  const wrong: [string, unknown, RegExp][] = [
    [
      'c.weight',
      tensor([3, 1, 2, 6]),
      /c\.weight must have the shape \[6, 2, 3, 1\].*received \[3, 1, 2, 6\]/,
    ],
    [
      'c.weight',
      tensor([6, 4, 3, 1]),
      /c\.weight must have the shape \[6, 2, 3, 1\].*received \[6, 4, 3, 1\]/,
    ],
    ['c.weight', tensor([36]), /c\.weight must have the shape.*output channels x input channels/],
    ['c.weight', { dtype: 'float32', data: new Float32Array(36) }, /c\.weight must have the shape.*no dims/],
    ['c.weight', tensor([6, 2, 3, 1], 'float16'), /c\.weight must be float32.*float16 in Float32Array/],
    ['c.weight', { ...tensor([6, 2, 3, 1]), data: new Int8Array(36) }, /c\.weight.*float32 in Int8Array/],
    ['c.weight', { ...tensor([6, 2, 3, 1]), data: new Float32Array(35) }, /c\.weight must hold 36.*35/],
    ['c.bias', tensor([5]), /c\.bias must have the shape \[6\]/],
    ['n.weight', tensor([5]), /n\.weight must have the shape \[6\]/],
    ['n.running_var', tensor([1]), /n\.running_var must have the shape \[6\]/],
    ['fc.weight', tensor([36, 5]), /fc\.weight must have the shape \[5, 36\].*channels x height x width/],
    ['fc.bias', tensor([5, 1]), /fc\.bias must have the shape \[5\].*received \[5, 1\]/],
    ['fc.bias', null, /fc\.bias must have the shape/],
  ];
  test.each(wrong)('%s: compile and quantizeModel refuse it', async (name, value, rule) => {
    const bad = changed({ [name]: value });
    expect(await refusal(() => compile(context.runtime, bad))).toMatch(rule);
    for (const quantize of Object.values(quantizations))
      expect(await refusal(() => quantize(bad))).toMatch(rule);
    expect(() => writeModelFile(bad)).toThrow(rule);
    expect(() => trainedLayers(bad)).toThrow(rule);
  });

  test('an object where a Map is wanted is refused with the cure', async () => {
    const plain = { graph, parameters: Object.fromEntries(model.parameters) } as unknown as ImageModel;
    const rule = /tiny: parameters must be a Map.*new Map\(Object\.entries/;
    expect(await refusal(() => compile(context.runtime, plain))).toMatch(rule);
    for (const quantize of Object.values(quantizations))
      expect(await refusal(() => quantize(plain))).toMatch(rule);
    const compared = compareModel(context.runtime, plain, new Uint8Array(48), new Uint8Array(1), {
      calibration: images,
    });
    expect(await refusal(() => compared)).toMatch(rule);
    expect(() => initialize(plain)).toThrow(rule);
    expect(() => vgg({ parameters: {} as never })).toThrow(/vgg: parameters must be a Map/);
    expect(
      await refusal(() =>
        quantizeModel(context.runtime, model, { method: 'linear', bits: 8, activations: {} as never }),
      ),
    ).toMatch(/activations must be a Map/);
  });

  test('what is no network at all is refused too', async () => {
    for (const odd of [undefined, null, 5, {}, { model: {} }, { graph: null }, { layers: [], model: null }]) {
      await refusal(() => compile(context.runtime, odd as never));
    }
    await refusal(() => quantizations.kmeans({} as never));
  });
});

describe('quantized networks whose layers are not the graph’s', () => {
  const spoilt: [string, RegExp, (good: QuantizedModel) => Partial<QuantizedModel>][] = [
    ['kmeans', /layers must be a Map/, ({ layers }) => ({ layers: Object.fromEntries(layers) as never })],
    [
      'kmeans',
      /fc: codes must be 180 in a Uint8Array/,
      ({ layers }) => ({
        layers: new Map(layers).set('fc', { ...layers.get('fc')!, codes: new Uint8Array(179) } as never),
      }),
    ],
    [
      'kmeans',
      /c: codes must be below their codebook's 16 entries; received 16/,
      ({ layers }) => ({
        layers: new Map(layers).set('c', {
          ...layers.get('c')!,
          codes: new Uint8Array(36).fill(16),
        } as never),
      }),
    ],
    [
      'linear',
      /c: there must be 6 scales/,
      ({ layers }) => ({
        layers: new Map(layers).set('c', { ...layers.get('c')!, scale: new Float32Array(5) } as never),
      }),
    ],
    ['linear', /nobody/, ({ layers }) => ({ layers: new Map(layers).set('nobody', layers.get('c')!) })],
    [
      'linear',
      /r: an activation's scale must be .*above 0/,
      ({ activations }) => ({ activations: new Map(activations).set('r', { scale: 0, zeroPoint: 0 }) }),
    ],
  ];
  test.each(spoilt)('%s: %s', async (method, rule, spoil) => {
    const good = await quantizations[method as 'kmeans' | 'linear'](model);
    expect(await refusal(() => compile(context.runtime, { ...good, ...spoil(good) }))).toMatch(rule);
  });
});

describe('graphs that do not hold together', () => {
  const conv = { op: 'conv2d', name: 'x', inputs: ['image'], kernel: [3, 3], outChannels: 4 };
  const pool = { op: 'maxPool', name: 'x', inputs: ['image'], kernel: [2, 2], strides: [1, 1] };
  const ending = (node: object, before: object[] = []) => ({
    ...graph,
    nodes: [...before, node] as ImageNode[],
    output: (node as ImageNode).name,
  });
  const flat = { op: 'flatten', name: 'flat', inputs: ['image'] };
  test.each<[RegExp, object]>([
    [/x: groups must be an integer of 1 or more; received 0/, ending({ ...conv, groups: 0 })],
    [/x: groups must divide 4 input and 6 output/, ending({ ...conv, outChannels: 6, groups: 4 })],
    [/x: strides must be .* received \[0, 1\]/, ending({ ...conv, strides: [0, 1] })],
    [/x: dilations must be .* received \[1\]/, ending({ ...conv, dilations: [1] })],
    [/x: pads must be .* received \[-1/, ending({ ...conv, pads: [-1, 0, 0, 0] })],
    [/x: kernel must be .* received \[1.5/, ending({ ...conv, kernel: [1.5, 1] })],
    [/x: outChannels must be/, ending({ ...conv, outChannels: 0 })],
    [/x: strides must be .* received .none/, ending({ ...pool, strides: undefined })],
    [/x: a pool's pads must be smaller than its kernel/, ending({ ...pool, pads: [0, 2, 0, 0] })],
    [/x: outFeatures must be/, ending({ op: 'linear', name: 'x', inputs: ['image'] })],
    [/x: epsilon must be/, ending({ op: 'batchNorm', name: 'x', inputs: ['image'], epsilon: -1 })],
    [/x: inputs must be an array/, ending({ op: 'relu', name: 'x', inputs: 'image' })],
    [/nodes must be an array/, { ...graph, nodes: {} }],
    [/op must be one that a graph has/, { ...graph, nodes: [null] }],
    [/the input must have/, { ...graph, input: { ...graph.input, height: 0 } }],
    [/the input must have/, { ...graph, input: undefined }],
    [
      /x: batch norm over a flattened image has a parameter a pixel and channel.*4 x 3 x 4/,
      ending({ op: 'batchNorm', name: 'x', inputs: ['on'] }, [
        flat,
        { op: 'relu', name: 'on', inputs: ['flat'] },
      ]),
    ],
    [/x: conv2d takes images, which a flattened/, ending({ ...conv, inputs: ['flat'] }, [flat])],
    [
      /x: globalAveragePool takes images/,
      ending({ op: 'globalAveragePool', name: 'x', inputs: ['flat'] }, [flat]),
    ],
  ])('%s', (rule, bad) => {
    expect(() => inferShapes(bad as ImageGraph)).toThrow(LloydError);
    expect(() => inferShapes(bad as ImageGraph)).toThrow(rule);
  });
});

test('whatever is put anywhere in a model, it is taken or refused by a LloydError', () => {
  const odd = () =>
    random.pick([
      undefined,
      null,
      0,
      -1,
      1.5,
      NaN,
      2 ** 31,
      '',
      'c',
      [],
      [1, 2],
      [0, 0, 0, 0],
      {},
      Symbol('s'),
      5n,
    ]);
  let taken = 0;
  let refused = 0;
  for (let round = 0; round < 2000; round++) {
    const spoilt = {
      graph: structuredClone(graph) as object,
      parameters: new Map([...model.parameters].map(([name, t]) => [name, { ...t, dims: [...t.dims] }])),
    };
    const roots: unknown[] = [spoilt, spoilt.graph, spoilt.graph, ...spoilt.parameters.values()];
    let at = random.pick(roots) as Record<string, unknown>;
    for (;;) {
      const key = random.pick(Object.keys(at));
      const inner = at[key];
      const deeper = typeof inner === 'object' && inner !== null && Object.keys(inner).length > 0;
      if (!deeper || ArrayBuffer.isView(inner) || random.next() < 0.2) {
        at[key] = odd();
        break;
      }
      at = inner as Record<string, unknown>;
    }
    try {
      checkNetwork(spoilt as unknown as ImageModel);
      fuseGraph(spoilt as unknown as ImageModel);
      taken++;
    } catch (error) {
      expect(error).toBeInstanceOf(LloydError);
      refused++;
    }
  }
  expect(taken).toBeGreaterThan(5);
  expect(refused).toBeGreaterThan(1000);
});
