import { describe, expect, test } from 'vitest';
import { requantizeRules } from '../../src/conv/requantize.ts';
import type { OnnxTensor } from '../../src/graph/ops/tensors.ts';
import { runOperator } from '../../src/onnx/index.ts';
import { type RequantizeRule, requantizeReference } from '../../src/reference/requantize.ts';
import { expectPeer, type PeerCase, randomTensor } from '../support/planned.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();
const domain = 'com.microsoft';
type Byte = 'int8' | 'uint8';

/** A scalar scale and a zero point of a byte type; powers of two and odd zero points make ties. */
const qparams = (dtype: Byte, scale: number, zero: number): OnnxTensor[] => [
  { dtype: 'float32', dims: [], data: Float32Array.of(scale) },
  dtype === 'int8'
    ? { dtype, dims: [], data: Int8Array.of(zero) }
    : { dtype, dims: [], data: Uint8Array.of(zero + 128) },
];

describe('against ONNX Runtime', () => {
  test('QLinearMul, broadcasting, with ties', async () => {
    const random = seeded(71);
    const cases: PeerCase[] = [];
    for (const dtype of ['int8', 'uint8'] as const) {
      for (const [a, b] of [
        [
          [64, 33],
          [64, 33],
        ],
        [[2, 3, 40], [40]],
        [[5, 7], [1]],
        [
          [4, 1, 9],
          [3, 1],
        ],
      ]) {
        for (const [p, q, y] of [
          [0.5, 0.25, 8],
          [0.02, 0.013, 0.031],
        ]) {
          const inputs = [
            ...[randomTensor(random, dtype, a), ...qparams(dtype, p, 3)],
            ...[randomTensor(random, dtype, b), ...qparams(dtype, q, -7), ...qparams(dtype, y, 5)],
          ];
          cases.push({ operator: 'QLinearMul', inputs, domain, initializers: [1, 2, 4, 5, 6, 7] });
        }
      }
    }
    await expectPeer(gpu.runtime, cases);
  });

  test('QLinearGlobalAveragePool, channels first and last', async () => {
    const random = seeded(72);
    const cases: PeerCase[] = [];
    for (const dtype of ['int8', 'uint8'] as const) {
      for (const channels_last of [0, 1]) {
        for (const [p, y] of [
          [0.5, 0.25],
          [0.02, 0.011],
        ]) {
          const inputs = [
            randomTensor(random, dtype, [3, 8, 8, 16]),
            ...qparams(dtype, p, 3),
            ...qparams(dtype, y, -5),
          ];
          cases.push({ operator: 'QLinearGlobalAveragePool', inputs, attributes: { channels_last }, domain });
        }
      }
    }
    await expectPeer(gpu.runtime, cases);
  });

  test('QLinearAveragePool, padded, strided, channels first and last, with ties', async () => {
    const random = seeded(74);
    const cases: PeerCase[] = [];
    for (const dtype of ['int8', 'uint8'] as const) {
      for (const attributes of [
        { kernel_shape: [2, 2], strides: [2, 2] },
        { kernel_shape: [3, 3], pads: [1, 0, 1, 2], count_include_pad: 1 },
        { kernel_shape: [3, 2], pads: [1, 1, 0, 0], strides: [1, 2] },
        { kernel_shape: [2, 3], strides: [2, 2], auto_pad: 'SAME_UPPER' },
        { kernel_shape: [3, 3], strides: [2, 2], ceil_mode: 1 },
        { kernel_shape: [2, 2], strides: [2, 2], channels_last: 1 },
      ]) {
        for (const [p, y] of [
          [0.5, 0.25],
          [0.5, 0.5],
          [0.02, 0.011],
        ]) {
          const x = randomTensor(random, dtype, [2, 7, 9, 6]);
          const inputs = [x, ...qparams(dtype, p, 3), ...qparams(dtype, y, -5)];
          cases.push({ operator: 'QLinearAveragePool', inputs, attributes, domain });
        }
      }
      const line = [randomTensor(random, dtype, [1, 3, 12]), ...qparams(dtype, 0.5, 3)];
      const own = { operator: 'QLinearAveragePool', attributes: { kernel_shape: [4] }, domain } as const;
      cases.push({ ...own, inputs: [...line, ...qparams(dtype, 0.25, -5)] });
    }
    await expectPeer(gpu.runtime, cases);
  });

  test('QLinearWhere, broadcasting, grids equal and not', async () => {
    const random = seeded(75);
    const cases: PeerCase[] = [];
    for (const dtype of ['int8', 'uint8'] as const) {
      for (const [p, q] of [
        [0.5, 0.25],
        [0.031, 0.02],
      ]) {
        const inputs = [
          randomTensor(random, 'bool', [4, 1, 5]),
          ...[randomTensor(random, dtype, [3, 5]), ...qparams(dtype, p, 3)],
          ...[randomTensor(random, dtype, [4, 3, 1]), ...qparams(dtype, q, -7), ...qparams(dtype, q, -7)],
        ];
        cases.push({ operator: 'QLinearWhere', inputs, domain, initializers: [2, 3, 5, 6, 7, 8] });
      }
    }
    await expectPeer(gpu.runtime, cases);
  });

  test('QLinearSoftmax by both definitions', async () => {
    const random = seeded(76);
    const cases: PeerCase[] = [];
    for (const dtype of ['int8', 'uint8'] as const) {
      for (const attributes of [
        { axis: -1, opset: 13 },
        { axis: 1, opset: 13 },
        { axis: 1, opset: 11 },
      ]) {
        const x = randomTensor(random, dtype, [3, 6, 10]);
        const inputs = [x, ...qparams(dtype, 0.02, 3), ...qparams(dtype, 1 / 256, -128)];
        cases.push({ operator: 'QLinearSoftmax', inputs, attributes, domain });
      }
      const x = randomTensor(random, dtype, [4, 9]);
      const inputs = [x, ...qparams(dtype, 0.05, 3), ...qparams(dtype, 1 / 256, -128)];
      cases.push({ operator: 'QLinearSoftmax', inputs, attributes: { opset: 12 }, domain });
    }
    await expectPeer(gpu.runtime, cases);
  });

  test('QLinearSigmoid and QLinearLeakyRelu of every code', async () => {
    const cases: PeerCase[] = [];
    for (const dtype of ['int8', 'uint8'] as const) {
      const codes = Array.from({ length: 256 }, (_, i) => i - (dtype === 'int8' ? 128 : 0));
      const x = {
        dtype,
        dims: [256],
        data: dtype === 'int8' ? Int8Array.from(codes) : Uint8Array.from(codes),
      } as OnnxTensor;
      for (const scale of [0.05, 0.3]) {
        const inputs = [x, ...qparams(dtype, scale, 3), ...qparams(dtype, 1 / 256, -128)];
        cases.push({ operator: 'QLinearSigmoid', inputs, domain });
        const leaky = [x, ...qparams(dtype, scale, 3), ...qparams(dtype, 0.21, -7)];
        cases.push({ operator: 'QLinearLeakyRelu', inputs: leaky, attributes: { alpha: 0.3 }, domain });
      }
    }
    await expectPeer(gpu.runtime, cases);
  });
});

test('every rule multiplies as its reference does', async () => {
  const random = seeded(73);
  const [a, b] = [randomTensor(random, 'int8', [500]), randomTensor(random, 'int8', [500])];
  const scales = [0.5, 0.25, 8] as const;
  const run = (requantize: RequantizeRule) => {
    const inputs = [
      ...[a, ...qparams('int8', scales[0], 3), b, ...qparams('int8', scales[1], -7)],
      ...qparams('int8', scales[2], 5),
    ];
    return runOperator(gpu.runtime, 'QLinearMul', inputs, {}, { requantize });
  };
  const settings = {
    inputScale: scales[0],
    weightScale: scales[1],
    outputScale: scales[2],
    zeroPoint: 5,
    low: -128,
    high: 127,
  };
  const results: string[] = [];
  for (const rule of requantizeRules) {
    // ONNX Runtime's product adds the zero point before it rounds.
    const expected = Array.from(a.data as Int8Array, (code, i) =>
      requantizeReference(rule === 'ort-f32' ? 'lab' : rule, (code - 3) * (Number(b.data[i]) + 7), settings),
    );
    const [y] = await run(rule);
    expect(Array.from(y.data as Int8Array), rule).toEqual(expected);
    results.push(expected.join());
  }
  // The rules differ on these ties, so one can't be taken for another.
  expect(new Set(results).size).toBeGreaterThan(2);
});
