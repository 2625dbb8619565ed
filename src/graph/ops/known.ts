import { check } from '../../gpu/errors.ts';
import { type NodeSpec, openNode, tensorAttribute } from './node.ts';
import type { Operator } from './operator.ts';
import type { Plan } from './plan.ts';
import { type AttributeValue, type OnnxTensor, sizeOf } from './tensors.ts';
import { ANY, checkTensor, DTYPE_NUMBERS, fromWords, int64Of, numbersOf, type OnnxDType } from './value.ts';

/** Elements that the host makes: half a gigabyte of words. */
const MOST_KNOWN = 2 ** 27;

/** An output that the host knows before anything runs. */
const known = (tensor: OnnxTensor): Plan => ({ outputs: [tensor], steps: [] });
const listOf = (dtype: OnnxDType, values: readonly number[], scalar = false): Plan =>
  known(fromWords(dtype, scalar ? [] : [values.length], values));

function shape(spec: NodeSpec): Plan {
  const node = openNode(spec, ['data'], spec.opset >= 15 ? ['start', 'end'] : []);
  const { dims } = node.required('data', ANY);
  const clamped = (value: number) =>
    Math.min(dims.length, Math.max(0, value < 0 ? value + dims.length : value));
  const [start, end] = [node.integer('start', 0), node.integer('end', dims.length)].map(clamped);
  return listOf('int64', dims.slice(start, Math.max(start, end)));
}

function size(spec: NodeSpec): Plan {
  const { dims } = openNode(spec, ['data']).required('data', ANY);
  return listOf('int64', [sizeOf(dims)], true);
}

/** The tensor that a Constant's one attribute holds; null where it holds neither a tensor nor numbers. */
export function constantTensor(name: string, value: AttributeValue | undefined): OnnxTensor | null {
  if (typeof value === 'object' && 'dtype' in value) return name === 'value' ? (value as OnnxTensor) : null;
  const list = Array.isArray(value) || ArrayBuffer.isView(value) ? Array.from(value as number[]) : null;
  const numbers = list ?? [value as number];
  const dims = list ? [list.length] : [];
  if (name !== `value_${list ? 'floats' : 'float'}` && name !== `value_${list ? 'ints' : 'int'}`) return null;
  if (name.startsWith('value_float')) {
    const isNumbers = numbers.every((each) => typeof each === 'number');
    return isNumbers ? { dtype: 'float32', dims, data: Float32Array.from(numbers) } : null;
  }
  const isIntegers = numbers.every((each) => typeof each === 'bigint' || Number.isInteger(each));
  return isIntegers ? { dtype: 'int64', dims, data: BigInt64Array.from(numbers, int64Of) } : null;
}

function constant(spec: NodeSpec): Plan {
  const numbers = ['value_float', 'value_floats', 'value_int', 'value_ints'];
  const names = ['value', ...(spec.opset >= 12 ? numbers : [])];
  const node = openNode(spec, [], names);
  const given = names.filter((name) => node.attribute(name) !== undefined);
  node.ensure(given.length === 1, `exactly one of ${names.join(', ')} must be given`, given);
  const [name] = given;
  const tensor = constantTensor(name, node.attribute(name));
  check(
    tensor,
    `${spec.operator}: ${name} must be a tensor or numbers as its name says`,
    node.attribute(name),
  );
  checkTensor(`${spec.operator}: ${name}`, tensor);
  return known(tensor);
}

function constantOfShape(spec: NodeSpec): Plan {
  const node = openNode(spec, ['input'], ['value']);
  const dims = node.integers('input');
  node.ensure(
    dims?.every((size) => size >= 0),
    'input must be a list of sizes',
    dims ?? 'none',
  );
  node.bounded(dims!, MOST_KNOWN);
  const value = tensorAttribute(node, 'value');
  if (value) checkTensor(`${spec.operator}: value`, value);
  node.ensure(!value || value.data.length === 1, 'value must be a tensor of one element', value?.dims);
  const { dtype, number } = value
    ? { dtype: value.dtype, number: numbersOf(value)[0] }
    : { dtype: 'float32' as const, number: 0 };
  return known(fromWords(dtype, dims!, new Float64Array(sizeOf(dims!)).fill(number)));
}

/** Ones on a diagonal; the dtype is that of the input unless one is named. */
function eyeLike(spec: NodeSpec): Plan {
  const node = openNode(spec, ['input'], ['dtype', 'k']);
  const { dtype, dims } = node.required('input', ANY);
  node.ensure(dims.length === 2, 'input must be a matrix', dims);
  const number = node.attribute('dtype') === undefined ? null : node.integer('dtype', 0);
  const to = number === null ? dtype : DTYPE_NUMBERS[number];
  node.ensure(to, `dtype must be one of ${Object.keys(DTYPE_NUMBERS).join(', ')}`, number);
  node.bounded(dims, MOST_KNOWN);
  const k = node.integer('k', 0);
  const [rows, columns] = dims;
  const data = new Float64Array(rows * columns);
  for (let row = Math.max(0, -k); row < rows && row + k < columns; row++) data[row * columns + row + k] = 1;
  return known(fromWords(to, dims, data));
}

function range(spec: NodeSpec): Plan {
  // What float16 is added in: there is no range of it here.
  const node = openNode(spec, ['start', 'limit', 'delta'], spec.opset >= 27 ? ['stash_type'] : []);
  node.integer('stash_type', 1);
  const { dtype } = node.required('start', ['float32', 'int16', 'int32', 'int64']);
  const [start, limit, delta] = ['start', 'limit', 'delta'].map((name) => {
    const value = node.required(name, [dtype]);
    node.ensure(sizeOf(value.dims) === 1, `${name} must be a scalar`, value.dims);
    return node.numbers(name, [dtype])![0];
  });
  node.ensure(delta !== 0 && Number.isFinite(delta), 'delta must be a number other than 0', delta);
  const count = Math.max(0, Math.ceil((limit - start) / delta));
  node.ensure(Number.isSafeInteger(count), 'start, limit and delta must be finite', [start, limit]);
  node.bounded([count], MOST_KNOWN);
  return listOf(
    dtype,
    Array.from({ length: count }, (_, i) => start + i * delta),
  );
}

/** Operators whose output follows from dims, attributes and constants alone. */
export const knownOperators = {
  Shape: { since: 1, plan: shape },
  Size: { since: 1, plan: size },
  Constant: { since: 1, plan: constant },
  ConstantOfShape: { since: 9, plan: constantOfShape },
  EyeLike: { since: 9, plan: eyeLike },
  Range: { since: 11, plan: range },
} satisfies Readonly<Record<string, Operator>>;
