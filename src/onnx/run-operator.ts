import { check } from '../gpu/errors.ts';
import type { Runtime } from '../gpu/runtime.ts';
import type { Tensor } from '../gpu/tensor.ts';
import { checkRule, type RequantizeRule } from '../quantize/requantize.ts';
import { runConvInteger, runQLinearConv } from './conv.ts';
import { runQLinearAdd, runQLinearConcat } from './element-wise.ts';
import { runMatMulInteger, runQLinearMatMul } from './matmul.ts';
import { runDequantizeLinear, runDynamicQuantizeLinear, runQuantizeLinear } from './quantize.ts';
import type { Attributes, Inputs } from './tensors.ts';

/** Options of {@link runOperator}. */
export interface OperatorOptions {
  /** The rule by which int32 accumulators become output codes; `ort-f32` unless given. */
  requantize?: RequantizeRule;
  /** `wrap`, with `requantize: 'lab'`, lets QuantizeLinear wrap to int8 before the clamp, as the lab's code does. */
  overflow?: 'saturate' | 'wrap';
}

/** Operators that {@link runOperator} knows. */
export const operators = [
  'QuantizeLinear',
  'DequantizeLinear',
  'DynamicQuantizeLinear',
  'ConvInteger',
  'MatMulInteger',
  'QLinearConv',
  'QLinearMatMul',
  'QLinearAdd',
  'QLinearConcat',
] as const;

/** One of {@link operators}. */
export type OperatorName = (typeof operators)[number];

/**
 * Runs one operator by ONNX's semantics: its inputs in ONNX's order, its attributes by ONNX's names.
 *
 * `QuantizeLinear` and `DequantizeLinear` (opset 25: per tensor, per axis, blocked; int2 to uint16, int32 to
 * dequantize; float32 and float16; int32 to quantize is rounded to float32 first), `DynamicQuantizeLinear`,
 * `ConvInteger`, `QLinearConv` (1 to 3 spatial dimensions, every attribute), `MatMulInteger`, `QLinearMatMul`
 * (numpy's batching and broadcasting; float16 scales are taken as the float32 they are), and ONNX Runtime's
 * `QLinearAdd` (numpy's broadcasting) and `QLinearConcat` (com.microsoft).
 * The definitions are those of https://onnx.ai/onnx/operators/; where ONNX leaves a choice, ONNX Runtime's CPU
 * provider is followed: float16 input is divided in float32 unless `precision` says 10, a NaN becomes the
 * smallest code, the int32 sums of `ConvInteger` and `MatMulInteger` wrap. Where a sum is requantized, one that could
 * leave int32 is refused instead.
 *
 * @param inputs Tensors, with null (or nothing, at the end) for an optional input that is left out.
 * @param attributes Unknown ones are refused. `output_dtype` and `precision` are TensorProto.DataType numbers.
 * @returns The operator's outputs, in ONNX's order.
 * @throws LloydError before anything is dispatched for a missing input, a dtype, rank, shape or attribute that
 *   the operator does not take, a dimension of 0, or a scale that is not positive and finite.
 * @example
 * const [y] = await runOperator(runtime, 'QuantizeLinear', [
 *   { dtype: 'float32', dims: [4], data: Float32Array.of(-1, 0, 0.05, 1) },
 *   { dtype: 'float32', dims: [], data: Float32Array.of(0.1) },
 *   { dtype: 'int8', dims: [], data: Int8Array.of(3) },
 * ]);
 * console.log(y.dtype, y.data); // int8 [-7, 3, 3, 13]
 */
export async function runOperator(
  runtime: Runtime,
  opType: OperatorName,
  inputs: Inputs,
  attributes: Attributes = {},
  { requantize = 'ort-f32', overflow = 'saturate' }: OperatorOptions = {},
): Promise<Tensor[]> {
  check(
    typeof attributes === 'object' && attributes !== null && !Array.isArray(attributes),
    `${opType}: attributes must be an object`,
    attributes,
  );
  checkRule(requantize);
  check(['saturate', 'wrap'].includes(overflow), 'overflow must be saturate or wrap', overflow);
  const wrap = overflow === 'wrap';
  check(
    !wrap || (requantize === 'lab' && opType === 'QuantizeLinear'),
    "overflow: 'wrap' is for QuantizeLinear with requantize: 'lab'",
    `${opType} with ${requantize}`,
  );
  switch (opType) {
    case 'QuantizeLinear':
      return runQuantizeLinear(runtime, inputs, attributes, wrap);
    case 'DequantizeLinear':
      return runDequantizeLinear(runtime, inputs, attributes);
    case 'DynamicQuantizeLinear':
      return runDynamicQuantizeLinear(runtime, inputs, attributes);
    case 'ConvInteger':
      return runConvInteger(runtime, inputs, attributes);
    case 'MatMulInteger':
      return runMatMulInteger(runtime, inputs, attributes);
    case 'QLinearConv':
      return runQLinearConv(runtime, inputs, attributes, requantize);
    case 'QLinearMatMul':
      return runQLinearMatMul(runtime, inputs, attributes, requantize);
    case 'QLinearAdd':
      return runQLinearAdd(runtime, inputs, attributes, requantize);
    case 'QLinearConcat':
      return runQLinearConcat(runtime, inputs, attributes, requantize);
    default:
      check(false, `the operator must be one of ${operators.join(', ')}`, opType);
  }
}
