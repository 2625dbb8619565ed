import { check } from '../gpu/errors.ts';
import type { Dim, ShapeOptions, ValueInfo } from '../graph/graph.ts';
import { MOST_ELEMENTS } from '../graph/ops/node.ts';
import { type OnnxTensor, sizeOf } from '../graph/ops/tensors.ts';
import { checkTensor, DTYPE_NUMBERS, fromWords, isFloat, numbersOf } from '../graph/ops/value.ts';
import type { GraphProto, ValueInfoProto } from './proto/messages.ts';
import { dtypeName, MOST_DIMS } from './read-tensor.ts';
import { DAMAGED } from './refusals.ts';

/**
 * An input as a graph has it.
 *
 * @throws LloydError for what is no tensor of a known dtype and rank, and for `shapes` that contradict it
 */
export function inputOf({ name, type, shape }: ValueInfoProto, shapes: ShapeOptions): ValueInfo {
  check(name !== '', 'an input must have a name', name, DAMAGED);
  check(type >= 0, `${name} must be a tensor`, 'a sequence, map or optional', 'cut the network behind it');
  const dtype = DTYPE_NUMBERS[type];
  check(
    dtype,
    `${name} must have one of the dtypes ${Object.values(DTYPE_NUMBERS).join(', ')}`,
    dtypeName(type),
    'convert the model to float32 or float16',
  );
  const given =
    Object.hasOwn(shapes, name) && Array.isArray(shapes[name]) ? (shapes[name] as number[]) : null;
  check(shape || given, `${name} has no shape in the file`, 'none', `pass shapes: { '${name}': [sizes] }`);
  const rank = shape?.length ?? given!.length;
  check(rank <= MOST_DIMS, `${name} must have at most ${MOST_DIMS} dimensions`, rank, DAMAGED);
  check(!given || given.length === rank, `${name} has ${rank} dimensions`, given, 'give each of them a size');
  return {
    name,
    dtype,
    shape: Array.from({ length: rank }, (_, axis) => {
      const dim = dimOf(name, axis, shape?.[axis] ?? null);
      const size = given
        ? given[axis]
        : typeof dim === 'string' && Object.hasOwn(shapes, dim)
          ? shapes[dim]
          : dim;
      if (size === dim) return dim;
      check(
        Number.isInteger(size) && (size as number) >= 0 && (size as number) <= MOST_ELEMENTS,
        `${name}: a size must be an integer of 0 or more`,
        size,
        'pass shapes: { symbol: size } or { input: [sizes] }',
      );
      check(
        typeof dim === 'string',
        `${name}: dimension ${axis} is ${dim}`,
        size,
        'give sizes only for its symbols',
      );
      return size as number;
    }),
  };
}

/** A size, or its symbol; exporters write unknown ones as nothing, '', -1 and the like. */
function dimOf(name: string, axis: number, dim: bigint | string | null): Dim {
  if (typeof dim === 'string' && dim !== '') return dim;
  if (typeof dim !== 'bigint' || dim < 0n) return `${name}:${axis}`;
  check(
    dim <= BigInt(MOST_ELEMENTS),
    `${name}: dimension ${axis} must be at most ${MOST_ELEMENTS}`,
    dim,
    'no buffer of a GPU holds more',
  );
  return Number(dim);
}

/** Refuses names that no input and no symbol has. */
export function checkShapeNames(name: string, { inputs }: GraphProto, shapes: ShapeOptions): void {
  const keys = Object.keys(shapes);
  if (keys.length === 0) return;
  const known = new Set(
    inputs.flatMap((input) => [
      input.name,
      ...(input.shape ?? []).slice(0, MOST_DIMS).map((dim, axis) => String(dimOf(input.name, axis, dim))),
    ]),
  );
  for (const key of keys) {
    check(
      known.has(key),
      `${name}: shapes may name inputs and their symbols`,
      key,
      `they are ${[...known].join(', ')}`,
    );
  }
}

export const inputNames = ({ inputs }: GraphProto) => `they are ${inputs.map(({ name }) => name).join(', ')}`;

/**
 * What an input is in every run.
 *
 * @param given a number for each of its elements, or a tensor of its dtype and shape
 */
export function constantInput({ name, dtype, shape }: ValueInfo, given: number | OnnxTensor): OnnxTensor {
  if (typeof given === 'number') {
    check(
      shape.every((dim) => typeof dim === 'number'),
      `${name} must have sizes for a number to be each of its elements`,
      shape,
      'pass a tensor, or its sizes as shapes',
    );
    check(isFloat(dtype) || Number.isInteger(given), `${name} must be ${dtype}`, given);
    const dims = shape as number[];
    const tensor = fromWords(dtype, dims, Array<number>(sizeOf(dims)).fill(given));
    const held = numbersOf(tensor)[0] ?? given;
    check(isFloat(dtype) || held === given, `${name} must be ${dtype}`, given);
    return tensor;
  }
  checkTensor(name, given);
  const fits = shape.every((dim, axis) => typeof dim === 'string' || dim === given.dims[axis]);
  check(
    given.dtype === dtype && given.dims.length === shape.length && fits,
    `${name} must be ${dtype} [${shape.join(', ')}]`,
    `${given.dtype} [${given.dims.join(', ')}]`,
  );
  return given;
}
