import type { BindingDeclaration, Kernel, Specialization } from '../../gpu/kernel.ts';
import type { Value, Words } from './value.ts';

/** Where a step finds a buffer: an input or output of the operator, words made by the host, or room between steps. */
export type Operand =
  | { input: number }
  | { output: number }
  | { constant: Words }
  | { scratch: string; count: number };

/** One dispatch: a kernel, what it binds, its params. Every element is a word: f32, i32 or u32. */
export interface Step {
  // biome-ignore lint/suspicious/noExplicitAny: bindings and params of every kernel differ
  kernel: Kernel<any, any>;
  specialization: Specialization;
  buffers: Record<string, Operand>;
  params: Record<string, number>;
}

/** An output: computed by the steps, known to the host already (`data`), or an input with other dims (`from`). */
export interface PlannedOutput extends Value {
  from?: number;
}

/** All there is to know about an operator on inputs of these dtypes and dims: what it gives, and how. */
export interface Plan {
  outputs: readonly PlannedOutput[];
  steps: readonly Step[];
}

type Bindings = Record<string, BindingDeclaration>;
type ParamTypes = Record<string, 'u32' | 'i32' | 'f32'>;

/** A step, its buffers and params named as its kernel declares them. */
export function step<B extends Bindings, P extends ParamTypes>(
  kernel: Kernel<B, P>,
  specialization: Specialization,
  buffers: { [K in keyof B]: Operand },
  params: { [K in keyof P]: number },
): Step {
  return { kernel, specialization, buffers, params };
}
