import type { ConcreteGraph } from '../graph/concrete.ts';
import type { Node } from '../graph/graph.ts';
import { isFloat, numbersOf, type Value } from '../graph/ops/value.ts';

const widened = new WeakMap<object, Float32Array>();

/** A constant's floats; null where it is none. */
export function floatData(
  { values }: Pick<ConcreteGraph, 'values'>,
  name: string | null,
): Float32Array | null {
  const value = name === null ? undefined : values.get(name);
  if (!value?.data || !isFloat(value.dtype)) return null;
  if (value.dtype === 'float32') return value.data as Float32Array;
  const known = widened.get(value.data) ?? Float32Array.from(numbersOf(value));
  widened.set(value.data, known);
  return known;
}

/** Factors and summands that a node of one varying value comes to, one a channel; null where it is no such node. */
export interface Affine {
  scale: Float64Array;
  shift: Float64Array;
}

/** The {@link Affine} of a sum, difference, product or quotient with a constant of one value a channel, or of one. */
export function affineOf(graph: ConcreteGraph, node: Node, axis: number): Affine | null {
  const { op, inputs, outputs } = node;
  if (!['Add', 'Sub', 'Mul', 'Div', 'Sum'].includes(op) || inputs.length !== 2) return null;
  const at = inputs.findIndex((name) => name !== null && graph.values.get(name)!.data);
  const constant = at < 0 ? null : graph.values.get(inputs[at]!)!;
  const { dims, dtype } = graph.values.get(outputs[0])!;
  if (!constant || !isFloat(dtype)) return null;
  const other = graph.values.get(inputs[1 - at]!)!;
  // A constant may also make the value larger.
  if (`${other.dims}` !== `${dims}`) return null;
  const values = perChannel(constant, dims, axis);
  if (!values || values.some((value) => !Number.isFinite(value))) return null;
  const [ones, zeros] = [values.map(() => 1), values.map(() => 0)];
  switch (op) {
    case 'Mul':
      return { scale: values, shift: zeros };
    case 'Div':
      if (at === 0 || values.includes(0)) return null;
      return { scale: values.map((x) => 1 / x), shift: zeros };
    case 'Sub':
      return at === 1
        ? { scale: ones, shift: values.map((x) => -x) }
        : { scale: ones.map((x) => -x), shift: values };
    default:
      return { scale: ones, shift: values };
  }
}

/** A constant that broadcasts to `dims` as one value a channel; null where it varies along anything else. */
export function perChannel(constant: Value, dims: readonly number[], axis: number): Float64Array | null {
  const missing = dims.length - constant.dims.length;
  if (missing < 0) return null;
  const data = numbersOf(constant);
  const along = axis - missing;
  const alike = constant.dims.every((size, i) => size === 1 || i === along);
  if (!alike) return null;
  return Float64Array.from({ length: dims[axis] }, (_, c) => data[data.length === 1 ? 0 : c]);
}

/** The bounds of a Relu or Clip whose bounds are constants; null of another. */
export function boundsOf(
  graph: ConcreteGraph,
  { op, inputs, attributes }: Node,
): { low: number; high: number } | null {
  if (op === 'Relu') return { low: 0, high: Infinity };
  if (op !== 'Clip') return null;
  // Up to opset 10 they are attributes.
  if (graph.opset < 11) {
    const { min: low = -Infinity, max: high = Infinity } = attributes as { min?: number; max?: number };
    return { low: Math.fround(low), high: Math.fround(high) };
  }
  const [low, high] = [inputs[1], inputs[2]].map((name) => (name ? floatData(graph, name)?.[0] : undefined));
  const unknown = [inputs[1], inputs[2]].some((name, i) => name && [low, high][i] === undefined);
  if (unknown || Number.isNaN(low) || Number.isNaN(high)) return null;
  return { low: low ?? -Infinity, high: high ?? Infinity };
}

/** A 2x2 max-pool of stride 2 that covers its input from the first pixel. */
export function isHalvingPool({ op, attributes, outputs }: Node): boolean {
  const list = (name: string) => Array.from((attributes[name] as number[] | undefined) ?? []);
  const [kernel, strides] = [list('kernel_shape'), list('strides')];
  return (
    op === 'MaxPool' &&
    outputs.length === 1 &&
    kernel.length === 2 &&
    [...kernel, ...strides].every((n) => n === 2) &&
    strides.length === 2 &&
    list('pads').every((pad) => pad === 0) &&
    list('dilations').every((n) => n === 1) &&
    !attributes.ceil_mode &&
    [undefined, 'NOTSET', 'VALID'].includes(attributes.auto_pad as string | undefined)
  );
}
