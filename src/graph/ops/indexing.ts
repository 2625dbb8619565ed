import { SCATTER_OPERATIONS, scatter } from '../../kernels/scatter.ts';
import { type Composer, composed, type Part, relabelled } from './compose.ts';
import { copyBox } from './copy-step.ts';
import { stridesOf } from './layout.ts';
import { type Node } from './node.ts';
import type { Operator } from './operator.ts';
import { type Plan, step } from './plan.ts';
import { sizeOf } from './tensors.ts';
import { ANY, FLOATS, INDICES, numbersOf, type OnnxDType, wordTypeOf } from './value.ts';

/** Refuses indices that are known and outside; computed ones wrap around. */
function checkIndices(node: Node, values: readonly number[], limit: number): void {
  const outside = values.find((at) => at < -limit || at >= limit);
  node.ensure(outside === undefined, `indices must be from ${-limit} to ${limit - 1}`, outside);
}

/** Indices from either end as ones from the start. */
const fromStart = (c: Composer, indices: Part, limits: Part): Part =>
  c.op('Mod', [relabelled(indices, 'int64'), limits]);

/** Where the elements that indices along an axis name lie in data of `dims`; the other coordinates are the indices' own. */
function elementPlaces(c: Composer, node: Node, dims: readonly number[], indices: Part, axis: number): Part {
  const { dims: own, data } = indices;
  if (data) checkIndices(node, numbersOf(indices), dims[axis]);
  const strides = stridesOf(dims);
  const table = (from: number, to: number) => {
    const sizes = own.slice(from, to);
    const steps = stridesOf(sizes);
    return Float64Array.from({ length: sizeOf(sizes) }, (_, place) =>
      sizes.reduce((sum, size, i) => sum + (Math.floor(place / steps[i]) % size) * strides[from + i], 0),
    );
  };
  const [before, after] = [table(0, axis), table(axis + 1, own.length)];
  const wide = c.reshape(indices, [before.length, own[axis], after.length]);
  return c.onHost(() => {
    const along = c.op('Mul', [
      fromStart(c, wide, c.constant('int64', dims[axis])),
      c.constant('int64', strides[axis]),
    ]);
    const inner = c.op('Add', [along, c.constant('int64', after, [1, 1, after.length])]);
    return c.reshape(c.op('Add', [inner, c.constant('int64', before, [before.length, 1, 1])]), own);
  });
}

/** Which slices of `dims` the rows of indices name: their last dimension runs over the first of `dims`. */
function slicePlaces(c: Composer, node: Node, dims: readonly number[], indices: Part): Part {
  const depth = indices.dims.at(-1)!;
  const named = dims.slice(0, depth);
  if (indices.data) {
    const values = numbersOf(indices);
    for (const [d, limit] of named.entries())
      checkIndices(
        node,
        values.filter((_, i) => i % depth === d),
        limit,
      );
  }
  const rows = c.reshape(indices, [sizeOf(indices.dims) / depth, depth]);
  const strides = c.constant('int64', stridesOf(named), [depth, 1]);
  return c.onHost(() => c.op('MatMul', [fromStart(c, rows, c.constant('int64', named)), strides]));
}

function sameRank(node: Node, indices: readonly number[], data: readonly number[], axis: number): void {
  node.ensure(
    indices.length === data.length && indices.every((size, d) => d === axis || size <= data[d]),
    `indices must have the rank of data, [${data}], and no more elements along every axis but ${axis}`,
    indices,
  );
}

const gatherElements = composed(11, ['data', 'indices'], ['axis'], (c, node) => {
  const { dims } = node.required('data', ANY);
  const indices = node.required('indices', INDICES);
  const axis = node.axis(node.integer('axis', 0), dims.length);
  sameRank(node, indices.dims, dims, axis);
  const places = elementPlaces(c, node, dims, c.input(1), axis);
  return [c.op('Gather', [c.reshape(c.input(0), [sizeOf(dims)]), places])];
});

const gatherND = composed(11, ['data', 'indices'], ['batch_dims'], (c, node, spec) => {
  const { dims } = node.required('data', ANY);
  const indices = node.required('indices', INDICES);
  const batch = spec.opset >= 12 ? node.integer('batch_dims', 0) : 0;
  const depth = indices.dims.at(-1) ?? 0;
  node.ensure(
    indices.dims.length > 0 && depth >= 1,
    'indices must have rank 1 or more, and rows that are not empty',
    indices.dims,
  );
  node.ensure(
    batch >= 0 && batch < indices.dims.length && batch + depth <= dims.length,
    `batch_dims and the last dimension of indices must name dimensions of data, [${dims}]`,
    [batch, depth],
  );
  const same = indices.dims.slice(0, batch).every((size, d) => size === dims[d]);
  node.ensure(same, `indices must begin with the ${batch} batch dimensions of data, [${dims}]`, indices.dims);
  const own = dims.slice(batch);
  const count = sizeOf(dims.slice(0, batch));
  const slices = sizeOf(own.slice(0, depth));
  const inner = own.slice(depth);
  const rows = c.reshape(slicePlaces(c, node, own, c.input(1)), [
    count,
    sizeOf(indices.dims.slice(batch, -1)),
  ]);
  const starts = c.constant(
    'int64',
    Array.from({ length: count }, (_, i) => i * slices),
    [count, 1],
  );
  const data = c.reshape(c.input(0), [count * slices, sizeOf(inner)]);
  const made = c.op('Gather', [data, c.op('Add', [rows, starts])]);
  return [c.reshape(made, [...indices.dims.slice(0, -1), ...inner])];
});

/** Data of every dtype may be replaced; what is added or compared is what words hold. */
const JOINED: readonly OnnxDType[] = [...FLOATS, 'int32', 'int64', 'uint32'];

interface Scattered {
  data: Part;
  updates: Part;
  places: Part;
  reduction: keyof typeof SCATTER_OPERATIONS;
  each: boolean;
  rows: number;
  columns: number;
  inners: number;
}

/** Places that no later one takes again, the others -1: the last update stays. */
function lastOnes(places: readonly number[]): number[] {
  const taken = new Set<number>();
  const kept = places.toReversed().map((place) => {
    if (taken.has(place)) return -1;
    taken.add(place);
    return place;
  });
  return kept.reverse();
}

/** A copy of the data, and what its places become. */
function scattered(c: Composer, made: Scattered): Part {
  const { data, updates, reduction, each, rows, columns, inners } = made;
  const { dtype, dims } = data;
  const apart = reduction === 'none' && !!made.places.data;
  const places = apart
    ? c.constant('int64', lastOnes(numbersOf(made.places)), made.places.dims)
    : made.places;
  // Words that only move are moved whatever they are.
  const Element = reduction === 'none' ? 'i32' : wordTypeOf(dtype);
  const copy = { dims: [sizeOf(dims)], inputStrides: [1] };
  const plan: Plan = {
    outputs: [{ dtype, dims: [...dims] }],
    steps: [
      copyBox(dtype, { input: 0 }, { output: 0 }, copy),
      step(
        scatter,
        {
          OP: SCATTER_OPERATIONS[reduction],
          EACH: Number(each),
          IS_FLOAT: Number(Element === 'f32'),
          Element,
        },
        { updates: { input: 1 }, places: { input: 2 }, output: { output: 0 } },
        { rows, columns, inners: Math.max(1, inners), splits: apart ? Math.max(1, rows) : 1 },
      ),
    ],
  };
  return c.place(plan, [data, updates, places])[0];
}

/** What becomes of what is there, from the opset that has a choice. */
function reductionOf(node: Node, dtype: OnnxDType): keyof typeof SCATTER_OPERATIONS {
  const names = Object.keys(SCATTER_OPERATIONS) as (keyof typeof SCATTER_OPERATIONS)[];
  const reduction = node.choice('reduction', names.slice(0, node.opset >= 18 ? 5 : 3), 'none');
  node.ensure(
    reduction === 'none' || JOINED.includes(dtype),
    `data must be ${JOINED.join(' or ')} for ${reduction}`,
    dtype,
  );
  return reduction;
}

const scatterElements = (since: number, until?: number): Operator => ({
  ...composedByOpset(since, 16, ['data', 'indices', 'updates'], ['axis'], ['reduction'], (c, node) => {
    const { dtype, dims } = node.required('data', ANY);
    const indices = node.required('indices', INDICES);
    const updates = node.required('updates', [dtype]);
    const axis = node.axis(node.integer('axis', 0), dims.length);
    sameRank(node, indices.dims, dims, axis);
    node.ensure(
      `${updates.dims}` === `${indices.dims}`,
      `updates must have the dims of indices, [${indices.dims}]`,
      updates.dims,
    );
    const [before, after] = [sizeOf(indices.dims.slice(0, axis)), sizeOf(indices.dims.slice(axis + 1))];
    return [
      scattered(c, {
        data: c.input(0),
        updates: c.input(2),
        places: elementPlaces(c, node, dims, c.input(1), axis),
        reduction: reductionOf(node, dtype),
        each: true,
        rows: indices.dims[axis],
        columns: before * after,
        inners: after,
      }),
    ];
  }),
  ...(until && { until }),
});

const scatterND = composedByOpset(11, 16, ['data', 'indices', 'updates'], [], ['reduction'], (c, node) => {
  const { dtype, dims } = node.required('data', ANY);
  const indices = node.required('indices', INDICES);
  const updates = node.required('updates', [dtype]);
  const depth = indices.dims.at(-1) ?? 0;
  node.ensure(
    depth >= 1 && depth <= dims.length,
    `the last dimension of indices must be from 1 to ${dims.length}`,
    indices.dims,
  );
  const inner = dims.slice(depth);
  const expected = [...indices.dims.slice(0, -1), ...inner];
  node.ensure(`${updates.dims}` === `${expected}`, `updates must have the dims [${expected}]`, updates.dims);
  const rows = sizeOf(indices.dims) / depth;
  const size = sizeOf(inner);
  const slices = c.reshape(slicePlaces(c, node, dims, c.input(1)), [rows]);
  return [
    scattered(c, {
      data: c.input(0),
      updates: c.input(2),
      places: c.onHost(() => c.op('Mul', [slices, c.constant('int64', size)])),
      reduction: reductionOf(node, dtype),
      each: false,
      rows,
      columns: size,
      inners: size,
    }),
  ];
});

/** As `composed`, with attributes that are there from an opset on. */
function composedByOpset(
  since: number,
  newerSince: number,
  names: readonly string[],
  attributes: readonly string[],
  newer: readonly string[],
  build: Parameters<typeof composed>[3],
): Operator {
  const [older, later] = [attributes, [...attributes, ...newer]].map((own) =>
    composed(since, names, own, build),
  );
  return { since, plan: (spec) => (spec.opset >= newerSince ? later : older).plan(spec) };
}

/** Operators whose elements name others' places. */
export const indexingOperators = {
  GatherElements: gatherElements,
  GatherND: gatherND,
  ScatterElements: scatterElements(11),
  Scatter: scatterElements(9, 11),
  ScatterND: scatterND,
} satisfies Readonly<Record<string, Operator>>;
