import { check } from '../gpu/errors.ts';
import { givenSizes } from '../graph/concrete-inputs.ts';
import type { Dim, ShapeOptions, ValueInfo } from '../graph/graph.ts';
import { MOST_ELEMENTS } from '../graph/ops/node.ts';
import { type OnnxTensor, sizeOf } from '../graph/ops/tensors.ts';
import { checkTensor, fromWords, isFloat, numbersOf } from '../graph/ops/value.ts';
import type { GraphProto, ValueInfoProto } from './proto/messages.ts';
import { checkRank, dtypeOf, MOST_DIMS } from './read-tensor.ts';
import { DAMAGED } from './refusals.ts';

/**
 * An input as a graph has it.
 *
 * @throws LloydError for what is no tensor of a known dtype and rank, and for `shapes` that contradict it
 */
export function inputOf({ name, type, shape }: ValueInfoProto, shapes: ShapeOptions): ValueInfo {
  check(name !== '', 'an input must have a name', name, DAMAGED);
  check(type >= 0, `${name} must be a tensor`, 'a sequence, map or optional', 'cut the network behind it');
  const dtype = dtypeOf(name, type);
  const given = Object.hasOwn(shapes, name) ? shapes[name] : undefined;
  const dims = shape ?? (Array.isArray(given) ? given.map(() => null) : null);
  check(dims, `${name} has no shape in the file`, 'none', `pass shapes: { '${name}': [sizes] }`);
  checkRank(name, dims.length);
  const info = { name, dtype, shape: dims.map((dim, axis) => dimOf(name, axis, dim)) };
  return { ...info, shape: givenSizes(info, shapes) };
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

/**
 * Refuses names that no input has, nor any symbol of one.
 *
 * @param given `shapes` and `constants`
 */
export function checkGivenNames(
  name: string,
  { inputs }: GraphProto,
  given: Readonly<Record<'shapes' | 'constants', object>>,
): void {
  const checkKnown = (rule: string, own: object, known: () => string[]) => {
    for (const key of Object.keys(own)) {
      const names = [...new Set(known())];
      check(names.includes(key), `${name}: ${rule}`, key, `they are ${names.join(', ')}`);
    }
  };
  const dimsOf = ({ name: own, shape }: ValueInfoProto) =>
    (shape ?? []).slice(0, MOST_DIMS).map((dim, axis) => String(dimOf(own, axis, dim)));
  checkKnown('shapes may name inputs and their symbols', given.shapes, () =>
    inputs.flatMap((input) => [input.name, ...dimsOf(input)]),
  );
  checkKnown('constants may name inputs', given.constants, () => inputs.map((input) => input.name));
}

/**
 * What an input is in every run.
 *
 * @param given a number for each of its elements, of which a size that is open has one, or a tensor
 */
export function constantInput({ name, dtype, shape }: ValueInfo, given: number | OnnxTensor): OnnxTensor {
  const isNumber = typeof given === 'number';
  const dims = shape.map((dim, axis) => (typeof dim === 'number' ? dim : isNumber ? 1 : given.dims[axis]));
  const isHeld = !isNumber || isFloat(dtype) || Number.isInteger(given);
  const tensor =
    isNumber && isHeld
      ? fromWords(dtype, dims, Array<number>(sizeOf(dims)).fill(given))
      : (given as OnnxTensor);
  const fits = isHeld && tensor.dtype === dtype && `${tensor.dims}` === `${dims}`;
  check(
    fits && (!isNumber || isFloat(dtype) || numbersOf(tensor).every((value) => value === given)),
    `${name} must be ${dtype} [${shape.join(', ')}]`,
    isNumber ? given : `${given.dtype} [${given.dims}]`,
  );
  if (!isNumber) checkTensor(name, given);
  return tensor;
}
