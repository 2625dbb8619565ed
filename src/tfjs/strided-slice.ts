import { check } from '../gpu/errors.ts';
import { fromWords } from '../graph/ops/value.ts';
import { TO_THE_END, type Value } from './graph-builder.ts';
import type { Reading } from './graph-node.ts';

/** One entry of a strided slice, by the axis of the input that it is about: counted from the end behind an ellipsis. */
interface Entry {
  /** Its place in begin, end and strides. */
  at: number;
  axis: number;
  shrinks: boolean;
}

/** NumPy's basic slicing, as TensorFlow spells it: five masks of bits over the entries. */
export function stridedSlice(r: Reading): Value {
  const { b, name } = r;
  const strides = r.numbers(3, 'strides');
  const [begin, end] = [1, 2].map((index) => b.known(r.input(index)));
  const has = (mask: string, at: number) => ((r.attribute(mask, 0) >> at) & 1) === 1;
  const { entries, added } = entriesOf(strides.length, has);
  check(
    strides.every((step, at) => step !== 0 && (step === 1 || !has('shrinkAxisMask', at))),
    'its strides must not be 0, and 1 where an axis goes',
    strides,
  );
  const open = (mask: string, { at, shrinks }: Entry) => !shrinks && has(mask, at);
  const first = (at: number) => (strides[at] > 0 ? 0 : TO_THE_END);
  const last = (at: number) => (strides[at] > 0 ? TO_THE_END : -TO_THE_END);
  let x = r.input(0);
  const moving = entries.filter(
    (entry) =>
      strides[entry.at] !== 1 ||
      !open('endMask', entry) ||
      !(open('beginMask', entry) || (begin?.[entry.at] === 0 && !entry.shrinks)),
  );
  if (moving.length > 0 && begin && end) {
    const starts = moving.map((entry) => (open('beginMask', entry) ? first(entry.at) : begin[entry.at]));
    const ends = moving.map((entry) => {
      // One element: the last one ends where there is nothing more.
      if (entry.shrinks) return begin[entry.at] === -1 ? TO_THE_END : begin[entry.at] + 1;
      return open('endMask', entry) ? last(entry.at) : end[entry.at];
    });
    const axes = moving.map(({ axis }) => axis);
    const steps = moving.map(({ at }) => strides[at]);
    x = b.slice(`${name}/slice`, x, axes, starts, ends, steps);
  } else if (moving.length > 0) {
    x = computed(r, x, moving, { strides, first, last, open });
  }
  const gone = entries.filter(({ shrinks }) => shrinks).map(({ axis }) => axis);
  if (gone.length > 0) x = b.squeeze(`${name}/squeezed`, x, gone);
  return added.length > 0 ? b.unsqueeze(`${name}/unsqueezed`, x, added) : x;
}

/** Which axes entries are about, and where new ones come. */
function entriesOf(count: number, has: (mask: string, at: number) => boolean) {
  const places = Array.from({ length: count }, (_, at) => at);
  const ellipsis = places.find((at) => has('ellipsisMask', at)) ?? count;
  const isNew = (at: number) => has('newAxisMask', at);
  const shrinks = (at: number) => !isNew(at) && has('shrinkAxisMask', at);
  const before = places.filter((at) => at < ellipsis);
  const behind = places.filter((at) => at > ellipsis);
  const read = (own: number[]) => own.filter((at) => !isNew(at));
  const entries = [
    ...read(before).map((at, axis): Entry => ({ at, axis, shrinks: shrinks(at) })),
    ...read(behind).map((at, i, all): Entry => ({ at, axis: i - all.length, shrinks: shrinks(at) })),
  ];
  const kept = (own: number[]) => own.filter((at) => !shrinks(at));
  const added = [
    ...kept(before).flatMap((at, axis) => (isNew(at) ? [axis] : [])),
    ...kept(behind).flatMap((at, i, all) => (isNew(at) ? [i - all.length] : [])),
  ];
  return { entries, added };
}

/** A slice whose bounds the network computes. */
function computed(
  r: Reading,
  x: Value,
  entries: readonly Entry[],
  rule: {
    strides: readonly number[];
    first(at: number): number;
    last(at: number): number;
    open(mask: string, entry: Entry): boolean;
  },
): Value {
  const { b, name } = r;
  const picked = (index: number, key: string) => {
    const at = b.integers(
      `${name}/${key}/at`,
      entries.map((entry) => entry.at),
    );
    const list = b.cast(`${name}/${key}`, r.input(index), 'int64');
    return b.add('Gather', `${name}/${key}/picked`, [list, at], { axis: 0 });
  };
  const replaced = (key: string, value: Value, where: boolean[], by: number[]) => {
    if (!where.includes(true)) return value;
    const mask = b.constant(`${name}/${key}/mask`, fromWords('bool', [where.length], where.map(Number)));
    return b.add('Where', `${name}/${key}/set`, [mask, b.integers(`${name}/${key}/by`, by), value]);
  };
  const begin = picked(1, 'begin');
  const starts = replaced(
    'starts',
    begin,
    entries.map((entry) => rule.open('beginMask', entry)),
    entries.map(({ at }) => rule.first(at)),
  );
  const shrinking = entries.map(({ shrinks }) => shrinks);
  let ends = picked(2, 'end');
  if (shrinking.includes(true)) {
    const next = b.add('Add', `${name}/next`, [begin, b.integers(`${name}/one`, [1])]);
    const isLast = b.add('Equal', `${name}/is-last`, [begin, b.integers(`${name}/minus-one`, [-1])]);
    const all = b.integers(`${name}/all`, [TO_THE_END]);
    const one = b.add('Where', `${name}/one-end`, [isLast, all, next]);
    const mask = b.constant(`${name}/shrinks`, fromWords('bool', [shrinking.length], shrinking.map(Number)));
    ends = b.add('Where', `${name}/shrunk`, [mask, one, ends]);
  }
  ends = replaced(
    'ends',
    ends,
    entries.map((entry) => rule.open('endMask', entry)),
    entries.map(({ at }) => rule.last(at)),
  );
  const axes = b.integers(
    `${name}/axes`,
    entries.map(({ axis }) => axis),
  );
  const steps = b.integers(
    `${name}/steps`,
    entries.map(({ at }) => rule.strides[at]),
  );
  return b.add('Slice', `${name}/slice`, [x, starts, ends, axes, steps]);
}
