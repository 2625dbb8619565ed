// Weights that a file computes of its constants, as exporters of stored integers write them.
import { expect, test } from 'vitest';
import type { GraphModel } from '../../src/graph/graph.ts';
import { GraphWriter } from '../../src/graph/graph-writer.ts';
import type { OnnxTensor } from '../../src/graph/ops/tensors.ts';
import { readModelFile, writeModelFile } from '../../src/run/file.ts';
import { logitSqnrDb } from '../../src/run/metrics.ts';
import { quantizeModel } from '../../src/run/precision.ts';
import { compile } from '../../src/run/session.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();
const random = seeded(5);
const dims = [1, 3, 6, 5];
const image: OnnxTensor = { dtype: 'float32', dims, data: random.floats(90) };

/** Two convolutions whose weights are integers cast, scaled and shifted; the second reads one half of a Split. */
function stored(): GraphModel {
  const w = new GraphWriter('stored', 18);
  const x = w.input({ name: 'image', dtype: 'float32', shape: dims });
  const weights = (name: string, outputs: number, inputs: number) => {
    const codes = Uint8Array.from({ length: outputs * inputs * 9 }, () => random.integer(0, 255));
    const cast = w.node(
      'Cast',
      `${name}/cast`,
      [w.constant(`${name}/codes`, { dtype: 'uint8', dims: [outputs, inputs, 3, 3], data: codes })],
      { to: 1 },
    );
    const scaled = w.node('Mul', `${name}/mul`, [cast, w.scalar(`${name}/scale`, 1 / 256)]);
    return w.node('Add', `${name}/add`, [scaled, w.scalar(`${name}/offset`, -0.5)]);
  };
  const pads = { pads: [1, 1, 1, 1] };
  const first = w.node('Conv', 'first', [x, weights('a', 8, 3)], pads);
  const [half, other] = w.several('Split', 'halves', [weights('b', 8, 8)], { axis: 0, num_outputs: 2 }, 2);
  const second = w.node('Conv', 'second', [w.node('Relu', 'relu', [first]), half], pads);
  const sum = w.node('ReduceSum', 'sum', [other], { keepdims: 0 });
  return w.model([w.node('Add', 'out', [second, sum])]);
}

test.each([
  ['k-means', { method: 'kmeans', bits: 8 }],
  ['linear', { method: 'linear', bits: 8, calibration: [{ image }] }],
] as const)('%s quantizes them, and what it gives compiles and outlives its file', async (_, options) => {
  const model = stored();
  const run = async (network: Parameters<typeof compile>[1]) => {
    const session = await compile(gpu.runtime, network);
    try {
      return (await session.run({ image })).out.data as Float32Array;
    } finally {
      session.destroy();
    }
  };
  const quantized = await quantizeModel(gpu.runtime, model, options);
  expect([...quantized.layers.keys()]).toEqual(['first', 'second']);
  const { graph, parameters } = quantized.model as GraphModel;
  expect(parameters.get('a/add')?.dims).toEqual([8, 3, 3, 3]);
  expect(parameters.has('a/codes')).toBe(false);
  expect(graph.nodes.map(({ name }) => name)).toContain('halves');
  const own = await run(quantized);
  expect(logitSqnrDb(own, await run(model))).toBeGreaterThan(30);
  expect(await run(readModelFile(writeModelFile(quantized)))).toEqual(own);
});
