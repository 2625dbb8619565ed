import { describe, expect, test } from 'vitest';
import { requantizeRules } from '../../src/conv/requantize.ts';
import { executeTwin } from '../../src/graph/ops/execute-twin.ts';
import { codeOperators, inferOperator, planOperator } from '../../src/graph/ops/operators.ts';
import type { OnnxTensor } from '../../src/graph/ops/tensors.ts';
import { fromWords, type Value } from '../../src/graph/ops/value.ts';
import { countMismatches } from '../../src/onnx/conformance.ts';
import { caseCounts, conformanceCase, type ExactOperator } from '../../src/onnx/conformance-cases.ts';
import { execute } from '../../src/onnx/execute.ts';
import { type OperatorName, runOperator } from '../../src/onnx/index.ts';
import { operatorReference, type TwinTensor } from '../../src/reference/onnx-operators.ts';
import { f32, i8, reshape, u8, zeros } from '../support/onnx-tensors.ts';
import { expectPeer, type PeerCase, randomTensor } from '../support/planned.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();
const domain = 'com.microsoft';
const scalar8 = (code: number): OnnxTensor => ({ dtype: 'int8', dims: [], data: Int8Array.of(code) });
const exact = Object.keys(caseCounts) as ExactOperator[];
const sizes = ({ dims }: { dims: readonly number[] }) => dims.reduce((a, b) => a * b, 1);

/** Values as a graph has them where the network computes them: all of `indices`. */
const computed = (inputs: readonly (OnnxTensor | null)[], ...indices: number[]): (Value | null)[] =>
  inputs.map((tensor, i) =>
    tensor && indices.includes(i) ? { dtype: tensor.dtype, dims: tensor.dims } : tensor,
  );

/** Small tensors for the host, whose twins look at every tap. */
function* smallCases(operator: ExactOperator, most: number) {
  for (let i = 0, found = 0; i < caseCounts[operator] && found < most; i++) {
    const made = conformanceCase(operator, (i * 13) % caseCounts[operator]);
    if (made.inputs.some((tensor) => tensor && sizes(tensor) > 2000)) continue;
    found++;
    yield made;
  }
}

describe('on the host', () => {
  test.each(exact)('%s has the codes of its reference, by every rule', (operator) => {
    let compared = 0;
    for (const { inputs, attributes } of smallCases(operator, 8)) {
      for (const requantize of requantizeRules) {
        const plan = planOperator({ operator, inputs, attributes, requantize });
        const expected = operatorReference(operator, inputs as TwinTensor[], attributes, requantize);
        for (const [i, { dtype, dims, data }] of executeTwin(plan, inputs).entries()) {
          compared += data.length;
          expect(countMismatches(fromWords(dtype, dims, data) as never, expected[i])).toBe(0);
        }
      }
    }
    expect(compared).toBeGreaterThan(100);
  });

  test('a graph knows dtypes and dims before any data', () => {
    for (const [operator, inputs, attributes, expected] of [
      ['QuantizeLinear', [zeros('float32', 2, 3), f32(1, 2, 3), zeros('int8', 3)], {}, ['int8[2,3]']],
      ['QuantizeLinear', [zeros('float32', 4), f32(1)], { output_dtype: 21 }, ['uint4[4]']],
      ['DequantizeLinear', [zeros('int8', 2, 3), f32(1)], { output_dtype: 10 }, ['float16[2,3]']],
      ['DynamicQuantizeLinear', [zeros('float32', 5)], {}, ['uint8[5]', 'float32[]', 'uint8[]']],
      ['ConvInteger', [zeros('uint8', 1, 2, 5, 5), zeros('int8', 3, 2, 3, 3)], {}, ['int32[1,3,3,3]']],
      ['MatMulInteger', [zeros('uint8', 2, 3, 4), zeros('int8', 4, 5), u8(1), i8(1)], {}, ['int32[2,3,5]']],
    ] as const) {
      const all = inputs.map((_, i) => i);
      const values = inferOperator({ operator, inputs: computed(inputs, ...all), attributes });
      expect(values.map(({ dtype, dims }) => `${dtype}[${dims}]`)).toEqual(expected);
    }
  });
});

describe('scales and zero points that the network computes', () => {
  const cases: [ExactOperator, number[]][] = [
    ['QuantizeLinear', [0, 1, 2]],
    ['DequantizeLinear', [0, 1, 2]],
    ['ConvInteger', [0, 1, 2, 3]],
    ['MatMulInteger', [0, 1, 2, 3]],
    ['QLinearConv', [0, 2]],
    ['QLinearMatMul', [0, 2, 3, 5]],
    ['QLinearMul', [0, 3]],
  ];
  test.each(cases)('%s reads inputs %j from their buffers', async (operator, indices) => {
    let compared = 0;
    for (const { inputs, attributes } of smallCases(operator, 12)) {
      const plan = planOperator({ operator, inputs: computed(inputs, ...indices), attributes });
      const received = await execute(gpu.runtime, plan, inputs, operator);
      const expected = operatorReference(operator, inputs as TwinTensor[], attributes, 'ort-f32');
      for (const [i, tensor] of received.entries()) {
        compared += tensor.data.length;
        expect(countMismatches(tensor as never, expected[i])).toBe(0);
      }
    }
    expect(compared).toBeGreaterThan(100);
  });

  test('what the host prepares must be constant, and says so', () => {
    const conv = [
      zeros('uint8', 1, 1, 3, 3),
      f32(1),
      u8(1),
      zeros('int8', 1, 1, 3, 3),
      f32(1),
      i8(0),
      f32(1),
      u8(1),
    ];
    const bias: OnnxTensor = { dtype: 'int32', dims: [1], data: Int32Array.of(1) };
    const long = [
      zeros('uint8', 1, 40_000),
      f32(1),
      u8(1),
      zeros('int8', 40_000, 1),
      f32(1),
      i8(0),
      f32(1),
      u8(1),
    ];
    const refused: [OperatorName, OnnxTensor[], number[], RegExp][] = [
      ['QLinearConv', conv, [4], /QLinearConv: w_scale must be constant: the host makes/],
      ['QLinearConv', conv, [7], /QLinearConv: y_zero_point must be constant/],
      ['QLinearConv', [...conv, bias], [8], /QLinearConv: B must be constant: the sums could leave int32/],
      ['QLinearMatMul', long, [0, 3], /QLinearMatMul: \|accumulator\| .*of 40000 terms/],
      ['QLinearConcat', [f32(1), i8(0), i8(1, 2), f32(1), i8(0)], [3], /x0_scale must be constant/],
      ['QLinearSigmoid', [i8(1, 2), f32(1), i8(0), f32(1), i8(0)], [1], /X_scale must be constant/],
    ];
    for (const [operator, inputs, indices, message] of refused) {
      const attributes = operator === 'QLinearConcat' ? { axis: 0 } : {};
      expect(() => planOperator({ operator, inputs: computed(inputs, ...indices), attributes })).toThrow(
        message,
      );
      expect(() =>
        planOperator({
          operator,
          inputs: computed(inputs, operator === 'QLinearConcat' ? 2 : 0),
          attributes,
        }),
      ).not.toThrow();
    }
  });
});

describe('opsets', () => {
  test.each([
    ['QuantizeLinear', { axis: 0 }, 13],
    ['QuantizeLinear', { saturate: 1 }, 19],
    ['QuantizeLinear', { output_dtype: 3 }, 21],
    ['QuantizeLinear', { precision: 1 }, 23],
    ['DequantizeLinear', { axis: 0 }, 13],
    ['DequantizeLinear', { block_size: 0 }, 21],
    ['DequantizeLinear', { output_dtype: 1 }, 23],
  ] as const)('%s has %j from opset %i on', async (operator, attributes, since) => {
    const inputs = [operator === 'QuantizeLinear' ? f32(1, 2) : i8(1, 2), f32(1)];
    const run = (opset: number) => runOperator(gpu.runtime, operator, inputs, attributes, { opset });
    await expect(run(since - 1)).rejects.toThrow(`at opset ${since - 1}`);
    expect((await run(since))[0].dims).toEqual([2]);
  });

  test('each begins where ONNX begins it; scales an axis with opset 13', async () => {
    for (const [operator, { since, ...own }] of Object.entries(codeOperators)) {
      if ('domain' in own) continue;
      const refusal = runOperator(gpu.runtime, operator as OperatorName, [], {}, { opset: 9 });
      await expect(refusal).rejects.toThrow(`${operator} is there from opset ${since}`);
    }
    const inputs = [reshape(f32(1, 2), 1, 2), f32(1, 2)];
    const run = (opset: number) => runOperator(gpu.runtime, 'QuantizeLinear', inputs, {}, { opset });
    await expect(run(12)).rejects.toThrow(/y_scale must be a scalar before opset 13/);
    expect([...(await run(13))[0].data]).toEqual([1, 1]);
  });
});

describe('against ONNX Runtime', () => {
  test('tensors without elements', async () => {
    const bytes = (...dims: number[]) => zeros('uint8', ...dims);
    const conv = (x: OnnxTensor, w: OnnxTensor) => [x, f32(0.5), u8(3), w, f32(0.25), i8(0), f32(2), u8(7)];
    const product = conv;
    const bias: OnnxTensor = { dtype: 'int32', dims: [1], data: Int32Array.of(160) };
    const sum = [zeros('int8', 0, 3), f32(1), i8(0), i8(1, 2, 3), f32(1), i8(0), f32(1), i8(0)];
    const joined = [
      ...[f32(1), i8(0), zeros('int8', 0, 2), f32(1), i8(0)],
      ...[reshape(i8(5, 6), 1, 2), f32(1), i8(0)],
    ];
    const cases: PeerCase[] = [
      { operator: 'QuantizeLinear', inputs: [zeros('float32', 0), f32(1), u8(3)] },
      { operator: 'QuantizeLinear', inputs: [zeros('float32', 2, 0), f32(1), i8(3)] },
      { operator: 'QuantizeLinear', inputs: [zeros('float32', 0, 2), f32(1, 2), zeros('int8', 2)] },
      { operator: 'DequantizeLinear', inputs: [zeros('int8', 3, 0), f32(1), i8(3)] },
      { operator: 'ConvInteger', inputs: [bytes(0, 2, 5, 5), bytes(3, 2, 2, 2), u8(1)] },
      { operator: 'QLinearConv', inputs: conv(bytes(0, 2, 5, 5), zeros('int8', 3, 2, 2, 2)) },
      { operator: 'MatMulInteger', inputs: [bytes(0, 3), bytes(3, 4), u8(1)] },
      { operator: 'MatMulInteger', inputs: [bytes(2, 3), bytes(3, 0), u8(1)] },
      { operator: 'MatMulInteger', inputs: [bytes(0, 2, 3), bytes(3, 4), u8(1)] },
      { operator: 'QLinearMatMul', inputs: product(bytes(0, 3), zeros('int8', 3, 4)) },
      { operator: 'DynamicQuantizeLinear', inputs: [zeros('float32', 0, 3)] },
      { operator: 'QLinearAdd', inputs: sum, domain, initializers: [1, 2, 4, 5, 6, 7] },
      { operator: 'QLinearMul', inputs: sum, domain, initializers: [1, 2, 4, 5, 6, 7] },
      { operator: 'QLinearConcat', inputs: joined, domain, attributes: { axis: 0 } },
    ];
    await expectPeer(
      gpu.runtime,
      cases.map((made) => ({ ...made, options: { opset: 21 } })),
    );
    // A sum of nothing is 0, whose code is the zero point; ONNX Runtime leaves what was in memory, or 0.
    const run = async (operator: OperatorName, inputs: OnnxTensor[], attributes = {}) => [
      ...(await runOperator(gpu.runtime, operator, inputs, attributes))[0].data,
    ];
    expect(await run('MatMulInteger', [bytes(2, 0), zeros('int8', 0, 2)])).toEqual([0, 0, 0, 0]);
    expect(await run('QLinearMatMul', product(bytes(1, 0), zeros('int8', 0, 2)))).toEqual([7, 7]);
    expect(await run('DynamicQuantizeMatMul', [zeros('float32', 2, 0), zeros('int8', 0, 2), f32(1)])).toEqual(
      [0, 0, 0, 0],
    );
    // 160 of half by a quarter are 20, of an output of 2 10 above its zero point.
    const alone = [...conv(bytes(1, 0, 2), zeros('int8', 1, 0, 2)), bias];
    expect(await run('QLinearConv', alone, { pads: [1, 1] })).toEqual([17, 17, 17]);
  });

  test('QGemm, to codes and to floats', async () => {
    const random = seeded(92);
    const cases: PeerCase[] = [];
    const positive = (...dims: number[]): OnnxTensor => ({
      dtype: 'float32',
      dims,
      data: Float32Array.from({ length: sizes({ dims }) }, () => 0.01 + random.next() * 0.05),
    });
    for (const transB of [0, 1]) {
      for (const per of [[], [7]]) {
        for (const toCodes of [false, true]) {
          for (const bias of [null, randomTensor(random, 'int32', [7])]) {
            cases.push({
              operator: 'QGemm',
              inputs: [
                ...[randomTensor(random, 'int8', [4, 33]), positive(), scalar8(random.integer(-128, 127))],
                ...[randomTensor(random, 'int8', transB ? [7, 33] : [33, 7]), positive(...per)],
                ...[
                  { dtype: 'int8', dims: per, data: new Int8Array(sizes({ dims: per })) } as OnnxTensor,
                  bias,
                ],
                ...(toCodes ? [positive(), scalar8(random.integer(-128, 127))] : []),
              ],
              attributes: { transB },
              domain,
            });
          }
        }
      }
    }
    await expectPeer(
      gpu.runtime,
      cases.map((made) => ({ ...made, options: { opset: 21 } })),
      1e-5,
    );
  });

  test('MatMulIntegerToFloat and DynamicQuantizeMatMul', async () => {
    const random = seeded(91);
    const cases: PeerCase[] = [];
    // ONNX Runtime saturates pairs of uint8 x int8 products where a machine lacks VNNI: 7 bits on the right.
    const narrow = (tensor: OnnxTensor) =>
      ({ ...tensor, data: (tensor.data as Int8Array).map((code) => code >> 1) }) as OnnxTensor;
    const floats = (...dims: number[]): OnnxTensor => ({
      dtype: 'float32',
      dims,
      data: Float32Array.from({ length: sizes({ dims }) }, () => 0.01 + random.next() * 0.05),
    });
    for (const [a, b] of [
      [
        [4, 33],
        [33, 7],
      ],
      [
        [2, 3, 5],
        [5, 6],
      ],
      [
        [3, 2, 4],
        [3, 4, 5],
      ],
    ]) {
      const N = b[b.length - 1];
      for (const dtype of ['int8', 'uint8'] as const) {
        const right = narrow(randomTensor(random, dtype, b));
        for (const per of [[], b.length > 2 ? [...b.slice(0, -2), 1, N] : [N]]) {
          const zeroB = narrow(randomTensor(random, dtype, per));
          for (const bias of [null, floats(N)]) {
            cases.push({
              operator: 'DynamicQuantizeMatMul',
              inputs: [randomTensor(random, 'float32', a), right, floats(...per), zeroB, bias],
              domain,
            });
            cases.push({
              operator: 'MatMulIntegerToFloat',
              inputs: [
                ...[randomTensor(random, 'uint8', a), right, floats(), floats(...per)],
                ...[u8(random.integer(0, 255)), zeroB, bias],
              ],
              domain,
            });
          }
        }
      }
    }
    await expectPeer(
      gpu.runtime,
      cases.map((made) => ({ ...made, options: { opset: 21 } })),
      1e-5,
    );
  });
});
