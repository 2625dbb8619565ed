import type { Runtime } from '../gpu/runtime.ts';
import type { Tensor } from '../gpu/tensor.ts';
import type { Attributes, Inputs } from '../graph/ops/tensors.ts';
import type { RequantizeRule } from '../quantize/requantize.ts';
import { runConvInteger, runQLinearConv } from './conv.ts';
import { runQLinearAdd, runQLinearConcat } from './element-wise.ts';
import { runMatMulInteger, runQLinearMatMul } from './matmul.ts';
import { runDequantizeLinear, runDynamicQuantizeLinear, runQuantizeLinear } from './quantize.ts';

type Run = (
  runtime: Runtime,
  inputs: Inputs,
  attributes: Attributes,
  options: { requantize: RequantizeRule; wrap: boolean },
) => Promise<Tensor[]>;

/** Operators on packed codes, by kernels of their own. */
export const quantizedOperators = {
  QuantizeLinear: (runtime, inputs, attributes, { wrap }) =>
    runQuantizeLinear(runtime, inputs, attributes, wrap),
  DequantizeLinear: runDequantizeLinear,
  DynamicQuantizeLinear: runDynamicQuantizeLinear,
  ConvInteger: runConvInteger,
  MatMulInteger: runMatMulInteger,
  QLinearConv: (runtime, inputs, attributes, { requantize }) =>
    runQLinearConv(runtime, inputs, attributes, requantize),
  QLinearMatMul: (runtime, inputs, attributes, { requantize }) =>
    runQLinearMatMul(runtime, inputs, attributes, requantize),
  QLinearAdd: (runtime, inputs, attributes, { requantize }) =>
    runQLinearAdd(runtime, inputs, attributes, requantize),
  QLinearConcat: (runtime, inputs, attributes, { requantize }) =>
    runQLinearConcat(runtime, inputs, attributes, requantize),
} satisfies Record<string, Run>;

export type QuantizedOperator = keyof typeof quantizedOperators;
