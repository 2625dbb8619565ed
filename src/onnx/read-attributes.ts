import { check } from '../gpu/errors.ts';
import type { Attributes, AttributeValue } from '../graph/ops/tensors.ts';
import { ATTRIBUTE, type AttributeProto, type NodeProto } from './proto/messages.ts';
import type { Packed } from './proto/wire.ts';
import { type ExternalFiles, readTensor } from './read-tensor.ts';
import { DAMAGED } from './refusals.ts';

/** Attributes of kinds that no operator here takes: kept as they came, so that they are named, and written again. */
const KEPT: Readonly<Record<number, string>> = {
  ...{ [ATTRIBUTE.GRAPH]: 'a subgraph', [ATTRIBUTE.GRAPHS]: 'subgraphs', 9: 'tensors' },
  ...{ 11: 'a sparse tensor', 12: 'sparse tensors', 13: 'a type', 14: 'types' },
};

/**
 * A node's attributes: lists of floats as Float32Array, integers as numbers, lists of them as BigInt64Array where
 * numbers don't hold them.
 *
 * @throws LloydError for a name twice, a kind that ONNX doesn't have, and a tensor that cannot be read
 */
export function readAttributes(label: string, node: NodeProto, files: ExternalFiles): Attributes {
  const made = new Map<string, AttributeValue>();
  for (const attribute of node.attributes) {
    const { name } = attribute;
    const own = `${label}: ${name}`;
    check(!made.has(name), `${label}: an attribute must be given once`, name, DAMAGED);
    check(attribute.refersTo === '', `${own} must have a value`, `${attribute.refersTo} of a function`);
    made.set(name, attributeValue(own, attribute, files));
  }
  // Not an object literal that is filled: a name may be __proto__.
  return Object.fromEntries(made);
}

function attributeValue(label: string, attribute: AttributeProto, files: ExternalFiles): AttributeValue {
  const { type, bytes } = attribute;
  if (type in KEPT) return { kept: KEPT[type], bytes };
  switch (type) {
    case ATTRIBUTE.FLOAT:
      return attribute.float;
    case ATTRIBUTE.INT:
      return Number(attribute.integer);
    case ATTRIBUTE.STRING:
      return text.decode(attribute.string);
    case ATTRIBUTE.TENSOR:
      check(attribute.tensor, `${label} must hold a tensor`, 'none', DAMAGED);
      return readTensor(label, attribute.tensor, files);
    case ATTRIBUTE.FLOATS:
      return floatsOf(label, attribute.floats);
    case ATTRIBUTE.INTS:
      return integersOf(attribute.integers);
    case ATTRIBUTE.STRINGS:
      return attribute.strings.map((bytes) => text.decode(bytes));
    default:
      check(false, `${label} must be of a kind that ONNX has`, type, DAMAGED);
  }
}

const text = new TextDecoder('utf-8', { ignoreBOM: true });

function floatsOf(label: string, { bytes }: Packed): Float32Array {
  check(bytes.length % 4 === 0, `${label} must hold whole floats`, `${bytes.length} bytes`, DAMAGED);
  return new Float32Array(new Uint8Array(bytes).buffer);
}

/** Numbers, or all 64 bits of each where numbers don't hold them: the end of a slice is often 2^63 - 1. */
function integersOf(packed: Packed): number[] | BigInt64Array {
  const values: number[] = [];
  packed.varints((low, high) => values.push(high * 2 ** 32 + (low >>> 0)));
  if (values.every(Number.isSafeInteger)) return values;
  const words = new Int32Array(2 * values.length);
  packed.varints((low, high, i) => words.set([low, high], 2 * i));
  return new BigInt64Array(words.buffer);
}
