import { castOperators } from './cast.ts';
import { copyBox } from './copy-step.ts';
import { executeTwin } from './execute-twin.ts';
import { stridesOf } from './layout.ts';
import { linearOperators } from './linear.ts';
import { moveOperators } from './move.ts';
import { type Node, type NodeSpec, openNode } from './node.ts';
import { normalizeOperators } from './normalize.ts';
import { OPSETS, type Operator } from './operator.ts';
import type { Operand, Plan, PlannedOutput, Step } from './plan.ts';
import { pointwiseOperators } from './pointwise.ts';
import { poolOperators } from './pool.ts';
import { productOperators } from './product.ts';
import { reduceOperators } from './reduce.ts';
import { type Attributes, sizeOf } from './tensors.ts';
import { DTYPE_NUMBERS, fromWords, numbersOf, type OnnxDType, toWords, type Value } from './value.ts';
import { viewOperators } from './view.ts';

/** Operators that others are made of, as the newest opset defines them. */
const parts = {
  ...linearOperators,
  ...pointwiseOperators,
  ...castOperators,
  ...moveOperators,
  ...reduceOperators,
  ...productOperators,
  ...poolOperators,
  ...normalizeOperators,
  ...viewOperators,
};

/** A value inside a composed operator, and where it lies. */
export interface Part extends Value {
  at: Operand;
}

/** Makes a plan of an operator out of those of others; a dispatch of theirs is one of its own. */
export class Composer {
  private readonly steps: Step[] = [];
  private serial = 0;
  private folds = false;

  constructor(private readonly inputs: NodeSpec['inputs']) {}

  has(place: number): boolean {
    return !!this.inputs[place];
  }

  /** An input that is there. */
  input(place: number): Part {
    const { dtype, dims, data } = this.inputs[place]!;
    return { dtype, dims, ...(data && { data }), at: { input: place } };
  }

  /** An input that is computed with: float16 lies on the GPU as float32, and is that until it leaves. */
  float(place: number): Part {
    return relabelled(this.input(place), 'float32');
  }

  /** Numbers that the host knows: a scalar, a list, or a tensor of `dims`. */
  constant(
    dtype: OnnxDType,
    values: number | readonly number[] | Float64Array,
    dims: readonly number[] = typeof values === 'number' ? [] : [values.length],
  ): Part {
    const tensor = fromWords(dtype, dims, typeof values === 'number' ? [values] : values);
    return { dtype, dims, data: tensor.data, at: { constant: toWords('a constant', tensor) } };
  }

  /** A list of integers, as shapes and axes are. */
  list(...values: number[]): Part {
    return this.constant('int64', values);
  }

  /** 0, 1, ... along one axis of a tensor of `rank`. */
  places(length: number, rank = 1, axis = rank - 1, dtype: OnnxDType = 'int64'): Part {
    const dims = Array.from({ length: rank }, (_, i) => (i === axis ? length : 1));
    return this.constant(
      dtype,
      Float64Array.from({ length }, (_, i) => i),
      dims,
    );
  }

  cast(x: Part, dtype: OnnxDType): Part {
    if (x.dtype === dtype) return x;
    return this.op('Cast', [x], {
      to: Number(Object.entries(DTYPE_NUMBERS).find(([, own]) => own === dtype)![0]),
    });
  }

  reshape(x: Part, dims: readonly number[]): Part {
    return { ...x, dims: [...dims] };
  }

  transpose(x: Part, perm: readonly number[]): Part {
    return perm.every((axis, i) => axis === i) ? x : this.op('Transpose', [x], { perm });
  }

  /** Elements `start` to `end` along an axis. */
  slice(x: Part, axis: number, start: number, end: number): Part {
    if (start === 0 && end === x.dims[axis]) return x;
    return this.op('Slice', [x, ...[start, end, axis].map((at) => this.list(at))]);
  }

  /** What `work` makes, on the host where it follows from what is known: of indices, not of what is computed with. */
  onHost(work: () => Part): Part {
    this.folds = true;
    const made = work();
    this.folds = false;
    return made;
  }

  /** An operator's first output. */
  op(operator: keyof typeof parts, inputs: readonly (Part | null)[], attributes: Attributes = {}): Part {
    return this.several(operator, inputs, attributes, 1)[0];
  }

  /** All outputs of an operator. */
  several(
    operator: keyof typeof parts,
    inputs: readonly (Part | null)[],
    attributes: Attributes,
    outputs: number,
  ): Part[] {
    return this.place(
      parts[operator].plan({ operator, opset: OPSETS.newest, inputs, attributes, outputs }),
      inputs,
    );
  }

  /** The outputs of a plan for these inputs. */
  place(plan: Plan, inputs: readonly (Part | null)[]): Part[] {
    if (this.folds && plan.steps.length > 0 && inputs.every((value) => !value || value.data)) {
      return executeTwin(plan, inputs).map(({ dtype, dims, data }) => this.constant(dtype, data, dims));
    }
    const prefix = `${this.serial++}`;
    const made = plan.outputs.map(({ dtype, dims, data, from }, i): Part => {
      if (from !== undefined) {
        const source = inputs[from]!;
        return { ...source, dtype, dims };
      }
      const known = data && wordsOf({ dtype, dims, data });
      return {
        ...{ dtype, dims, ...(data && { data }) },
        at: known ? { constant: known } : { scratch: `${prefix}:${i}`, count: sizeOf(dims) },
      };
    });
    const moved = (operand: Operand): Operand => {
      if ('input' in operand) return inputs[operand.input]!.at;
      if ('output' in operand) return made[operand.output].at;
      return 'scratch' in operand ? { ...operand, scratch: `${prefix} ${operand.scratch}` } : operand;
    };
    for (const step of plan.steps) {
      const buffers = Object.entries(step.buffers).map(([name, operand]) => [name, moved(operand)]);
      this.steps.push({ ...step, buffers: Object.fromEntries(buffers) });
    }
    return made;
  }

  /** The plan whose outputs these are. */
  plan(results: readonly Part[]): Plan {
    const places = new Map<string, Operand>();
    const outputs = results.map(({ dtype, dims, data, at }, i): PlannedOutput => {
      if (data) return { dtype, dims, data };
      if ('scratch' in at && !places.has(at.scratch)) places.set(at.scratch, { output: i });
      else if ('input' in at && this.inputs[at.input]!.dtype === dtype)
        return { dtype, dims, from: at.input };
      else {
        const box = { dims: [sizeOf(dims)], inputStrides: stridesOf([1]) };
        this.steps.push(copyBox(dtype, at, { output: i }, box));
      }
      return { dtype, dims };
    });
    const steps = this.steps.map((step) => {
      const buffers = Object.entries(step.buffers).map(([name, operand]) => [
        name,
        ('scratch' in operand && places.get(operand.scratch)) || operand,
      ]);
      return { ...step, buffers: Object.fromEntries(buffers) };
    });
    return { outputs, steps };
  }
}

/** Words as those of another dtype that they lie alike in. */
export function relabelled({ dtype, dims, data, at }: Part, to: OnnxDType): Part {
  if (!data || dtype === to) return { dtype: to, dims, ...(data && { data }), at };
  return { dtype: to, dims, data: fromWords(to, dims, numbersOf({ dtype, dims, data })).data, at };
}

const wordsOf = (value: Value) => toWords('a constant', value as Parameters<typeof toWords>[1]);

/** An operator made of others: `build` reads the node and gives the outputs. */
export const composed = (
  since: number,
  names: readonly string[],
  attributes: readonly string[],
  build: (c: Composer, node: Node, spec: NodeSpec) => Part[],
): Operator => ({
  since,
  plan(spec) {
    const node = openNode(spec, names, attributes);
    const c = new Composer(spec.inputs);
    return c.plan(build(c, node, spec));
  },
});
