import type { Attributes } from '../../src/graph/ops/tensors.ts';
import { fromWords } from '../../src/graph/ops/value.ts';
import { sizeOf } from '../../src/reference/interpreter/value.ts';
import { float32s } from './cases-of.ts';
import { withAxes } from './draw-reductions.ts';
import { type Drawing, floatTensor, type Template } from './drawing.ts';

const any = (d: Drawing, least = 0) =>
  d.pick(({ exact }) => exact.dims.length >= least && exact.dtype !== 'bool');

const PERMS: Record<number, number[][]> = {
  3: [[0, 2, 1]],
  4: [
    [0, 2, 3, 1],
    [0, 3, 1, 2],
    [0, 2, 3, 1],
    [0, 3, 1, 2],
    [0, 1, 3, 2],
  ],
};

const transpose: Template = (d) => {
  const x = d.chance(0.6) ? d.float(3, 4) : any(d, 1);
  if (!x) return null;
  const rank = x.exact.dims.length;
  const left = Array.from({ length: rank }, (_, i) => i);
  const free = x.exact.dims.map(() => left.splice(d.random.integer(0, left.length - 1), 1)[0]);
  const perm = PERMS[rank] && d.chance(0.7) ? d.random.pick(PERMS[rank]) : free;
  return d.add('Transpose', [x.name], d.chance(0.1) ? {} : { perm });
};

const reshape: Template = (d) => {
  const x = any(d);
  if (!x) return null;
  const size = sizeOf(x.exact.dims);
  if (size === 0) return null;
  const target: number[] = [];
  let left = size;
  while (left > 1 && target.length < 4) {
    const divisors = Array.from({ length: left }, (_, i) => i + 1).filter((n) => left % n === 0);
    const next = target.length === 3 ? left : d.random.pick(divisors);
    target.push(next);
    left /= next;
  }
  if (left > 1) target.push(left);
  if (d.chance(0.3)) target.splice(d.random.integer(0, target.length), 0, 1);
  if (target.length > 5) return null;
  if (target.length > 0 && d.chance(0.4)) target[d.random.integer(0, target.length - 1)] = -1;
  return d.add('Reshape', [x.name, d.integers(...target)]);
};

const flatten: Template = (d) => {
  const x = any(d, 1);
  return (
    x &&
    d.add(
      'Flatten',
      [x.name],
      d.chance(0.6) ? { axis: 1 } : { axis: d.random.integer(0, x.exact.dims.length) },
    )
  );
};

const squeeze: Template = (d) => {
  const x = d.pick(({ exact: { dims } }) => dims.includes(1));
  if (!x) return null;
  const rank = x.exact.dims.length;
  const ones = x.exact.dims.flatMap((size, i) =>
    size === 1 && d.chance(0.6) ? [d.chance(0.3) ? i - rank : i] : [],
  );
  return ones.length > 0 ? withAxes(d, 'Squeeze', x.name, ones, 13) : d.add('Squeeze', [x.name]);
};

const unsqueeze: Template = (d) => {
  const x = d.pick(({ exact: { dims } }) => dims.length < 4);
  return (
    x &&
    withAxes(d, 'Unsqueeze', x.name, [d.random.integer(-x.exact.dims.length - 1, x.exact.dims.length)], 13)
  );
};

const slice: Template = (d) => {
  const x = any(d, 1);
  if (!x) return null;
  const rank = x.exact.dims.length;
  const axes = Array.from({ length: rank }, (_, i) => i).filter(() => d.chance(0.5));
  if (axes.length === 0) axes.push(d.random.integer(0, rank - 1));
  const starts = axes.map((axis) => d.random.integer(0, Math.max(0, x.exact.dims[axis] - 1)));
  const ends = axes.map((axis, i) =>
    d.chance(0.1)
      ? starts[i]
      : d.chance(0.5)
        ? 1000
        : d.random.integer(starts[i] + 1, x.exact.dims[axis] + 1),
  );
  const named = axes.map((axis) => (d.chance(0.3) ? axis - rank : axis));
  const whole = axes.every((axis, i) => axis === i) && d.chance(0.5);
  if (d.opset < 10) return d.add('Slice', [x.name], { starts, ends, ...(!whole && { axes: named }) });
  const lists = [starts, ends, ...(whole ? [] : [named])].map((list) => d.integers(...list));
  const back = d.chance(0.2);
  const steps = axes.map(() => (back ? -1 : d.random.pick([1, 1, 2])));
  if (back)
    return d.add('Slice', [
      x.name,
      d.integers(...axes.map(() => -1)),
      d.integers(...axes.map(() => -1000)),
      d.integers(...named),
      d.integers(...steps),
    ]);
  return d.add('Slice', [x.name, ...lists, ...(!whole && d.chance(0.5) ? [d.integers(...steps)] : [])]);
};

const split: Template = (d) => {
  const x = any(d, 1);
  if (!x) return null;
  const rank = x.exact.dims.length;
  const axis = d.random.integer(0, rank - 1);
  const size = x.exact.dims[axis];
  const first = d.random.integer(0, size);
  const parts = d.chance(0.5) && size > 1 ? [1, size - 1] : [first, size - first];
  const attributes: Attributes =
    axis === 0 && d.chance(0.5) ? {} : { axis: d.chance(0.3) ? axis - rank : axis };
  if (d.opset < 13) return d.several('Split', [x.name], { ...attributes, split: parts }, 2);
  return d.several('Split', [x.name, d.integers(...parts)], attributes, 2);
};

const concat: Template = (d) => {
  const x = any(d, 1);
  if (!x) return null;
  const { dims, dtype } = x.exact;
  const axis = dims.length >= 2 && d.chance(0.5) ? 1 : d.random.integer(0, dims.length - 1);
  const others = Array.from({ length: d.random.integer(0, 2) }, () =>
    d.pick(
      ({ exact }) =>
        exact.dtype === dtype &&
        exact.dims.length === dims.length &&
        exact.dims.every((size, i) => i === axis || size === dims[i]),
    ),
  );
  const parts = [x, ...others].flatMap((value) => value?.name ?? []);
  if (dtype === d.floating && d.chance(0.2))
    parts.push(d.floats(dims.map((size, i) => (i === axis ? d.random.integer(1, 3) : size))));
  return d.add('Concat', parts, { axis: d.chance(0.3) ? axis - dims.length : axis });
};

const pad: Template = (d) => {
  const x = d.float(1, 5, (dims) => !dims.includes(0));
  if (!x) return null;
  const { dims } = x.exact;
  const mode = d.random.pick(['constant', 'constant', 'reflect', 'edge']);
  const pads = [...dims, ...dims].map((size) =>
    d.chance(0.5) ? 0 : d.random.integer(0, mode === 'reflect' ? Math.min(2, size - 1) : 2),
  );
  if (d.opset < 11) return d.add('Pad', [x.name], { mode, pads, ...(d.chance(0.5) && { value: 0.5 }) });
  const value = d.chance(0.5) ? [d.scalar(0.5)] : [];
  if (d.opset >= 18 && d.chance(0.3)) {
    const axis = d.random.integer(0, dims.length - 1);
    return d.add(
      'Pad',
      [
        x.name,
        d.integers(pads[axis], pads[axis + dims.length]),
        value[0] ?? null,
        d.integers(axis - (d.chance(0.5) ? dims.length : 0)),
      ],
      { mode },
    );
  }
  return d.add('Pad', [x.name, d.integers(...pads), ...value], { mode });
};

const expand: Template = (d) => {
  const x = any(d);
  if (!x) return null;
  const dims = x.exact.dims.map((size) => (size === 1 ? d.random.pick([1, 2, 3]) : size));
  if (d.chance(0.3) && dims.length < 4) dims.unshift(2);
  return d.add('Expand', [x.name, d.integers(...dims)]);
};

const tile: Template = (d) => {
  const x = d.float(1);
  return x && d.add('Tile', [x.name, d.integers(...x.exact.dims.map(() => d.random.pick([1, 1, 2])))]);
};

const gather: Template = (d) => {
  const x = d.float(1, 5, (dims) => !dims.includes(0));
  if (!x) return null;
  const axis = d.random.integer(0, x.exact.dims.length - 1);
  const size = x.exact.dims[axis];
  const dims = d.random.pick([[], [2], [3], [1], [2, 2]]);
  const data = BigInt64Array.from({ length: sizeOf(dims) }, () => BigInt(d.random.integer(-size, size - 1)));
  return d.add('Gather', [x.name, d.constant({ dtype: 'int64', dims, data })], {
    axis: d.chance(0.3) ? axis - x.exact.dims.length : axis,
  });
};

const blocks: Template = (d) => {
  const x = d.float(4, 4, (dims) => !dims.includes(0));
  if (!x) return null;
  const [, c, h, w] = x.exact.dims;
  if (h % 2 === 0 && w % 2 === 0) return d.add('SpaceToDepth', [x.name], { blocksize: 2 });
  return c % 4 === 0
    ? d.add('DepthToSpace', [x.name], {
        blocksize: 2,
        ...(d.opset >= 11 && { mode: d.random.pick(['DCR', 'CRD']) }),
      })
    : null;
};

const resize: Template = (d) => {
  const x = d.float(3, 4, (dims) => !dims.includes(0));
  if (!x) return null;
  const { dims } = x.exact;
  const mode = d.random.pick(['nearest', 'nearest', 'linear']);
  const scales = dims.map((size, i) => (i < 2 ? 1 : d.random.pick(size > 1 ? [1, 2, 1.5, 0.5] : [1, 2])));
  if (d.opset < 10)
    return d.add('Upsample', [x.name, d.constant(float32s(...scales.map((scale) => Math.max(1, scale))))], {
      mode,
    });
  if (d.opset < 11) return d.add('Resize', [x.name, d.constant(float32s(...scales))], { mode });
  const attributes: Attributes = {
    mode,
    coordinate_transformation_mode: d.random.pick(['half_pixel', 'asymmetric', 'align_corners']),
  };
  if (mode === 'nearest') attributes.nearest_mode = d.random.pick(['floor', 'round_prefer_floor', 'ceil']);
  const none = d.opset < 13 ? d.constant(float32s()) : null;
  if (d.opset >= 18 && d.chance(0.4))
    return d.add('Resize', [x.name, none, d.constant(float32s(...scales.slice(2)))], {
      ...attributes,
      axes: dims.map((_, i) => i).slice(2),
    });
  return d.add('Resize', [x.name, none, d.constant(float32s(...scales))], attributes);
};

/** What exporters write for `x.view(x.shape[0], -1)`, and the like. */
const shapeArithmetic: Template = (d) => {
  const x = d.float(1, 4, (dims) => !dims.includes(0));
  const shape = x && d.add('Shape', [x.name]);
  if (!x || !shape) return null;
  const first = d.add(
    'Gather',
    [
      shape.name,
      d.chance(0.5) ? d.constant({ dtype: 'int64', dims: [], data: BigInt64Array.of(0n) }) : d.integers(0),
    ],
    { axis: 0 },
  );
  if (!first) return null;
  const row = first.exact.dims.length === 0 ? withAxes(d, 'Unsqueeze', first.name, [0], 13) : first;
  if (!row) return null;
  const how = d.random.pick(['rows', 'fill', 'expand', 'arange']);
  if (how === 'rows') {
    const target = d.add('Concat', [row.name, d.integers(-1)], { axis: 0 });
    return target && d.add('Reshape', [x.name, target.name]);
  }
  if (how === 'fill') {
    const filled = d.add('ConstantOfShape', [shape.name], { value: fromWords(d.floating, [1], [0.75]) });
    return filled && d.add('Mul', [x.name, filled.name]);
  }
  if (how === 'expand') return d.add('Expand', [d.floats([1, x.exact.dims.at(-1)!]), shape.name]);
  if (d.opset < 11 || first.exact.dims.length > 0) return null;
  const scalar = (value: number) =>
    d.constant({ dtype: 'int64', dims: [], data: BigInt64Array.of(BigInt(value)) });
  const range = d.add('Range', [scalar(0), first.name, scalar(1)]);
  return range && d.add('Gather', [x.name, range.name], { axis: 0 });
};

const constantNode: Template = (d) => {
  const made = d.add('Constant', [], {
    value: floatTensor(d.random, d.floating, [d.random.pick([1, 3, 4])]),
  });
  const x = made && d.float(1, 5, (dims) => dims.at(-1) === made.exact.dims[0]);
  return x && d.add('Add', [x.name, made!.name]);
};

/** What moves elements, or only counts them anew. */
export const moveTemplates: readonly Template[] = [
  ...[transpose, transpose, transpose, reshape, flatten, squeeze, unsqueeze, slice, split, concat, concat],
  ...[pad, expand, tile, gather, blocks, resize, shapeArithmetic, constantNode],
];
