// Operators that reduce axes or treat rows: https://onnx.ai/onnx/operators/.
import { axisOf, type Call, type Definition } from './call.ts';
import {
  coordinatesOf,
  elementAt,
  isFloat,
  make,
  placeOf,
  sizeOf,
  stored,
  times,
  type Value,
} from './value.ts';

/** The elements along axes, a list for each element of the others. */
function rowsOf(x: Value, axes: readonly number[]): { dims: number[]; rows: number[][] } {
  const dims = x.dims.map((size, i) => (axes.includes(i) ? 1 : size));
  const inner = x.dims.map((size, i) => (axes.includes(i) ? size : 1));
  const rows = Array.from({ length: sizeOf(dims) }, (_, row) => {
    const first = coordinatesOf(row, dims);
    return Array.from({ length: sizeOf(inner) }, (_, i) =>
      elementAt(
        x,
        coordinatesOf(i, inner).map((at, axis) => at + first[axis]),
      ),
    );
  });
  return { dims, rows };
}

const squeezed = (dims: readonly number[], axes: readonly number[], keep: boolean) =>
  keep ? dims : dims.filter((_, i) => !axes.includes(i));

/** Axes are an attribute before opset `since`; none are all of them, unless none shall be a no-op. */
const reduced =
  (f: (row: number[], dtype: string) => number, since = 18): Definition =>
  (call) => {
    const x = call.input(0);
    const given = call.moved('axes', 1, since)?.map((axis) => axisOf(axis, x.dims.length)) ?? [];
    const whole = given.length === 0 && call.integer('noop_with_empty_axes', 0) === 0;
    const axes = whole ? x.dims.map((_, i) => i) : given;
    const { dims, rows } = rowsOf(x, axes);
    const left = squeezed(dims, axes, call.integer('keepdims', 1) === 1);
    return [make(x.dtype, left, (_, place) => f(rows[place], x.dtype))];
  };

const sum = (row: readonly number[]) => row.reduce((total, x) => total + x, 0);
const sumOfSquares = (row: readonly number[], dtype: string) =>
  row.reduce((total, x) => stored(dtype, total + times(dtype, x, x)), 0);

function mean(row: readonly number[], dtype: string): number {
  if (isFloat(dtype)) return sum(row) / row.length;
  return row.length === 0 ? 0 : Math.trunc(stored(dtype, sum(row)) / row.length);
}

/** What the extremum of nothing is. */
const extremum =
  (pick: (...values: number[]) => number, float: number, bound: (bits: number, signed: boolean) => number) =>
  (row: readonly number[], dtype: string) => {
    const bits = dtype === 'int64' ? 32 : Number(/\d+$/.exec(dtype)?.[0] ?? 1);
    const none = isFloat(dtype) ? float : bound(bits, dtype.startsWith('int'));
    return row.reduce((most, x) => pick(most, x), none);
  };
const lowest = (bits: number, signed: boolean) => (signed ? -(2 ** (bits - 1)) : 0);
const highest = (bits: number, signed: boolean) => 2 ** (signed ? bits - 1 : bits) - 1;

/** The place of the first or last extremum of a row. */
const placed =
  (better: (a: number, b: number) => boolean): Definition =>
  (call) => {
    const x = call.input(0);
    const axis = axisOf(call.integer('axis', 0), x.dims.length);
    const last = call.integer('select_last_index', 0) === 1;
    const { dims, rows } = rowsOf(x, [axis]);
    const left = squeezed(dims, [axis], call.integer('keepdims', 1) === 1);
    return [
      make('int64', left, (_, place) =>
        rows[place].reduce((best, value, i, row) => {
          const wins = better(value, row[best]) || (last && value === row[best]);
          return wins ? i : best;
        }, 0),
      ),
    ];
  };

const spatialAxes = ({ dims }: Value) => dims.map((_, i) => i).slice(2);
const global =
  (f: (row: number[]) => number): Definition =>
  (call) => {
    const x = call.input(0);
    const { dims, rows } = rowsOf(x, spatialAxes(x));
    return [make(x.dtype, dims, (_, place) => f(rows[place]))];
  };

/** Up to opset 12 all dimensions from the axis on are one row. */
const softmax =
  (log: boolean): Definition =>
  (call) => {
    const x = call.input(0);
    const rank = x.dims.length;
    const flat = call.opset < 13;
    const axis = axisOf(call.integer('axis', flat ? 1 : -1), rank);
    const axes = x.dims.map((_, i) => i).filter((i) => (flat ? i >= axis : i === axis));
    const { dims, rows } = rowsOf(x, axes);
    const sums = rows.map((row) => {
      const most = Math.max(...row);
      return { most, total: sum(row.map((value) => Math.exp(value - most))) };
    });
    const group: Value = { dtype: 'int64', dims, data: Float64Array.from(rows, (_, i) => i) };
    return [
      make(x.dtype, x.dims, (at, place) => {
        const own = at.map((where, axis) => (axes.includes(axis) ? 0 : where));
        const { most, total } = sums[elementAt(group, own)];
        const shifted = x.data[place] - most;
        return log ? shifted - Math.log(total) : Math.exp(shifted) / total;
      }),
    ];
  };

/** Rows along some axes, each element by a function of its row. */
const rowwise =
  (axesOf: (call: Call, rank: number) => number[], f: (row: number[], call: Call) => number[]): Definition =>
  (call) => {
    const x = call.input(0);
    const axes = axesOf(call, x.dims.length);
    const { dims, rows } = rowsOf(x, axes);
    const made = rows.map((row) => f(row, call));
    const inner = x.dims.map((size, axis) => (axes.includes(axis) ? size : 1));
    return [
      make(x.dtype, x.dims, (at) => {
        const [outer, own] = [true, false].map((kept) =>
          at.map((place, axis) => (axes.includes(axis) === kept ? 0 : place)),
        );
        return made[placeOf(outer, dims)][placeOf(own, inner)];
      }),
    ];
  };

const oneAxis = (fallback: number) => (call: Call, rank: number) => [
  axisOf(call.integer('axis', fallback), rank),
];

const lpNormalization = rowwise(oneAxis(-1), (row, call) => {
  const norm = call.integer('p', 2) === 1 ? sum(row.map(Math.abs)) : Math.hypot(...row);
  return norm === 0 ? row : row.map((x) => x / norm);
});

const meanVariance = rowwise(
  (call, rank) => (call.list('axes') ?? [0, 2, 3]).map((axis) => axisOf(axis, rank)),
  (row) => {
    const middle = sum(row) / row.length;
    const deviation = Math.sqrt(sum(row.map((x) => (x - middle) ** 2)) / row.length);
    return row.map((x) => (x - middle) / (deviation + 1e-9));
  },
);

/** Up to opset 12 all dimensions from the axis on are one row. */
const hardmax = rowwise(
  (call, rank) => {
    const axis = axisOf(call.integer('axis', call.opset < 13 ? 1 : -1), rank);
    return Array.from({ length: call.opset < 13 ? rank - axis : 1 }, (_, i) => axis + i);
  },
  (row) => row.map((_, i) => Number(i === row.indexOf(Math.max(...row)))),
);

function logSumExp(row: readonly number[]): number {
  const most = Math.max(...row);
  return Number.isFinite(most) ? most + Math.log(sum(row.map((x) => Math.exp(x - most)))) : most;
}

/** The channels around each, `size` of them, as far as there are so many. */
const localResponse: Definition = (call) => {
  const x = call.input(0);
  const [alpha, beta, bias] = [call.float('alpha', 1e-4), call.float('beta', 0.75), call.float('bias', 1)];
  const size = call.integer('size', 1);
  return [
    make(x.dtype, x.dims, (at, place) => {
      let squares = 0;
      for (let c = at[1] - Math.floor((size - 1) / 2); c <= at[1] + Math.ceil((size - 1) / 2); c++) {
        if (c >= 0 && c < x.dims[1])
          squares +=
            elementAt(
              x,
              at.map((own, axis) => (axis === 1 ? c : own)),
            ) ** 2;
      }
      return x.data[place] / (bias + (alpha / size) * squares) ** beta;
    }),
  ];
};

const product = (row: readonly number[], dtype: string) => row.reduce((made, x) => times(dtype, made, x), 1);

export const reductions: Readonly<Record<string, Definition>> = {
  ReduceSum: reduced(sum, 13),
  ReduceMean: reduced(mean),
  ReduceMax: reduced(extremum(Math.max, Number.NEGATIVE_INFINITY, lowest)),
  ReduceMin: reduced(extremum(Math.min, Number.POSITIVE_INFINITY, highest)),
  ReduceProd: reduced(product),
  ReduceL1: reduced((row) => sum(row.map(Math.abs))),
  ReduceL2: reduced((row, dtype) => Math.sqrt(sumOfSquares(row, dtype))),
  ReduceSumSquare: reduced(sumOfSquares),
  ReduceLogSum: reduced((row) => Math.log(sum(row))),
  ArgMax: placed((a, b) => a > b),
  ArgMin: placed((a, b) => a < b),
  ReduceLogSumExp: reduced(logSumExp),
  LpNormalization: lpNormalization,
  MeanVarianceNormalization: meanVariance,
  Hardmax: hardmax,
  LRN: localResponse,
  GlobalLpPool: (call) => {
    const p = call.integer('p', 2);
    return global((row) => sum(row.map((x) => Math.abs(x) ** p)) ** (1 / p))(call);
  },
  GlobalAveragePool: global((row) => sum(row) / row.length),
  GlobalMaxPool: global((row) => Math.max(...row)),
  Softmax: softmax(false),
  LogSoftmax: softmax(true),
};
