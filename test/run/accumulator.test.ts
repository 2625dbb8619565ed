// The accumulator check where it guards: compiling a model, the int8 operations, ONNX operators.
import { describe, expect, test } from 'vitest';
import { conv2dInt8, matmulInt8 } from '../../src/conv/conv-int8.ts';
import type { Runtime } from '../../src/gpu/runtime.ts';
import type { Tensor } from '../../src/gpu/tensor.ts';
import type { QuantizedModel } from '../../src/model/quantized-model.ts';
import { runOperator } from '../../src/onnx/index.ts';
import { operatorReference } from '../../src/reference/onnx-operators.ts';
import { compile } from '../../src/run/session.ts';
import { useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

const bytes = (dtype: 'int8' | 'uint8', dims: number[], value: number): Tensor => {
  const count = dims.reduce((a, b) => a * b, 1);
  return { dtype, dims, data: (dtype === 'int8' ? new Int8Array(count) : new Uint8Array(count)).fill(value) };
};
const scale = (value: number): Tensor => ({ dtype: 'float32', dims: [], data: Float32Array.of(value) });

/** Throws where anything is allocated or submitted: the check comes before. */
function idle(runtime: Runtime): Runtime {
  const used = () => {
    throw new Error('something was dispatched');
  };
  return { ...runtime, submit: used, scope: used, upload: used, empty: used };
}

/** One linear layer over `terms` inputs with every code the same. */
function linearModel(terms: number, code: number, bits: number, zeroPoint: number): QuantizedModel {
  const data = new Float32Array(terms);
  return {
    model: {
      graph: {
        name: 'wide',
        input: { name: 'x', height: terms / 3, width: 1, channels: 3 },
        nodes: [{ op: 'linear', name: 'fc', inputs: ['x'], outFeatures: 1 }],
        output: 'fc',
      },
      parameters: new Map([['fc.weight', { dtype: 'float32', dims: [1, terms], data }]]),
    },
    method: 'linear',
    bits,
    requantize: 'ort-f32',
    layers: new Map([
      [
        'fc',
        { method: 'linear', bits, codes: new Int8Array(terms).fill(code), scale: Float32Array.of(0.01) },
      ],
    ]),
    activations: new Map([
      ['x', { scale: 0.1, zeroPoint }],
      ['fc', { scale: 1, zeroPoint: 0 }],
    ]),
  };
}

describe('compile', () => {
  test('refuses a layer whose sum could leave int32, naming it and where to split', async () => {
    const session = await compile(gpu.runtime, linearModel(66_309, 127, 8, -128), { batch: 1 });
    // 255 steps of 0.1: every code at the end of its range.
    const white = new Float32Array(66_309).fill(25.5);
    expect((await session.run(white))[0]).toBe(
      Math.fround(Math.fround(255 * 127 * 66_309) * Math.fround(Math.fround(0.1) * Math.fround(0.01))),
    );
    session.destroy();
    // 255 * 127 * 66,312 = 2^31 + 30,472 with the zero point at the range's end.
    const wide = linearModel(66_312, 127, 8, -128);
    await expect(compile(idle(gpu.runtime), wide, { batch: 1 })).rejects.toThrow(
      /fc: \|accumulator\| must stay within int32.*2 runs that end at 66311, 66312/s,
    );
  });

  test('counts what narrow weights are multiplied by while they add up', async () => {
    const session = await compile(gpu.runtime, linearModel(130_500, -8, 4, 0), { batch: 1 });
    const [logit] = await session.run(new Float32Array(130_500).fill(-12.8));
    expect(logit).toBe(
      Math.fround(Math.fround(-128 * -8 * 130_500) * Math.fround(Math.fround(0.1) * Math.fround(0.01))),
    );
    session.destroy();
    // -8 * 16 * -128 * 131,073 passes 2^31; the accumulator itself is a sixteenth of that.
    await expect(compile(idle(gpu.runtime), linearModel(131_073, -8, 4, 0), { batch: 1 })).rejects.toThrow(
      /fc: \|accumulator\|/,
    );
  });
});

describe('operations', () => {
  test('conv2dInt8 and matmulInt8 refuse before anything is dispatched', async () => {
    const runtime = idle(gpu.runtime);
    const [image, kernel] = [bytes('int8', [1, 1, 1, 132_200], 1), bytes('int8', [1, 132_200, 1, 1], 127)];
    await expect(conv2dInt8(runtime, image, kernel)).rejects.toThrow(/conv2dInt8: \|accumulator\|/);
    const [a, b] = [bytes('int8', [1, 66_400], 1), bytes('int8', [66_400, 1], 127)];
    await expect(matmulInt8(runtime, a, b, { inputZeroPoint: 127 })).rejects.toThrow(/matmulInt8: \|accum/);
    const { data } = await matmulInt8(gpu.runtime, a, b);
    expect([...data]).toEqual([127 * 66_400]);
  });
});

describe('ONNX operators', () => {
  const zero = (value: number) => bytes('uint8', [], value);
  const product = (K: number, codeA: number, codeB: number, zeroA = 0) => [
    bytes('uint8', [1, K], codeA),
    scale(0.5),
    zero(zeroA),
    bytes('uint8', [K, 2], codeB),
    scale(0.5),
    zero(0),
    scale(2 ** 23),
    zero(3),
  ];

  test('QLinearMatMul and QLinearConv refuse sums that could leave int32', async () => {
    const runtime = idle(gpu.runtime);
    await expect(runOperator(runtime, 'QLinearMatMul', product(33_026, 255, 255))).rejects.toThrow(
      /QLinearMatMul: \|accumulator\|.*33025, 33026/s,
    );
    const conv = (channels: number, code: number) => [
      bytes('uint8', [1, channels, 1, 1], 255),
      ...[scale(0.5), zero(0), bytes('uint8', [1, channels, 1, 1], code), scale(0.5), zero(0)],
      ...[scale(2 ** 23), zero(3)],
    ];
    await expect(runOperator(runtime, 'QLinearConv', conv(33_026, 255))).rejects.toThrow(
      /QLinearConv: \|acc/,
    );
    const bias: Tensor = { dtype: 'int32', dims: [1], data: Int32Array.of(2 ** 31 - 1) };
    await expect(runOperator(runtime, 'QLinearConv', [...conv(1, 1), bias])).rejects.toThrow(/smaller bias/);
  });

  test('but not those which the actual codes keep inside', async () => {
    for (const inputs of [
      product(33_025, 255, 255),
      product(40_000, 255, 200),
      product(40_000, 255, 255, 100),
    ]) {
      const [received] = await runOperator(gpu.runtime, 'QLinearMatMul', inputs);
      const [expected] = operatorReference('QLinearMatMul', inputs, {}, 'ort-f32');
      expect([...received.data]).toEqual([...(expected.data as number[])]);
      expect(received.data[0]).toBeGreaterThan(3);
    }
  });

  test('MatMulInteger wraps, as ONNX lets it', async () => {
    const inputs = [bytes('uint8', [1, 40_000], 255), bytes('uint8', [40_000, 1], 255)];
    const [{ data }] = await runOperator(gpu.runtime, 'MatMulInteger', inputs);
    expect([...data]).toEqual([(255 * 255 * 40_000) | 0]);
  });
});
