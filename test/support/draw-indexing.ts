import type { Attributes } from '../../src/graph/ops/tensors.ts';
import { sizeOf } from '../../src/reference/interpreter/value.ts';
import { type Drawing, type Drawn, type Template } from './drawing.ts';
import { int64 } from './planned.ts';

const full = (dims: readonly number[]) => !dims.includes(0);

function axisOf(d: Drawing, { exact: { dims } }: Drawn): { axis: number; named: number } {
  const axis = d.random.integer(0, dims.length - 1);
  return { axis, named: d.chance(0.3) ? axis - dims.length : axis };
}

/** Indices below `limit`, constant or computed from a value of the graph. */
function indices(d: Drawing, dims: readonly number[], limit: number): string | null {
  const constant = () => {
    const data = BigInt64Array.from({ length: sizeOf(dims) }, () =>
      BigInt(d.random.integer(-limit, limit - 1)),
    );
    return d.constant({ dtype: 'int64', dims, data });
  };
  const whole = d.pick(({ exact }) => exact.dtype === 'int64' && `${exact.dims}` === `${dims}`);
  if (!whole || d.chance(0.5)) return constant();
  const positive = d.add('Abs', [whole.name]);
  const bound = d.constant(int64(limit));
  return (positive && d.add('Mod', [positive.name, bound])?.name) ?? constant();
}

const gatherElements: Template = (d) => {
  const x = d.opset >= 11 && d.float(1, 4, full);
  if (!x) return null;
  const { axis, named } = axisOf(d, x);
  const dims = x.exact.dims.map((size, i) =>
    i === axis ? d.random.integer(1, 4) : d.random.integer(1, size),
  );
  const where = indices(d, dims, x.exact.dims[axis]);
  return where && d.add('GatherElements', [x.name, where], { axis: named });
};

const gatherND: Template = (d) => {
  const x = d.opset >= 11 && d.float(1, 4, full);
  if (!x) return null;
  const depth = d.random.integer(1, x.exact.dims.length);
  const outer = d.random.pick([[], [2], [3, 1]]);
  const named = x.exact.dims.slice(0, depth);
  const data = BigInt64Array.from({ length: sizeOf(outer) * depth }, (_, i) =>
    BigInt(d.random.integer(-named[i % depth], named[i % depth] - 1)),
  );
  return d.add('GatherND', [x.name, d.constant({ dtype: 'int64', dims: [...outer, depth], data })]);
};

const scatter: Template = (d) => {
  const x = d.opset >= 11 && d.float(1, 4, full);
  if (!x) return null;
  const reduction: Attributes =
    d.opset >= 16 && d.chance(0.5)
      ? { reduction: d.random.pick(d.opset >= 18 ? ['add', 'mul', 'max', 'min'] : ['add', 'mul']) }
      : {};
  if (d.chance(0.5)) {
    const { axis, named } = axisOf(d, x);
    const dims = x.exact.dims.map((size, i) =>
      i === axis ? d.random.integer(1, 3) : d.random.integer(1, size),
    );
    const where = indices(d, dims, x.exact.dims[axis]);
    return where && d.add('ScatterElements', [x.name, where, d.floats(dims)], { ...reduction, axis: named });
  }
  const depth = d.random.integer(1, x.exact.dims.length);
  const rows = d.random.integer(1, 3);
  const data = BigInt64Array.from({ length: rows * depth }, (_, i) =>
    BigInt(d.random.integer(0, x.exact.dims[i % depth] - 1)),
  );
  const updates = d.floats([rows, ...x.exact.dims.slice(depth)]);
  return d.add(
    'ScatterND',
    [x.name, d.constant({ dtype: 'int64', dims: [rows, depth], data }), updates],
    reduction,
  );
};

const topK: Template = (d) => {
  const x = d.opset >= 11 && d.float(1, 5, full);
  if (!x) return null;
  const { axis, named } = axisOf(d, x);
  const k = d.integers(d.random.integer(1, x.exact.dims[axis]));
  return d.several('TopK', [x.name, k], { axis: named, largest: d.random.integer(0, 1) }, 2);
};

const cumSum: Template = (d) => {
  const x = d.opset >= 11 && d.float(1, 5, full);
  if (!x) return null;
  const attributes = { exclusive: d.random.integer(0, 1), reverse: d.random.integer(0, 1) };
  return d.add('CumSum', [x.name, d.constant(int64(axisOf(d, x).named))], attributes);
};

const trilu: Template = (d) => {
  const x = d.opset >= 14 && d.float(2, 5);
  return (
    x &&
    d.add('Trilu', [x.name, d.constant(int64(d.random.integer(-2, 2)))], { upper: d.random.integer(0, 1) })
  );
};

const oneHot: Template = (d) => {
  const x = d.pick(({ exact }) => exact.dtype === 'int64' && exact.dims.length < 4 && full(exact.dims));
  return (
    x && d.add('OneHot', [x.name, d.constant(int64(d.random.integer(1, 4))), d.floats([2])], { axis: -1 })
  );
};

const einsum: Template = (d) => {
  const x = d.opset >= 12 && d.float(2, 3, full);
  if (!x) return null;
  const { dims } = x.exact;
  const equation = d.random.pick(
    dims.length === 2
      ? ['ij,jk->ik', 'ij,jk->ki', 'ij->ji']
      : ['bij,jk->bik', 'bij,jk->bki', '...j,jk->...k'],
  );
  const weights = equation.includes(',') ? [d.floats([dims.at(-1)!, d.random.integer(1, 4)])] : [];
  return d.add('Einsum', [x.name, ...weights], { equation });
};

const recurrent: Template = (d) => {
  const x = d.float(3, 3, full);
  if (!x) return null;
  const [op, gates] = d.random.pick([
    ['RNN', 1],
    ['GRU', 3],
    ['LSTM', 4],
  ] as const);
  const [times, batches, size] = x.exact.dims;
  const hidden = d.random.integer(1, 4);
  if (times > 8 || batches > 8) return null;
  const direction = d.random.pick(['forward', 'reverse', 'bidirectional']);
  const directions = direction === 'bidirectional' ? 2 : 1;
  const weights = [[size], [hidden]].map((own) => d.floats([directions, gates * hidden, ...own], 0.5));
  const bias = d.chance(0.6) ? [d.floats([directions, 2 * gates * hidden], 0.5)] : [];
  return d.several(
    op,
    [x.name, ...weights, ...bias],
    { hidden_size: hidden, direction },
    d.random.integer(1, 2),
  );
};

const rows: Template = (d) => {
  const x = d.float(2, 4, full);
  if (!x) return null;
  const op = d.random.pick(['LpNormalization', 'LRN', 'ReduceLogSumExp', 'MeanVarianceNormalization']);
  const { axis, named } = axisOf(d, x);
  if (op === 'LRN') return d.add(op, [x.name], { size: d.random.pick([1, 3, 5]), alpha: 0.5 });
  // The spread of two or three may be next to nothing, and what it divides is then anything.
  if (op === 'MeanVarianceNormalization')
    return x.exact.dims[axis] < 4 ? null : d.add(op, [x.name], { axes: [axis] });
  if (op === 'LpNormalization') return d.add(op, [x.name], { axis: named, p: d.random.integer(1, 2) });
  return d.opset < 18 ? d.add(op, [x.name], { axes: [named] }) : d.add(op, [x.name, d.integers(named)]);
};

/** Places that are given and computed, orders, running sums, cells over sequences. */
export const indexingTemplates: readonly Template[] = [
  ...[gatherElements, gatherND, scatter, topK, cumSum, trilu, oneHot, einsum, recurrent, rows],
];
