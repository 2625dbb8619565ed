import type { RequantizeRule } from '../../conv/requantize.ts';
import { check } from '../../gpu/errors.ts';
import type { Attributes, AttributeValue, OnnxTensor } from './tensors.ts';
import { INDICES, numbersOf, type OnnxDType, type Value } from './value.ts';

/** An operator as a graph knows it before it runs: values, not buffers. */
export interface NodeSpec {
  operator: string;
  opset: number;
  inputs: readonly (Value | null | undefined)[];
  attributes: Attributes;
  /** How many outputs the node has, where that's a choice. */
  outputs?: number;
  /** The rule by which sums become codes, where they do. */
  requantize?: RequantizeRule;
  /** `wrap` is the lab's overflow of QuantizeLinear. */
  overflow?: 'saturate' | 'wrap';
}

/** Words of the largest buffers there are: 2 GiB. */
export const MOST_ELEMENTS = 2 ** 29;

export type Node = ReturnType<typeof openNode>;

/**
 * A node's inputs and attributes by name, each read with its check.
 *
 * @param names The inputs in ONNX's order; the last one repeats if it ends in `...`.
 * @param attributes Names that the operator has at this opset; others are refused.
 */
export function openNode(spec: NodeSpec, names: readonly string[], attributes: readonly string[] = []) {
  const { operator, opset, inputs } = spec;
  const ensure = (condition: unknown, rule: string, received?: unknown, cure?: string): void =>
    check(condition, `${operator}: ${rule}`, received, cure);
  const variadic = names.at(-1)?.endsWith('...');
  check(
    variadic || inputs.length <= names.length,
    `${operator} has at most ${names.length} inputs at opset ${opset} (${names.join(', ') || 'none'})`,
    inputs.length,
  );
  for (const [name, value] of Object.entries(spec.attributes)) {
    check(
      value === undefined || attributes.includes(name),
      `${operator} has the attributes ${attributes.join(', ') || '(none)'} at opset ${opset}`,
      name,
    );
  }
  const attribute = (name: string): AttributeValue | undefined => spec.attributes[name];

  const optional = (name: string, dtypes: readonly OnnxDType[]): Value | null => {
    const value = inputs[names.indexOf(name)];
    if (value === null || value === undefined) return null;
    ensure(dtypes.includes(value.dtype), `${name} must be ${dtypes.join(' or ')}`, value.dtype);
    return value;
  };
  const required = (name: string, dtypes: readonly OnnxDType[]): Value => {
    const value = optional(name, dtypes);
    check(value, `${operator} needs its input ${name} (number ${names.indexOf(name)})`, 'none');
    return value;
  };
  const integer = (name: string, fallback: number): number => {
    const value = attribute(name) ?? fallback;
    ensure(typeof value === 'number' && Number.isInteger(value), `${name} must be an integer`, value);
    return value as number;
  };
  const list = (name: string): number[] | null => {
    const value = attribute(name);
    if (value === undefined) return null;
    const numbers =
      Array.isArray(value) || ArrayBuffer.isView(value) ? Array.from(value as number[], Number) : null;
    check(numbers?.every(Number.isInteger), `${operator}: ${name} must be a list of integers`, value);
    return numbers!;
  };
  return {
    operator,
    opset,
    outputs: spec.outputs,
    ensure,
    required,
    optional,
    /** Whether an input is there. */
    has: (name: string) => !!inputs[names.indexOf(name)],
    index: (name: string) => names.indexOf(name),
    /** The inputs of a variadic operator, at least one, all of the first one's dtype. */
    variadic(dtypes: readonly OnnxDType[]): Value[] {
      check(inputs.length > 0, `${operator} needs at least one input`, 0);
      return inputs.map((value, i) => {
        check(value, `${operator} needs its input ${i}`, 'none');
        const allowed = i === 0 ? dtypes : [inputs[0]!.dtype];
        ensure(allowed.includes(value.dtype), `input ${i} must be ${allowed.join(' or ')}`, value.dtype);
        return value;
      });
    },
    attribute,
    integer,
    /** Dims whose elements are at most `most`: more fit no buffer, and tables of the host may be as long. */
    bounded<D extends readonly number[]>(dims: D, most = MOST_ELEMENTS): D {
      const rule = `the output must have at most ${most} elements`;
      ensure(dims.reduce((product, size) => product * size, 1) <= most, rule, dims);
      return dims;
    },
    /** An integer attribute that is 0 or 1. */
    flag(name: string, fallback: boolean): boolean {
      const value = integer(name, Number(fallback));
      ensure(value === 0 || value === 1, `${name} must be 0 or 1`, value);
      return value === 1;
    },
    float(name: string, fallback: number): number {
      const value = attribute(name) ?? fallback;
      ensure(typeof value === 'number', `${name} must be a number`, value);
      return Math.fround(value as number);
    },
    choice<T extends string>(name: string, options: readonly T[], fallback: T): T {
      const value = attribute(name) ?? fallback;
      ensure(options.includes(value as T), `${name} must be ${options.join(' or ')}`, value);
      return value as T;
    },
    list,
    /** A list attribute of `length` integers of at least `minimum`. */
    sized(name: string, length: number, minimum: number, fallback: readonly number[]): readonly number[] {
      const value = list(name);
      if (value === null) return fallback;
      ensure(
        value.length === length && value.every((v) => v >= minimum),
        `${name} must be ${length} integers of at least ${minimum}`,
        value,
      );
      return value;
    },
    /** A list that comes as an input from some opset on, and must be known when the shapes are. */
    integers(name: string, dtypes: readonly OnnxDType[] = INDICES): number[] | null {
      const value = optional(name, dtypes);
      if (!value) return null;
      ensure(value.dims.length <= 1, `${name} must be a list`, value.dims);
      return known(operator, name, value);
    },
    /** Numbers of an input that decides the output's shape or is folded into it. */
    numbers(name: string, dtypes: readonly OnnxDType[]): number[] | null {
      const value = optional(name, dtypes);
      return value && known(operator, name, value);
    },
    /** An axis from 0, from one counted from either end. */
    axis(value: number, rank: number, name = 'axis'): number {
      ensure(
        Number.isInteger(value) && value >= -rank && value < rank,
        `${name} must be from ${-rank} to ${rank - 1}`,
        value,
      );
      return value < 0 ? value + rank : value;
    },
    /** Axes from 0, each once. */
    axes(values: readonly number[], rank: number, name = 'axes'): number[] {
      const result = values.map((value) => this.axis(value, rank, name));
      ensure(new Set(result).size === result.length, `${name} must name every axis once`, values);
      return result;
    },
  };
}

function known(operator: string, name: string, value: Value): number[] {
  check(
    value.data,
    `${operator}: ${name} must be constant: the output's shape depends on it`,
    'a value computed by the network',
  );
  return numbersOf(value);
}

/** A tensor given as an attribute. */
export function tensorAttribute(node: Node, name: string): OnnxTensor | null {
  const value = node.attribute(name);
  if (value === undefined) return null;
  check(
    typeof value === 'object' && 'dtype' in value && 'data' in value,
    `${node.operator}: ${name} must be a tensor`,
    value,
  );
  return value as OnnxTensor;
}
