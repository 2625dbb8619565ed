import { checkRule, type RequantizeRule } from '../conv/requantize.ts';
import { check } from '../gpu/errors.ts';
import { guardOf } from '../gpu/guard.ts';
import { checkRuntime, type Runtime } from '../gpu/runtime.ts';
import type { Tensor } from '../gpu/tensor.ts';
import {
  type CodeOperator,
  type OperatorName,
  plannedOperators,
  planOperator,
} from '../graph/ops/operators.ts';
import type { Attributes, Inputs, OnnxTensor } from '../graph/ops/tensors.ts';
import { checkTensor, isDType } from '../graph/ops/value.ts';
import { execute } from './execute.ts';

/** Options of {@link runOperator}. */
export interface OperatorOptions {
  /** The rule by which int32 accumulators become output codes; `ort-f32` unless given. */
  requantize?: RequantizeRule;
  /** `wrap`, with `requantize: 'lab'`, lets QuantizeLinear wrap to int8 before the clamp, as the lab's code does. */
  overflow?: 'saturate' | 'wrap';
  /** The opset whose definition holds, 7 to 27; the newest unless given. */
  opset?: number;
  /** How many outputs the node has, where that's a choice: Split's parts, MaxPool's indices, Dropout's mask. */
  outputs?: number;
}

/**
 * Operators that {@link runOperator} knows.
 *
 * @example
 * operators.includes('QLinearConv'); // true
 */
export const operators = Object.keys(plannedOperators) as readonly OperatorName[];

/**
 * Runs one operator by ONNX's semantics: its inputs in ONNX's order, its attributes by ONNX's names.
 *
 * `QuantizeLinear` and `DequantizeLinear` (per tensor, per axis, blocked; opset 25's int2 to uint16, int32 to
 * dequantize; float32 and float16; int32 to quantize is rounded to float32 first), `DynamicQuantizeLinear`,
 * `ConvInteger`, `QLinearConv` (1 to 3 spatial dimensions, every attribute), `MatMulInteger`, `QLinearMatMul`
 * (numpy's batching and broadcasting; float16 scales are taken as the float32 they are), and ONNX Runtime's
 * `QLinearAdd`, `QLinearMul` (numpy's broadcasting), `QLinearConcat`, `QLinearGlobalAveragePool`, `QLinearSigmoid`,
 * `QLinearLeakyRelu`, `QLinearAveragePool`, `QLinearSoftmax`, `QLinearWhere`, `MatMulIntegerToFloat`,
 * `DynamicQuantizeMatMul` and `QGemm` (com.microsoft).
 *
 * All {@link operators} follow the definition of `opset`, 7 to 27. The others are element-wise functions, moves and
 * views, reductions, softmax, convolutions and their transposes, matrix products, pools, normalizations, resizing,
 * gathering and scattering, top-k, running sums, recurrent cells, attention, sampling by grids, and what is known from
 * shapes alone; and ONNX Runtime's fused ones, under their domain (`com.microsoft.Gelu`) where ONNX has the name. float16 is computed in float32 and rounded to nearest even at the end. int64 comes as
 * a BigInt64Array and is computed as int32: a value beyond that is refused by name, and what is computed wraps there;
 * shapes, axes and indices may be int32, too. Empty tensors give empty results, NaN goes through, also through extrema.
 *
 * The definitions are those of https://onnx.ai/onnx/operators/; where ONNX leaves a choice, ONNX Runtime's CPU
 * provider is followed: float16 input is divided in float32 unless `precision` says 10, a NaN becomes the
 * smallest code, the int32 sums of `ConvInteger` and `MatMulInteger` wrap. Where a sum is requantized, one that could
 * leave int32 is refused instead.
 *
 * @param inputs Tensors, with null (or nothing, at the end) for an optional input that is left out.
 * @param attributes Unknown ones are refused. `output_dtype`, `precision` and `to` are TensorProto.DataType numbers.
 * @returns The operator's outputs, in ONNX's order.
 * @throws LloydError before anything is dispatched for a missing input, a dtype, rank, shape, attribute or opset that
 *   the operator does not take, or a scale that is not positive and finite.
 * @example
 * const [y] = await runOperator(runtime, 'QuantizeLinear', [
 *   { dtype: 'float32', dims: [4], data: Float32Array.of(-1, 0, 0.05, 1) },
 *   { dtype: 'float32', dims: [], data: Float32Array.of(0.1) },
 *   { dtype: 'int8', dims: [], data: Int8Array.of(3) },
 * ]);
 * console.log(y.dtype, y.data); // int8 [-7, 3, 3, 13]
 * @example
 * const image = { dtype: 'float32', dims: [1, 3, 8, 8], data: new Float32Array(192).fill(1) };
 * const [pooled] = await runOperator(runtime, 'MaxPool', [image], { kernel_shape: [2, 2], strides: [2, 2] });
 * console.log(pooled.dims); // [1, 3, 4, 4]
 */
export function runOperator(
  runtime: Runtime,
  opType: CodeOperator,
  inputs: Inputs,
  attributes?: Attributes,
  options?: OperatorOptions,
): Promise<Tensor[]>;
export function runOperator(
  runtime: Runtime,
  opType: OperatorName,
  inputs: Inputs,
  attributes?: Attributes,
  options?: OperatorOptions,
): Promise<OnnxTensor[]>;
export async function runOperator(
  runtime: Runtime,
  opType: OperatorName,
  inputs: Inputs,
  attributes: Attributes = {},
  { requantize = 'ort-f32', overflow = 'saturate', opset, outputs }: OperatorOptions = {},
): Promise<OnnxTensor[]> {
  checkRuntime(runtime);
  check(
    typeof attributes === 'object' && attributes !== null && !Array.isArray(attributes),
    `${opType}: attributes must be an object`,
    attributes,
  );
  checkRule(requantize);
  check(['saturate', 'wrap'].includes(overflow), 'overflow must be saturate or wrap', overflow);
  check(
    overflow === 'saturate' || (requantize === 'lab' && opType === 'QuantizeLinear'),
    "overflow: 'wrap' is for QuantizeLinear with requantize: 'lab'",
    `${opType} with ${requantize}`,
  );
  check(operators.includes(opType), `the operator must be one of ${operators.join(', ')}`, opType);
  check(Array.isArray(inputs), `${opType}: inputs must be an array of tensors and nulls`, inputs);
  const checkInputs = (which: (tensor: OnnxTensor) => boolean) => {
    for (const [i, tensor] of inputs.entries())
      if (tensor && which(tensor)) checkTensor(`${opType}: input ${i}`, tensor);
  };
  // Of a dtype that is none the operator says what it takes; inputs that it doesn't look at are refused after it.
  checkInputs(({ dtype }) => isDType(dtype));
  const plan = planOperator({ operator: opType, opset, outputs, inputs, attributes, requantize, overflow });
  checkInputs(({ dtype }) => !isDType(dtype));
  return guardOf(runtime.device).operation(() => execute(runtime, plan, inputs, opType));
}
