import { check } from '../../gpu/errors.ts';
import { addInt8Twin } from '../../reference/add-int8.ts';
import { concatInt8Twin } from '../../reference/concat-int8.ts';
import { convolutionReference } from '../../reference/convolution.ts';
import { dequantizeLinearOnnxTwin } from '../../reference/dequantize-linear-onnx.ts';
import { dynamicQuantizeParamsTwin } from '../../reference/dynamic-quantize-params.ts';
import { elementWiseReference } from '../../reference/element-wise.ts';
import { elementWiseIntegerReference } from '../../reference/element-wise-integer.ts';
import { gridSampleReference } from '../../reference/grid-sample.ts';
import { matmulReference } from '../../reference/matmul.ts';
import { normalizeReference } from '../../reference/normalize.ts';
import { poolReference } from '../../reference/pool.ts';
import { quantizeLinearOnnxTwin } from '../../reference/quantize-linear-onnx.ts';
import { recurrentReference } from '../../reference/recurrent.ts';
import { reduceReference } from '../../reference/reduce.ts';
import { requantizeTwin } from '../../reference/requantize.ts';
import { resampleReference } from '../../reference/resample.ts';
import { scatterReference } from '../../reference/scatter.ts';
import { softmaxReference } from '../../reference/softmax.ts';
import { stridedCopyReference } from '../../reference/strided-copy.ts';
import { topKReference } from '../../reference/top-k.ts';
import type { Twin } from '../../reference/twin.ts';
import type { Operand, Plan, Step } from './plan.ts';
import { sizeOf } from './tensors.ts';
import { numbersOf, type OnnxDType, type Value } from './value.ts';

/** The CPU twins of the kernels that plans dispatch. */
export const twins: Readonly<Record<string, Twin>> = {
  'add-int8': addInt8Twin,
  'concat-int8': concatInt8Twin,
  'dequantize-linear-onnx': dequantizeLinearOnnxTwin,
  'dynamic-quantize-params': dynamicQuantizeParamsTwin,
  'quantize-linear-onnx': quantizeLinearOnnxTwin,
  requantize: requantizeTwin,
  'element-wise': elementWiseReference,
  'element-wise-integer': elementWiseIntegerReference,
  convolution: convolutionReference,
  'grid-sample': gridSampleReference,
  matmul: matmulReference,
  normalize: normalizeReference,
  pool: poolReference,
  recurrent: recurrentReference,
  reduce: reduceReference,
  resample: resampleReference,
  scatter: scatterReference,
  softmax: softmaxReference,
  'strided-copy': stridedCopyReference,
  'top-k': topKReference,
};

/** A step on its twin: `bufferOf` gives what an operand holds, an element a number. */
export function runTwin(step: Step, bufferOf: (operand: Operand) => Float64Array): void {
  const { name } = step.kernel.declaration;
  const buffers = Object.entries(step.buffers).map(([key, operand]) => [key, bufferOf(operand)]);
  check(name in twins, 'a step on the host needs the twin of its kernel', name);
  twins[name](Object.fromEntries(buffers), step.params, step.specialization);
}

/** An output in float64, not rounded to its dtype. */
export interface TwinOutput {
  dtype: OnnxDType;
  dims: readonly number[];
  data: Float64Array;
}

/** Elements as doubles: 64-bit ones beyond 2^53 are rounded, float16 is decoded. */
const doublesOf = (value: Value) =>
  value.dtype === 'float16' || value.dtype === 'int64'
    ? new Float64Array(numbersOf(value))
    : new Float64Array(value.data as Float32Array);

/** A plan on the host: every step by its twin, in float64, nothing rounded between the steps. */
export function executeTwin(plan: Plan, inputs: readonly (Value | null | undefined)[]): TwinOutput[] {
  const buffers = new Map<string, Float64Array>();
  const once = (key: string, make: () => Float64Array) => {
    const made = buffers.get(key) ?? make();
    buffers.set(key, made);
    return made;
  };
  const bufferOf = (operand: Operand): Float64Array => {
    if ('input' in operand) {
      return once(`input ${operand.input}`, () => doublesOf(inputs[operand.input]!));
    }
    if ('output' in operand) {
      const { dims } = plan.outputs[operand.output];
      return once(`output ${operand.output}`, () => new Float64Array(sizeOf(dims)));
    }
    if ('constant' in operand) return new Float64Array(operand.constant);
    return once(`scratch ${operand.scratch}`, () => new Float64Array(operand.count));
  };
  for (const step of plan.steps) runTwin(step, bufferOf);
  return plan.outputs.map((output, i) => {
    const { dtype, dims, data, from } = output;
    const known = from !== undefined ? inputs[from]! : data ? output : null;
    return { dtype, dims, data: known ? doublesOf(known) : bufferOf({ output: i }) };
  });
}
