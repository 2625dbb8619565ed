import { describe, expect, test } from 'vitest';
import type { OnnxTensor } from '../../src/graph/ops/tensors.ts';
import { type Attributes, runOperator } from '../../src/onnx/index.ts';
import { expectPeer, type PeerCase, randomTensor } from '../support/planned.ts';
import { sampled, seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

function poolCase(seed: number, operator: 'MaxPool' | 'AveragePool'): PeerCase {
  const random = seeded(seed);
  const spatial = random.pick([1, 2, 2, 3]);
  const each = (low: number, high: number) =>
    Array.from({ length: spatial }, () => random.integer(low, high));
  const kernel = each(1, 3);
  const opset = random.pick([9, 11, 19, 22]);
  const dilations =
    opset >= (operator === 'MaxPool' ? 10 : 19) && random.next() < 0.5 ? each(1, 2) : kernel.map(() => 1);
  const size = kernel.map((k, i) => (k - 1) * dilations[i] + random.integer(1, 8));
  const attributes: Attributes = { kernel_shape: kernel, strides: each(1, 3) };
  if (dilations.some((d) => d > 1)) attributes.dilations = dilations;
  if (opset >= 10 && random.next() < 0.5) attributes.ceil_mode = 1;
  const padding = random.pick(['pads', 'pads', 'SAME_UPPER', 'SAME_LOWER', 'VALID', 'none']);
  if (padding === 'pads') attributes.pads = [...kernel, ...kernel].map((k) => random.integer(0, k - 1));
  else if (padding !== 'none') {
    attributes.auto_pad = padding;
    delete attributes.ceil_mode;
    // ONNX Runtime takes padding below 0 from windows further apart than they are wide.
    attributes.strides = kernel.map((k) => random.integer(1, k));
    delete attributes.dilations;
  }
  if (operator === 'AveragePool' && random.next() < 0.5) attributes.count_include_pad = 1;
  const indices = operator === 'MaxPool' && random.next() < 0.6;
  if (indices && random.next() < 0.5) attributes.storage_order = 1;
  const dtype =
    operator === 'MaxPool' && opset >= 12 && !indices
      ? random.pick(['float32', 'uint8', 'int8'] as const)
      : 'float32';
  return {
    operator,
    inputs: [randomTensor(random, dtype, [random.integer(1, 2), random.integer(1, 3), ...size])],
    attributes,
    options: { opset, ...(indices && { outputs: 2 }) },
  };
}

describe('against ONNX Runtime', () => {
  for (const operator of ['MaxPool', 'AveragePool'] as const) {
    test(`${operator} with every attribute`, async () => {
      const cases = Array.from({ length: 150 }, (_, i) => poolCase(i, operator));
      await expectPeer(gpu.runtime, sampled(operator, cases, 70));
    });
  }
});

test('NaN is the maximum of its windows', async () => {
  const x: OnnxTensor = { dtype: 'float32', dims: [1, 1, 4], data: Float32Array.of(1, Number.NaN, 3, 2) };
  const [y] = await runOperator(gpu.runtime, 'MaxPool', [x], { kernel_shape: [2] });
  expect([...y.data]).toEqual([Number.NaN, Number.NaN, 3]);
});
