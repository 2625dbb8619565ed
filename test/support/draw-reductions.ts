import type { Attributes } from '../../src/graph/ops/tensors.ts';
import type { Drawing, Template } from './drawing.ts';

/** An operator whose axes are an attribute before opset `since`. */
export function withAxes(
  d: Drawing,
  op: string,
  x: string,
  axes: readonly number[],
  since: number,
  attributes: Attributes = {},
) {
  if (d.opset < since) return d.add(op, [x], { ...attributes, axes: [...axes] });
  return d.add(op, [x, d.integers(...axes)], attributes);
}

const reduce: Template = (d) => {
  const x = d.float(0, 5, (dims) => !dims.includes(0));
  if (!x) return null;
  const op = d.random.pick([
    'ReduceMean',
    'ReduceMean',
    'ReduceSum',
    'ReduceMax',
    'ReduceMin',
    'ReduceProd',
    'ReduceL1',
    'ReduceL2',
    'ReduceSumSquare',
    'ReduceLogSum',
  ]);
  const rank = x.exact.dims.length;
  const spatial = rank === 4 && d.chance(0.5) ? [2, 3] : rank === 4 && d.chance(0.5) ? [1, 2] : null;
  const axes = (spatial ?? Array.from({ length: rank }, (_, i) => i).filter(() => d.chance(0.4))).map(
    (axis) => (d.chance(0.3) ? axis - rank : axis),
  );
  const attributes: Attributes = d.chance(0.6) ? { keepdims: d.random.integer(0, 1) } : {};
  if (axes.length === 0) {
    const since = op === 'ReduceSum' ? 13 : 18;
    return d.add(op, [x.name], {
      ...attributes,
      ...(d.opset >= since && d.chance(0.3) && { noop_with_empty_axes: 1 }),
    });
  }
  return withAxes(d, op, x.name, axes, op === 'ReduceSum' ? 13 : 18, attributes);
};

const softmax: Template = (d) => {
  const x = d.float(1, 5);
  if (!x) return null;
  const attributes: Attributes =
    d.opset < 13 || d.chance(0.6)
      ? { axis: d.random.integer(d.opset < 11 ? 0 : -x.exact.dims.length, x.exact.dims.length - 1) }
      : {};
  return d.add(d.random.pick(['Softmax', 'Softmax', 'LogSoftmax']), [x.name], attributes);
};

const best: Template = (d) => {
  const x = d.float(1, 5, (dims) => !dims.includes(0));
  if (!x) return null;
  const rank = x.exact.dims.length;
  const axis = d.random.integer(d.opset < 11 ? 0 : -rank, rank - 1);
  return d.add(d.random.pick(['ArgMax', 'ArgMin']), [x.name], { axis, keepdims: d.random.integer(0, 1) });
};

/** What reduces axes. */
export const reductionTemplates: readonly Template[] = [reduce, reduce, softmax, best];
