// A ReLU or ReLU6 fused into the layer that leaves float logits.
import { describe, expect, test } from 'vitest';
import { requantizeRules } from '../../src/conv/requantize.ts';
import type { ImageGraph, ImageModel } from '../../src/model/graph.ts';
import { quantizeModel } from '../../src/run/precision.ts';
import { type CompileOptions, compile } from '../../src/run/session.ts';
import { int8Logits } from '../support/int8-twin.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const context = useRuntime();

/** A linear layer deep enough for its sum to be split where tiles are, and an activation. */
function network(op: 'relu' | 'relu6' | 'identity'): ImageModel {
  const random = seeded(21);
  const [inputs, outputs] = [4 * 4 * 40, 23];
  const graph: ImageGraph = {
    name: 'last activation',
    input: { name: 'x', height: 4, width: 4, channels: 40 },
    nodes: [
      { op: 'linear', name: 'fc', inputs: ['x'], outFeatures: outputs },
      { op, name: 'last', inputs: ['fc'] },
    ],
    output: 'last',
  };
  const weight = random.floats(inputs * outputs, 0.7);
  const parameters: ImageModel['parameters'] = new Map([
    ['fc.weight', { dtype: 'float32', dims: [outputs, inputs], data: weight }],
    ['fc.bias', { dtype: 'float32', dims: [outputs], data: random.floats(outputs) }],
  ]);
  return { graph, parameters };
}

const random = seeded(5);
const images = Uint8Array.from({ length: 9 * 640 }, () => random.integer(0, 255));

async function logits(model: Parameters<typeof compile>[1], options: CompileOptions) {
  const session = await compile(context.runtime, model, options);
  try {
    return await session.run(images);
  } finally {
    session.destroy();
  }
}

const FAMILIES = [
  [9, 'registers'],
  [2, 'tiled'],
  [9, 'tiled'],
] as const;

describe.each(['relu', 'relu6'] as const)('%s', (op) => {
  test.each(requantizeRules)('bounds the logits by %s', async (requantize) => {
    const model = network(op);
    const options = { method: 'linear', bits: 8, calibration: images, requantize } as const;
    const quantized = await quantizeModel(context.runtime, model, options);
    const expected = int8Logits(quantized, images);
    expect(Math.min(...expected)).toBe(0);
    if (op === 'relu6' && requantize !== 'lab') expect(Math.max(...expected)).toBe(6);
    // Few rows are a product of vectors, many one of tiles; both split their sums.
    const choices = requantize === 'ort-f32' ? FAMILIES : FAMILIES.slice(0, 1);
    for (const [batch, kernels] of choices) {
      expect(await logits(quantized, { batch, kernels }), `${batch} ${kernels}`).toEqual(expected);
    }
    const exact = await logits(model, { batch: 9 });
    const worst = Math.max(...exact.map((value, i) => Math.abs(value - expected[i])));
    expect(worst).toBeLessThan(op === 'relu6' ? 0.2 : 0.5);
  });
});

test('without one the logits are unbounded', async () => {
  const model = network('identity');
  const options = { method: 'linear', bits: 8, calibration: images } as const;
  const received = await logits(await quantizeModel(context.runtime, model, options), { batch: 9 });
  expect(Math.min(...received)).toBeLessThan(-6);
  expect(Math.max(...received)).toBeGreaterThan(6);
});
