import { describe, expect, test } from 'vitest';
import type { Attributes, OnnxTensor } from '../../src/graph/ops/tensors.ts';
import { numbersOf, type OnnxDType } from '../../src/graph/ops/value.ts';
import type { OperatorName } from '../../src/onnx/index.ts';
import { runOperator } from '../../src/onnx/index.ts';
import { f32 } from '../support/onnx-tensors.ts';
import { expectPeer, type PeerCase, randomTensor } from '../support/planned.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

/** Zeros, ties, ends of the range and what isn't finite. */
const SPECIAL = [0, -0, 0.5, 1.5, 2.5, -0.5, 1e-8, -1e-8, 1e-30, 3e38, -3e38, 87, 89, -87, -103, -110];
const NOT_FINITE = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];

function grid(extra: readonly number[], scale = 3): OnnxTensor {
  const data = Float32Array.from([...extra, ...seeded(7).floats(300, scale), ...seeded(8).floats(100, 0.1)]);
  return { dtype: 'float32', dims: [data.length], data };
}

const UNARY: [OperatorName, Attributes?][] = [
  ...(['Relu', 'Sigmoid', 'HardSwish', 'Tanh', 'Erf', 'Softsign', 'Exp', 'Abs', 'Neg', 'Floor'] as const).map(
    (name): [OperatorName] => [name],
  ),
  ...(
    ['Ceil', 'Round', 'Sign', 'Reciprocal', 'Sqrt', 'Softplus', 'Mish', 'Gelu', 'Elu', 'Selu'] as const
  ).map((name): [OperatorName] => [name]),
  ['Celu'],
  ['Celu', { alpha: 0.4 }],
  ['HardSigmoid'],
  ['HardSigmoid', { alpha: 0.3, beta: 0.25 }],
  ['LeakyRelu'],
  ['LeakyRelu', { alpha: -0.7 }],
  ['Elu', { alpha: 2.5 }],
  ['Selu', { alpha: 1.5, gamma: 0.5 }],
  ['ThresholdedRelu', { alpha: 0.5 }],
  ['Gelu', { approximate: 'tanh' }],
  ['Atan'],
  ['Asinh'],
  ['Sinh'],
  ['Cosh'],
  ['Shrink', { lambd: 1, bias: 0.25 }],
];

describe('against ONNX Runtime', () => {
  test('functions of one float', async () => {
    await expectPeer(gpu.runtime, [
      ...UNARY.map(([operator, attributes]): PeerCase => ({ operator, attributes, inputs: [grid(SPECIAL)] })),
      ...UNARY.slice(0, 9).map(
        ([operator, attributes]): PeerCase => ({
          operator,
          attributes,
          inputs: [randomTensor(seeded(3), 'float16', [3, 5])],
        }),
      ),
      ...(['Sin', 'Cos'] as const).map(
        (operator): PeerCase => ({ operator, inputs: [grid([100, -300, 1000])] }),
      ),
      {
        operator: 'Swish',
        attributes: { alpha: 0.5 },
        inputs: [grid(SPECIAL)],
        options: { opset: 24 },
      },
      { operator: 'Log', inputs: [positive()] },
    ]);
  });

  const positive = (): OnnxTensor => {
    const data = (grid([1, 1e-30, 3e38, 1e-8, 0]).data as Float32Array).map(Math.abs);
    return { dtype: 'float32', dims: [data.length], data };
  };

  test('integers, where the operator takes them', async () => {
    const random = seeded(11);
    const cases: PeerCase[] = [];
    for (const dtype of ['int8', 'int32', 'int64'] as const) {
      for (const operator of ['Relu', 'Abs', 'Neg', 'Sign'] as const) {
        if (operator === 'Relu' && dtype === 'int64') continue; // ONNX Runtime has none
        cases.push({ operator, inputs: [randomTensor(random, dtype, [4, 7])] });
      }
    }
    for (const dtype of ['int32', 'int64'] as const) {
      for (const operator of ['Add', 'Sub', 'Mul', 'Div', 'Min', 'Max', 'Mod'] as const) {
        const b = randomTensor(random, dtype, [3, 1]);
        const divisor = {
          ...b,
          data: (b.data as Int32Array).map((v) => v || ((dtype === 'int64' ? 7n : 7) as number)),
        };
        cases.push({ operator, inputs: [randomTensor(random, dtype, [2, 3, 5]), divisor as OnnxTensor] });
      }
    }
    for (const dtype of ['uint8', 'int8'] as const) {
      cases.push({
        operator: 'Max',
        inputs: [randomTensor(random, dtype, [9]), randomTensor(random, dtype, [9])],
      });
      cases.push({
        operator: 'Clip',
        inputs: [randomTensor(random, dtype, [9]), null, { ...randomTensor(random, dtype, [1]), dims: [] }],
      });
    }
    cases.push({
      operator: 'Mod',
      attributes: { fmod: 1 },
      inputs: [grid([5, -5]), { ...f32(1.25), dims: [] }],
    });
    await expectPeer(gpu.runtime, cases);
  });

  test('two and more operands broadcast as numpy does', async () => {
    const random = seeded(5);
    const shapes: number[][][] = [
      [[], []],
      [[5], []],
      [[2, 3], [3]],
      [
        [2, 1, 4],
        [3, 1],
      ],
      [[1], [1, 1, 1]],
      [
        [2, 1, 3, 1, 2, 1, 2],
        [1, 2, 1, 3, 1, 2, 1],
      ],
      [
        [0, 3],
        [1, 3],
      ],
      [
        [4, 1],
        [1, 0],
      ],
      [
        [65, 33],
        [65, 1],
      ],
    ];
    const cases: PeerCase[] = [];
    const pair = (dtype: OnnxDType, [a, b]: number[][]) => [
      randomTensor(random, dtype, a),
      randomTensor(random, dtype, b),
    ];
    for (const shape of shapes) {
      for (const operator of [
        'Add',
        'Sub',
        'Mul',
        'Div',
        'Min',
        'Max',
        'Equal',
        'Less',
        'GreaterOrEqual',
      ] as const)
        cases.push({ operator, inputs: pair('float32', shape) });
      for (const operator of ['And', 'Or', 'Xor'] as const)
        cases.push({ operator, inputs: pair('bool', shape) });
      cases.push({
        operator: 'Where',
        inputs: [randomTensor(random, 'bool', shape[0]), ...pair('float32', [shape[1], shape[0]])],
      });
      cases.push({
        operator: 'Where',
        inputs: [randomTensor(random, 'bool', shape[1]), ...pair('int64', shape)],
      });
    }
    for (const operator of ['Min', 'Max', 'Sum', 'Mean'] as const) {
      cases.push({
        operator,
        inputs: [[2, 3], [3], [4, 1, 1], []].map((dims) => randomTensor(random, 'float32', dims)),
      });
      cases.push({ operator, inputs: [randomTensor(random, 'float32', [3])] });
      cases.push({
        operator,
        inputs: [[2], [2]].map((dims) => randomTensor(random, 'float32', dims)),
        options: { opset: 9 },
      });
    }
    cases.push({
      operator: 'PRelu',
      inputs: pair('float32', [
        [2, 3, 4],
        [3, 1],
      ]),
    });
    cases.push({ operator: 'PRelu', inputs: pair('float32', [[2, 3], [1]]), options: { opset: 9 } });
    await expectPeer(gpu.runtime, cases);
  });

  test('Pow over bases and exponents of every kind', async () => {
    const bases = [0, -0, 1, -1, 2, -2, 0.5, 10, -3.5, 1e-10, 3e38, ...NOT_FINITE];
    const exponents = [0, 1, 2, 3, -1, -2, 0.5, 17, -17, 1.75, 33, ...NOT_FINITE];
    const f = (values: number[], dims: number[]): OnnxTensor => ({
      dtype: 'float32',
      dims,
      data: Float32Array.from(values),
    });
    const whole = (dtype: 'int32' | 'int64', ...values: number[]): OnnxTensor =>
      dtype === 'int64'
        ? { dtype, dims: [values.length], data: BigInt64Array.from(values, BigInt) }
        : { dtype, dims: [values.length], data: Int32Array.from(values) };
    await expectPeer(
      gpu.runtime,
      [
        { operator: 'Pow', inputs: [f(bases, [bases.length, 1]), f(exponents, [exponents.length])] },
        { operator: 'Pow', inputs: [grid([]), f([2], [])] },
        { operator: 'Pow', inputs: [whole('int32', -3, 2, 7), whole('int32', 3, 5, 0)] },
        { operator: 'Pow', inputs: [whole('int64', -3, 2, 7), whole('int32', 3, 5, 0)] },
        { operator: 'Pow', inputs: [whole('int32', 3, 2, 9), f([2, 0.5, 1.5], [3])] },
        { operator: 'Pow', inputs: [f([3, 2, 9], [3]), whole('int64', 2, -1, 0)] },
      ],
      1e-5,
    );
  });

  test('Clip by attributes and by inputs', async () => {
    const x = grid(SPECIAL);
    await expectPeer(gpu.runtime, [
      { operator: 'Clip', inputs: [x], attributes: { min: -1, max: 0.5 }, options: { opset: 9 } },
      { operator: 'Clip', inputs: [x], attributes: { min: 0 }, options: { opset: 10 } },
      { operator: 'Clip', inputs: [x, f32(-0.5)], options: { opset: 11 } },
      { operator: 'Clip', inputs: [x, null, f32(0.25)] },
      { operator: 'Clip', inputs: [x] },
      { operator: 'Clip', inputs: [x, f32(1), f32(-1)] },
    ]);
  });

  test('Cast from and to every dtype', async () => {
    const numbers: Record<string, number> = {
      float32: 1,
      uint8: 2,
      int8: 3,
      int32: 6,
      int64: 7,
      bool: 9,
      float16: 10,
      uint32: 12,
    };
    const cases: PeerCase[] = [];
    for (const from of Object.keys(numbers) as OnnxDType[]) {
      for (const [to, number] of Object.entries(numbers)) {
        if (from === 'uint32' && to === 'int64') continue;
        let x = randomTensor(seeded(number), from, [3, 5], 40);
        // What a negative float becomes in an unsigned type C leaves open.
        if (to.startsWith('u') && from === 'float32')
          x = { ...x, data: (x.data as Float32Array).map(Math.abs) } as OnnxTensor;
        if (to.startsWith('u') && from === 'float16')
          x = { ...x, data: (x.data as Uint16Array).map((v) => v & 0x7fff) } as OnnxTensor;
        cases.push({ operator: 'Cast', inputs: [x], attributes: { to: number } });
      }
    }
    cases.push({
      operator: 'Cast',
      inputs: [randomTensor(seeded(2), 'float32', [0, 4])],
      attributes: { to: 7 },
      options: { opset: 9 },
    });
    await expectPeer(gpu.runtime, cases);
  });
});

describe('what is not finite', () => {
  test('NaN goes through every function, comparison and conversion', async () => {
    const x = { dtype: 'float32', dims: [1], data: Float32Array.of(Number.NaN) } as const;
    for (const [operator, attributes] of [...UNARY, ['Log'], ['Sin'], ['Cos']] as [
      OperatorName,
      Attributes?,
    ][]) {
      const [y] = await runOperator(gpu.runtime, operator, [x], attributes);
      expect([operator, ...y.data]).toEqual([operator, Number.NaN]);
    }
    for (const operator of ['Add', 'Sub', 'Mul', 'Div', 'Min', 'Max', 'Pow', 'PRelu'] as const) {
      const [y] = await runOperator(gpu.runtime, operator, [x, f32(2)]);
      expect([operator, ...y.data]).toEqual([operator, Number.NaN]);
    }
    const nan = { dtype: 'float32', dims: [2], data: Float32Array.of(2, -2) } as const;
    expect([...(await runOperator(gpu.runtime, 'PRelu', [nan, x]))[0].data]).toEqual([2, Number.NaN]);
    const results = await Promise.all(
      (['Equal', 'Less', 'LessOrEqual', 'Greater', 'GreaterOrEqual'] as const).map((operator) =>
        runOperator(gpu.runtime, operator, [x, x]),
      ),
    );
    expect(results.flatMap(([y]) => [...y.data])).toEqual([0, 0, 0, 0, 0]);
    expect([...(await runOperator(gpu.runtime, 'IsNaN', [x]))[0].data]).toEqual([1]);
  });

  test('infinities come out where they should', async () => {
    const run = async (operator: OperatorName, ...values: number[]) => {
      const x: OnnxTensor = { dtype: 'float32', dims: [values.length], data: Float32Array.from(values) };
      return numbersOf((await runOperator(gpu.runtime, operator, [x]))[0]);
    };
    const inf = Number.POSITIVE_INFINITY;
    expect(await run('Exp', 89, -110, inf, -inf)).toEqual([inf, 0, inf, 0]);
    expect(await run('Log', 0, -1, inf)).toEqual([-inf, Number.NaN, inf]);
    expect(await run('Reciprocal', 0, -0, inf)).toEqual([inf, -inf, 0]);
    expect(await run('Sigmoid', -inf, inf)).toEqual([0, 1]);
    expect(await run('Tanh', -inf, inf, -100)).toEqual([-1, 1, -1]);
    expect(await run('Erf', -inf, inf)).toEqual([-1, 1]);
    expect(await run('Sqrt', -1, inf, 4)).toEqual([Number.NaN, inf, 2]);
    expect(await run('Softplus', -inf, inf)).toEqual([0, inf]);
  });
});
