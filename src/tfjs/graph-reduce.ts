import { check } from '../gpu/errors.ts';
import type { Value } from './graph-builder.ts';
import { float, ofOneType, type Reading, type Write } from './graph-node.ts';
import { stridedSlice } from './strided-slice.ts';

/** A reduction over axes that may be computed; none of an empty list. */
const reduction =
  (op: string, prepare: (r: Reading, value: Value) => Value = (_, value) => value): Write =>
  (r) => {
    const x = prepare(r, r.input(0));
    const known = r.b.known(r.input(1));
    if (known?.length === 0) return x;
    const axes = known ?? r.b.cast(`${r.name}/axes`, r.input(1), 'int64');
    return r.b.reduce(op, r.name, x, axes, r.attribute('keepDims', false));
  };

/** tfjs adds truth values up as integers. */
const counts = (r: Reading, value: Value) =>
  value.dtype === 'bool' ? r.b.cast(`${r.name}/count`, value, 'int32') : value;
const bool = (r: Reading, value: Value) => r.b.cast(`${r.name}/bool`, value, 'bool');

const arg =
  (op: 'ArgMax' | 'ArgMin'): Write =>
  (r) => {
    const axis = r.has(1) ? r.number(1, 'axis') : 0;
    return r.b.cast(r.name, r.b.add(op, r.name, [counts(r, r.input(0))], { axis, keepdims: 0 }), 'int32');
  };

/** A sum of products over the letters that the result has not: of one or two tensors, each letter once in each. */
const einsum: Write = (r) => {
  const { b, name } = r;
  const equation = r.attribute('equation', '').replaceAll(' ', '');
  const match = /^([a-z]+)(?:,([a-z]+))?->([a-z]*)$/i.exec(equation);
  check(match, 'its equation must name every letter of one or two tensors and of the result', equation);
  const [, left, right, result] = match;
  const once = [left, right ?? '', result].every((letters) => new Set(letters).size === letters.length);
  check(once, 'its equation must have every letter once a tensor', equation);
  const inOrder = (key: string, value: Value, from: string, to: string) =>
    from === to
      ? value
      : b.transpose(
          key,
          value,
          [...to].map((letter) => from.indexOf(letter)),
        );
  if (right === undefined) {
    const gone = [...left].flatMap((letter, axis) => (result.includes(letter) ? [] : [axis]));
    const kept = [...left].filter((letter) => result.includes(letter)).join('');
    const x = gone.length > 0 ? b.reduce('ReduceSum', `${name}/sum`, r.input(0), gone, false) : r.input(0);
    return inOrder(name, x, kept, result);
  }
  const [x, y] = ofOneType(r, r.inputs(0, 2));
  const letters = [...new Set(left + right)];
  check(
    letters.every((letter) => result.includes(letter) || (left.includes(letter) && right.includes(letter))),
    'a letter that one tensor alone has must be in the result',
    equation,
  );
  const where = (inLeft: boolean, inRight: boolean, inResult: boolean) =>
    letters.filter(
      (own) =>
        left.includes(own) === inLeft && right.includes(own) === inRight && result.includes(own) === inResult,
    );
  const [batch, summed] = [where(true, true, true), where(true, true, false)];
  const [rows, columns] = [where(true, false, true), where(false, true, true)];
  const size = (own: string) =>
    left.includes(own)
      ? b.size(`${name}/size/${own}`, x, left.indexOf(own))
      : b.size(`${name}/size/${own}`, y, right.indexOf(own));
  // Matrices whose rows, sums and columns may be of several letters each.
  const matrix = (key: string, value: Value, from: string, groups: string[][]): Value => {
    const ordered = inOrder(`${name}/${key}`, value, from, [...batch, ...groups.flat()].join(''));
    if (groups.every((group) => group.length === 1)) return ordered;
    const parts = groups.map((group, i) =>
      group.length === 1 ? size(group[0]) : product(r, `${name}/${key}/${i}`, group.map(size)),
    );
    return b.add('Reshape', `${name}/${key}/matrix`, [
      ordered,
      b.list(`${name}/${key}/shape`, [...batch.map(size), ...parts]),
    ]);
  };
  const made = b.add('MatMul', name, [
    matrix('a', x, left, [rows, summed]),
    matrix('b', y, right, [summed, columns]),
  ]);
  const all = [...batch, ...rows, ...columns];
  const whole =
    rows.length === 1 && columns.length === 1
      ? made
      : b.add('Reshape', `${name}/whole`, [made, b.list(`${name}/shape`, all.map(size))]);
  return inOrder(`${name}/ordered`, whole, all.join(''), result);
};

function product({ b }: Reading, name: string, sizes: readonly Value[]): Value {
  const one = b.integers(`${name}/one`, [1]);
  return sizes.reduce((all, size, i) => b.add('Mul', `${name}/${i}`, [all, size]), one);
}

/** What makes fewer elements of many. */
export const reduceNodes: Readonly<Record<string, Write>> = {
  ...{ Mean: reduction('ReduceMean', float), Sum: reduction('ReduceSum', counts) },
  ...{ Max: reduction('ReduceMax'), Min: reduction('ReduceMin'), Prod: reduction('ReduceProd', counts) },
  ...{ All: reduction('ReduceMin', bool), Any: reduction('ReduceMax', bool) },
  EuclideanNorm: reduction('ReduceL2', float),
  ...{ ArgMax: arg('ArgMax'), ArgMin: arg('ArgMin') },
  StridedSlice: stridedSlice,
  Einsum: einsum,
};
