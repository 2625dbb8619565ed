import { check } from '../gpu/errors.ts';
import type { Node } from '../graph/graph.ts';
import { constantTensor } from '../graph/ops/known.ts';
import type { OnnxTensor } from '../graph/ops/tensors.ts';
import { DAMAGED } from './refusals.ts';

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
  const tensor = constantTensor(key, value);
  check(
    tensor,
    `${label} must hold a tensor or numbers`,
    key,
    'strings and sparse tensors have no operators here',
  );
  return tensor;
}
