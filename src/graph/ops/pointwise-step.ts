import { elementWise, FLOAT_OPERATIONS } from '../../kernels/element-wise.ts';
import { elementWiseInteger, INTEGER_OPERATIONS } from '../../kernels/element-wise-integer.ts';
import { scalarWord } from './copy-step.ts';
import { broadcastStrides, mergeAxes } from './layout.ts';
import { type Operand, type Step, step } from './plan.ts';
import { sizeOf } from './tensors.ts';
import { bitsOf, isSigned, type OnnxDType, wordTypeOf } from './value.ts';

export type FloatOperation = keyof typeof FLOAT_OPERATIONS;
export type IntegerOperation = keyof typeof INTEGER_OPERATIONS;
export type Operation = FloatOperation | IntegerOperation;

/** An operand of an element-wise step with its dims. */
export interface Operated {
  at: Operand;
  dims: readonly number[];
}

/** A number that every element meets. */
export const constant = (value: number, dtype: OnnxDType): Operated => ({
  at: scalarWord(value, dtype),
  dims: [],
});

/**
 * One element-wise dispatch, in the arithmetic of `dtype`.
 *
 * @param dtype of the operands; integers narrower than a word wrap at their own width.
 * @param dims of the output, which every operand broadcasts to.
 */
export function pointwise(
  operation: Operation,
  dtype: OnnxDType,
  operands: readonly Operated[],
  dims: readonly number[],
  output: Operand,
  { p = 0, q = 0, narrowTo = dtype }: { p?: number; q?: number; narrowTo?: OnnxDType } = {},
): Step {
  const [a, b = a, c = a] = operands;
  const strides = [a, b, c].map((operand, i) =>
    i < operands.length ? broadcastStrides(operand.dims, dims) : dims.map(() => 0),
  );
  const axes = mergeAxes(dims, strides);
  const layout = new Uint32Array(Math.max(4, axes.sizes.length * 4));
  for (const [d, size] of axes.sizes.entries())
    layout.set([size, ...axes.strides.map((own) => own[d])], d * 4);
  const buffers = { a: a.at, b: b.at, c: c.at, axes: { constant: layout }, output };
  const common = { count: sizeOf(dims), rank: axes.sizes.length };
  if (wordTypeOf(dtype) === 'f32' && operation in FLOAT_OPERATIONS) {
    const OP = FLOAT_OPERATIONS[operation as FloatOperation];
    return step(elementWise, { OP }, buffers, { ...common, p, q });
  }
  const OP = INTEGER_OPERATIONS[operation as IntegerOperation];
  const Integer = wordTypeOf(dtype) === 'u32' ? 'u32' : 'i32';
  return step(elementWiseInteger, { OP, Integer }, buffers, {
    ...common,
    bits: bitsOf(narrowTo),
    isSigned: Number(isSigned(narrowTo)),
  });
}
