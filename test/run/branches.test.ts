// Graphs that branch: residual sums and concatenations, at every precision.
import { describe, expect, test } from 'vitest';
import { requantizeRules } from '../../src/conv/requantize.ts';
import { fuseGraph } from '../../src/lower/fuse.ts';
import { type ImageGraph, inferShapes } from '../../src/model/graph.ts';
import { isQuantized } from '../../src/model/quantized-model.ts';
import { calibrate } from '../../src/run/calibrate.ts';
import { compareModel, compareRowNames } from '../../src/run/compare.ts';
import { readModelFile, writeModelFile } from '../../src/run/file.ts';
import { logitSqnrDb } from '../../src/run/metrics.ts';
import { quantizeModel } from '../../src/run/precision.ts';
import { type CompileOptions, compile } from '../../src/run/session.ts';
import {
  inceptionGraph,
  preactivationGraph,
  residualGraph,
  withParameters,
} from '../support/branching-models.ts';
import { int8Logits } from '../support/int8-twin.ts';
import { onnxLogits } from '../support/onnx-graph.ts';
import { sampled, seeded, THOROUGH, useRuntime } from '../support/runtime.ts';

const context = useRuntime();

function imagesOf({ input }: ImageGraph, count: number, seed = 7): Uint8Array {
  const random = seeded(seed);
  const length = count * input.height * input.width * input.channels;
  return Uint8Array.from({ length }, () => random.integer(0, 255));
}

async function logitsOf(
  model: Parameters<typeof compile>[1],
  images: Uint8Array,
  batch: number,
  kernels?: CompileOptions['kernels'],
) {
  const session = await compile(context.runtime, model, { batch, kernels });
  try {
    return await session.run(images);
  } finally {
    session.destroy();
  }
}

for (const graph of sampled('graphs', [residualGraph, inceptionGraph, preactivationGraph], 3)) {
  describe(graph.name, () => {
    const model = withParameters(graph);
    const images = imagesOf(graph, 11);

    test('fp32 logits are those of ONNX Runtime, which fuses nothing', async () => {
      const expected = await onnxLogits(model, images);
      for (const [batch, kernels] of [
        [11, 'registers'],
        [4, 'registers'],
        [11, 'tiled'],
      ] as const) {
        const received = await logitsOf(model, images, batch, kernels);
        for (const [i, value] of received.entries()) expect(value).toBeCloseTo(expected[i], 4);
      }
    });

    for (const requantize of sampled('rules', requantizeRules, 2)) {
      test(`int8 logits by ${requantize} are those of the CPU twins, bit for bit`, async () => {
        const options = { method: 'linear', bits: 8, calibration: images, requantize } as const;
        const quantized = await quantizeModel(context.runtime, model, options);
        const expected = int8Logits(quantized, images);
        expect(new Set(expected).size).toBeGreaterThan(20);
        expect(await logitsOf(quantized, images, 11)).toEqual(expected);
        if (!THOROUGH) return;
        expect(await logitsOf(quantized, images, 3)).toEqual(expected);
        if (requantize === 'ort-f32') {
          expect(await logitsOf(quantized, images, 11, 'tiled')).toEqual(expected);
        }
      });
    }

    test('4-bit and 2-bit weights too, and a file round trip keeps every bit', async () => {
      const build = (parameters: typeof model.parameters) => ({ graph, parameters });
      for (const options of [
        { method: 'linear', bits: 4, calibration: images },
        { method: 'linear', bits: 2, calibration: images, requantize: 'tflite-single' },
        { method: 'kmeans', bits: 3 },
      ] as const) {
        const quantized = await quantizeModel(context.runtime, model, options);
        const received = await logitsOf(quantized, images, 11);
        if (options.method === 'linear') expect(received).toEqual(int8Logits(quantized, images));
        const again = readModelFile(writeModelFile(quantized), build);
        expect(isQuantized(again)).toBe(true);
        expect(await logitsOf(again, images, 11)).toEqual(received);
      }
      const plain = readModelFile(writeModelFile(model), build);
      expect(await logitsOf(plain, images, 11)).toEqual(await logitsOf(model, images, 11));
    });

    test('k-means at 8 bits and linear at 8 stay near fp32', async () => {
      const exact = await logitsOf(model, images, 11);
      const kmeans = await quantizeModel(context.runtime, model, { method: 'kmeans', bits: 8 });
      expect(logitSqnrDb(await logitsOf(kmeans, images, 11), exact)).toBeGreaterThan(35);
      const linear = await quantizeModel(context.runtime, model, {
        method: 'linear',
        bits: 8,
        calibration: images,
      });
      expect(logitSqnrDb(await logitsOf(linear, images, 11), exact)).toBeGreaterThan(20);
    });

    test('compare runs every row that needs no training', async () => {
      const labels = Uint8Array.from({ length: 11 }, (_, i) => i % 5);
      const { rows } = await compareModel(context.runtime, model, images, labels, {
        calibration: images,
        batch: 4,
      });
      expect(rows.map(({ name }) => name)).toEqual([...compareRowNames]);
      for (const { name, status, logitSqnrDb: decibels } of rows) {
        expect(status).toBe(name.endsWith('-qat') ? 'not trained' : 'ok');
        if (name === 'linear-8') expect(decibels).toBeGreaterThan(20);
      }
    });
  });
}

describe('fusion', () => {
  test('a ReLU goes into the sum or concatenation before it, where nobody else reads that', () => {
    const clamps = (graph: ImageGraph) =>
      fuseGraph(withParameters(graph)).layers.flatMap((layer) =>
        layer.kind === 'add' || layer.kind === 'concat'
          ? [[layer.kind, layer.output, layer.low, layer.high]]
          : [],
      );
    expect(clamps(residualGraph)).toEqual([
      ['add', 'a.relu', 0, Infinity],
      ['add', 'b partial 1', -Infinity, Infinity],
      ['add', 'b.relu', 0, 6],
      ['add', 'c', -Infinity, Infinity],
      ['concat', 'd.relu', 0, Infinity],
      ['add', 'd', -Infinity, Infinity],
    ]);
    expect(clamps(inceptionGraph)).toEqual([
      ['concat', 'stem.relu', 0, Infinity],
      ['concat', 'cat', -Infinity, Infinity],
      ['concat', 'dense.relu', 0, Infinity],
      ['concat', 'g.relu', 0, 6],
      ['concat', 'last', -Infinity, Infinity],
    ]);
  });

  test('nodes that the output does not depend on are left out, and the output comes last', () => {
    const layers = fuseGraph(withParameters({ ...inceptionGraph, output: 'cat' })).layers;
    expect(layers.map(({ output }) => output)).not.toContain('nobody');
    expect(layers.at(-1)!.output).toBe('cat');
    expect(layers.map(({ name }) => name)).not.toContain('f');
  });

  test('what only a concatenation reads is quantized as the concatenation is', async () => {
    const model = withParameters(inceptionGraph);
    const activations = await calibrate(context.runtime, model, imagesOf(inceptionGraph, 4));
    const of = (name: string) => activations.get(name)!;
    for (const name of ['a.relu', 'b2', 'c2', 'cat', 'e']) expect(of(name)).toEqual(of('dense.relu'));
    // The pool passes its input's on, which others read; the image's are fixed.
    expect(of('d')).toEqual(of('stem.relu'));
    expect(of('stem.relu')).not.toEqual(of('dense.relu'));
    expect(of('x')).toEqual({ scale: Math.fround(1 / 255), zeroPoint: -128 });
  });

  test('a batch norm with nothing before it to fold into is a layer without weights', async () => {
    const model = withParameters(preactivationGraph);
    const layers = fuseGraph(model).layers;
    const affine = layers.flatMap((layer) =>
      layer.kind === 'conv2d' && layer.affine ? [[layer.output, layer.low, layer.high, layer.pool]] : [],
    );
    expect(affine).toEqual([
      ['norm', -Infinity, Infinity, false],
      ['a0.relu', 0, Infinity, false],
      ['b0.relu', 0, Infinity, false],
      ['c0.pool', 0, 6, true],
    ]);
    const { layers: coded } = await quantizeModel(context.runtime, model, { method: 'kmeans', bits: 4 });
    expect([...coded.keys()]).toEqual(['stem', 'a1', 'b1', 'c1', 'fc']);
    await expect(
      quantizeModel(context.runtime, model, { method: 'kmeans', bits: 4, layers: { norm: 8 } }),
    ).rejects.toThrow(/may name only the model's layers: stem, a1, b1, c1, fc/);
  });

  test('buffers are shared, but never one that a later layer still reads', async () => {
    const session = await compile(context.runtime, withParameters(residualGraph), { batch: 2 });
    const plan = session.plan();
    session.destroy();
    const slab = (place: string) => place.match(/\(slab \d+\)/)?.[0];
    const tensorOf = (place: string) => place.replace(/ \(slab.*/, '');
    const holder = new Map<string, string>();
    for (const { reads, writes, layer } of plan) {
      for (const place of reads.filter(slab)) {
        if (!tensorOf(place).endsWith(' images'))
          expect(holder.get(slab(place)!), layer).toBe(tensorOf(place));
        expect(writes.map(slab)).not.toContain(slab(place));
      }
      for (const place of writes) holder.set(slab(place)!, tensorOf(place));
    }
    expect(holder.size).toBeLessThanOrEqual(5);
  });
});

describe('bad graphs are one clear error', () => {
  const reshaped = (changes: Partial<ImageGraph>): ImageGraph => ({ ...residualGraph, ...changes });
  const withNode = (node: ImageGraph['nodes'][number]) =>
    reshaped({ nodes: [...residualGraph.nodes.slice(0, 3), node], output: node.name });

  test('shapes, counts and names', () => {
    const sum = (inputs: string[]) => withNode({ op: 'add', name: 'sum', inputs });
    expect(() => inferShapes(sum(['x', 'stem.relu']))).toThrow(/sum: add takes equal shapes.*9x7x3.*9x7x6/);
    expect(() => inferShapes(sum(['x']))).toThrow(/sum: add takes two inputs or more; received 1/);
    expect(() => inferShapes(sum(['x', 'later']))).toThrow(/input must be the graph's input or an earlier/);
    const pooled = { op: 'globalAveragePool', name: 'pooled', inputs: ['x'] } as const;
    const joined = { op: 'concat', name: 'joined', inputs: ['pooled', 'x'] } as const;
    expect(() => inferShapes(reshaped({ nodes: [pooled, joined], output: 'joined' }))).toThrow(
      /joined: concat takes equal heights and widths/,
    );
  });

  test('an operator that no graph has', async () => {
    const model = withParameters(residualGraph);
    const odd = { op: 'tanh' as 'relu', name: 'odd', inputs: ['fc'] };
    const graph = { ...residualGraph, nodes: [...residualGraph.nodes, odd], output: 'odd' };
    await expect(compile(context.runtime, { ...model, graph })).rejects.toThrow(
      /residual: a node's op must be one that a graph has; received "tanh \(odd\)"/,
    );
  });
});
