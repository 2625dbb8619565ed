import { check } from '../gpu/errors.ts';
import type { Node } from '../graph/graph.ts';
import type { OnnxTensor } from '../graph/ops/tensors.ts';
import { DAMAGED } from './refusals.ts';
import { int64Of } from './write-attributes.ts';

/** The tensor of a Constant node; null for other nodes. */
export function constantOf(node: Node): OnnxTensor | null {
  const { op, domain = '', name, inputs, outputs, attributes } = node;
  if (op !== 'Constant' || domain !== '') return null;
  const entries = Object.entries(attributes);
  const label = `${name} (Constant)`;
  check(
    entries.length === 1 && inputs.length === 0 && outputs.length === 1 && outputs[0] !== '',
    `${label} must have one attribute, one output and no inputs`,
    entries.map(([key]) => key),
    DAMAGED,
  );
  const [[key, value]] = entries;
  if (key === 'value' && typeof value === 'object' && 'dtype' in value) return value;
  if (key === 'value_float' && typeof value === 'number') {
    return { dtype: 'float32', dims: [], data: Float32Array.of(value) };
  }
  if (key === 'value_floats' && value instanceof Float32Array) {
    return { dtype: 'float32', dims: [value.length], data: value };
  }
  if (key === 'value_int' && typeof value === 'number') {
    return { dtype: 'int64', dims: [], data: BigInt64Array.of(int64Of(value)) };
  }
  if (key === 'value_ints' && (Array.isArray(value) || value instanceof BigInt64Array)) {
    const data = value instanceof BigInt64Array ? value : BigInt64Array.from(value as number[], BigInt);
    return { dtype: 'int64', dims: [data.length], data };
  }
  const what = value && typeof value === 'object' && 'kept' in value ? value.kept : key;
  check(
    false,
    `${label} must hold a tensor or numbers`,
    what,
    'strings and sparse tensors have no operators here',
  );
}
