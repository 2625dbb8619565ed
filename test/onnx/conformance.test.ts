import { describe, expect, test } from 'vitest';
import type { RequantizeRule } from '../../src/conv/requantize.ts';
import type { Tensor } from '../../src/gpu/tensor.ts';
import { countMismatches, runConformance } from '../../src/onnx/conformance.ts';
import {
  type ConformanceCase,
  caseCounts,
  conformanceCase,
  type ExactOperator,
} from '../../src/onnx/conformance-cases.ts';
import { runOperator } from '../../src/onnx/run-operator.ts';
import { operatorReference, type TwinTensor } from '../../src/reference/onnx-operators.ts';
import { roundHalfEven } from '../../src/reference/requantize.ts';
import { runOnnxRuntime } from '../support/onnx-runtime.ts';
import { sampled, THOROUGH, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();
const operators = Object.keys(caseCounts) as ExactOperator[];

const OUTPUTS: Partial<Record<ExactOperator, (inputs: (Tensor | null)[]) => Tensor['dtype'][]>> = {
  QuantizeLinear: (inputs) => [inputs[2]?.dtype ?? 'uint8'],
  DequantizeLinear: (inputs) => [inputs[1]!.dtype],
  DynamicQuantizeLinear: () => ['uint8', 'float32', 'uint8'],
  QLinearConv: (inputs) => [inputs[7]!.dtype],
  QLinearMatMul: (inputs) => [inputs[7]!.dtype],
  QLinearAdd: (inputs) => [inputs[0]!.dtype],
  QLinearConcat: (inputs) => [inputs[1]!.dtype],
  QLinearMul: (inputs) => [inputs[0]!.dtype],
  QLinearGlobalAveragePool: (inputs) => [inputs[0]!.dtype],
  QLinearSigmoid: (inputs) => [inputs[0]!.dtype],
  QLinearLeakyRelu: (inputs) => [inputs[0]!.dtype],
};
/** ONNX Runtime's own. */
const MICROSOFT: readonly string[] = [
  ...['QLinearAdd', 'QLinearConcat', 'QLinearMul', 'QLinearGlobalAveragePool', 'QLinearSigmoid'],
  'QLinearLeakyRelu',
];
const OPSETS: Partial<Record<ExactOperator, number>> = {
  QuantizeLinear: 21,
  DequantizeLinear: 21,
  DynamicQuantizeLinear: 11,
};

/** The case on ONNX Runtime's CPU provider. */
function peer({ operator, inputs, attributes }: ConformanceCase): Promise<Tensor[]> {
  const dtypes = inputs.map((tensor) => tensor?.dtype);
  return runOnnxRuntime({
    opType: operator,
    domain: MICROSOFT.includes(operator) ? 'com.microsoft' : '',
    opset: OPSETS[operator] ?? 10,
    inputs,
    outputs: OUTPUTS[operator]?.(inputs) ?? ['int32'],
    attributes,
    // onnxruntime-node has no 4-bit tensors to feed.
    initializers: dtypes.flatMap((dtype, i) => (dtype === 'int4' || dtype === 'uint4' ? [i] : [])),
  });
}

/** ONNX Runtime's u8 x s8 kernels add two products in int16 on x86 without VNNI: 2 * 255 * 127 saturates there. */
async function peerSaturates(): Promise<boolean> {
  const a: Tensor = { dtype: 'uint8', dims: [1, 64], data: new Uint8Array(64).fill(255) };
  const b: Tensor = { dtype: 'int8', dims: [64, 16], data: new Int8Array(1024).fill(127) };
  const [y] = await runOnnxRuntime({
    opType: 'MatMulInteger',
    opset: 10,
    inputs: [a, b],
    outputs: ['int32'],
    attributes: {},
  });
  return y.data.some((value) => value !== 64 * 255 * 127);
}

/** Weights of 7 bits, which no kernel of ONNX Runtime saturates on. */
function narrowed(made: ConformanceCase): ConformanceCase {
  const weight = { ConvInteger: 1, MatMulInteger: 1, QLinearConv: 3, QLinearMatMul: 3 }[
    made.operator as 'ConvInteger'
  ];
  const tensor = weight === undefined ? null : made.inputs[weight];
  if (!tensor) return made;
  const inputs = [...made.inputs];
  inputs[weight] = { ...tensor, data: tensor.data.map((code) => code >> 1) as Tensor['data'] };
  return { ...made, inputs };
}

describe('ONNX Runtime, CPU', () => {
  let total = 0;
  for (const operator of operators) {
    test(`${operator} has its outputs`, async () => {
      const saturates = await peerSaturates();
      if (saturates)
        console.log('ONNX Runtime saturates u8 x s8 pairs on this machine: compared with 7-bit weights');
      const all = Array.from({ length: caseCounts[operator] }, (_, i) => conformanceCase(operator, i)).filter(
        (c) => c.peer,
      );
      let outputs = 0;
      const wrong: string[] = [];
      for (const made of sampled(operator, all, 24)) {
        const checked = saturates ? narrowed(made) : made;
        const expected = await peer(checked);
        const { inputs, attributes } = checked;
        const received = (await runOperator(gpu.runtime, operator, inputs, attributes)) as Tensor[];
        for (const [k, tensor] of received.entries()) {
          outputs += tensor.data.length;
          const mismatches = countMismatches(tensor, expected[k]);
          if (mismatches) wrong.push(`${mismatches} of ${tensor.data.length} in ${made.name}`);
        }
      }
      total += outputs;
      console.log(`${operator}: ${outputs} outputs compared with ONNX Runtime (${total} so far)`);
      expect(wrong).toEqual([]);
    }, 600_000);
  }

  test('at least 2,000,000 outputs were compared', () => {
    if (THOROUGH) expect(total).toBeGreaterThanOrEqual(2_000_000);
  });

  const wrongRules: [string, RequantizeRule][] = [
    ['the zero point added before rounding', 'lab'],
    ['the zero point added before rounding, in float64', 'onnx-ref'],
    ['ties away from zero, twice', 'tflite-double'],
    ['ties up', 'tflite-single'],
  ];
  for (const [name, requantize] of wrongRules) {
    test(`the comparison catches ${name}`, async () => {
      let mismatches = 0;
      for (let i = 0; i < 16; i++) {
        const made = conformanceCase('QLinearConv', i * 3);
        if (!made.peer) continue;
        const received = await runOperator(gpu.runtime, 'QLinearConv', made.inputs, made.attributes, {
          requantize,
        });
        mismatches += countMismatches(received[0], (await peer(made))[0]);
      }
      expect(mismatches).toBeGreaterThan(0);
    });
  }

  const halfAway = (value: number) => Math.sign(value) * Math.floor(Math.abs(value) + 0.5);
  const wrongQuantizers: [string, (x: number, scale: number, zero: number) => number][] = [
    ['multiplying by the reciprocal', (x, s, z) => roundHalfEven(Math.fround(x * Math.fround(1 / s))) + z],
    ['the zero point added before rounding', (x, s, z) => roundHalfEven(Math.fround(x / s) + z)],
    ['ties away from zero', (x, s, z) => halfAway(Math.fround(x / s)) + z],
    ['dividing in float64', (x, s, z) => roundHalfEven(x / s) + z],
  ];
  for (const [name, formula] of wrongQuantizers) {
    test(`the comparison catches ${name}`, async () => {
      const random = Float32Array.from({ length: 4096 }, (_, i) => (i - 2048) * 0.05);
      const inputs: Tensor[] = [
        { dtype: 'float32', dims: [4096], data: random },
        { dtype: 'float32', dims: [], data: Float32Array.of(0.1) },
        { dtype: 'int16', dims: [], data: Int16Array.of(3) },
      ];
      const made: ConformanceCase = { operator: 'QuantizeLinear', name, inputs, attributes: {}, peer: true };
      const [expected] = await peer(made);
      const data = Int16Array.from(random, (x) => formula(x, Math.fround(0.1), 3));
      expect(countMismatches({ dtype: 'int16', dims: [4096], data }, expected)).toBeGreaterThan(0);
      const [received] = await runOperator(gpu.runtime, 'QuantizeLinear', inputs);
      expect(countMismatches(received, expected)).toBe(0);
    });
  }
});

describe('CPU twins', () => {
  test('every operator by every rule has the bits of its twin', async () => {
    const rows = await runConformance(gpu.runtime, { quick: !THOROUGH });
    for (const { operator, rule, outputs, mismatches, hash } of rows) {
      console.log(`${operator} ${rule}: ${outputs} outputs, ${mismatches} mismatches, ${hash}`);
    }
    expect(rows.filter((row) => row.mismatches > 0)).toEqual([]);
  }, 1_200_000);

  test('the comparison catches a twin of another rule', async () => {
    const { inputs, attributes } = conformanceCase('QLinearConv', 3);
    const [received] = await runOperator(gpu.runtime, 'QLinearConv', inputs, attributes);
    const [other] = operatorReference('QLinearConv', inputs as TwinTensor[], attributes, 'tflite-double');
    expect(countMismatches(received, other)).toBeGreaterThan(0);
  });
});
