import { type Composer, composed, type Part, relabelled } from './compose.ts';
import { OPSETS, type Operator } from './operator.ts';
import { poolOperators } from './pool.ts';
import { sizeOf } from './tensors.ts';
import { FLOATS } from './value.ts';
import { WINDOW_ATTRIBUTES, windowsOf } from './windows.ts';

const FLOAT_MAX = 3.4028234663852886e38;

const scalar = (c: Composer, value: number) => c.constant('float32', value);

/** `x` to a power; the two that norms are mostly of are cheaper and exact. */
function power(c: Composer, x: Part, exponent: number): Part {
  if (exponent === 1) return x;
  return exponent === 2 ? c.op('Mul', [x, x]) : c.op('Pow', [x, scalar(c, exponent)]);
}

const root = (c: Composer, x: Part, exponent: number): Part =>
  exponent === 2 ? c.op('Sqrt', [x]) : power(c, x, 1 / exponent);

/** The logarithm of the sum of exponentials, the maximum taken out of it. */
const reduceLogSumExp = (asInput: boolean): Operator =>
  composed(
    1,
    asInput ? ['data', 'axes'] : ['data'],
    asInput ? ['keepdims', 'noop_with_empty_axes'] : ['axes', 'keepdims'],
    (c, node) => {
      const { dtype, dims } = node.required('data', FLOATS);
      const given = asInput ? node.integers('axes') : node.list('axes');
      const keep = node.flag('keepdims', true);
      if (!given?.length && asInput && node.flag('noop_with_empty_axes', false)) return [c.input(0)];
      const axes = given?.length ? node.axes(given, dims.length) : dims.map((_, axis) => axis);
      const [x, along] = [c.float(0), c.list(...axes)];
      // An infinite maximum would leave the difference of two infinities.
      const bounds = [scalar(c, -FLOAT_MAX), scalar(c, FLOAT_MAX)];
      const most = c.op('Clip', [c.op('ReduceMax', [x, along]), ...bounds]);
      const sum = c.op('ReduceSum', [c.op('Exp', [c.op('Sub', [x, most])]), along]);
      const made = c.op('Add', [c.op('Log', [sum]), most]);
      const left = made.dims.filter((_, axis) => keep || !axes.includes(axis));
      return [relabelled(c.reshape(made, left), dtype)];
    },
  );

/** A row over its norm; one of zeros stays. */
const lpNormalization = composed(1, ['input'], ['axis', 'p'], (c, node) => {
  const { dtype, dims } = node.required('input', FLOATS);
  const axis = node.axis(node.integer('axis', -1), dims.length);
  const p = node.integer('p', 2);
  node.ensure(p === 1 || p === 2, 'p must be 1 or 2', p);
  const x = c.float(0);
  const norm = c.op(p === 1 ? 'ReduceL1' : 'ReduceL2', [x, c.list(axis)]);
  const none = c.op('Equal', [norm, scalar(c, 0)]);
  return [relabelled(c.op('Div', [x, c.op('Where', [none, scalar(c, 1), norm])]), dtype)];
});

/** Less the mean and over the standard deviation, whose smallest is 1e-9. */
const meanVarianceNormalization = composed(9, ['X'], ['axes'], (c, node) => {
  const { dtype, dims } = node.required('X', FLOATS);
  const axes = c.list(...node.axes(node.list('axes') ?? [0, 2, 3], dims.length));
  const x = c.float(0);
  const less = c.op('Sub', [x, c.op('ReduceMean', [x, axes])]);
  const deviation = c.op('Sqrt', [c.op('ReduceMean', [c.op('Mul', [less, less]), axes])]);
  return [relabelled(c.op('Div', [less, c.op('Add', [deviation, scalar(c, 1e-9)])]), dtype)];
});

/** Each element over a power of the squares of the channels around its own: their mean is that of a pool. */
const localResponseNormalization = composed(1, ['X'], ['alpha', 'beta', 'bias', 'size'], (c, node) => {
  const { dtype, dims } = node.required('X', FLOATS);
  node.ensure(dims.length >= 2, 'X must have the dims N, C and more', dims);
  const size = node.integer('size', 0);
  node.ensure(size >= 1, 'size must be at least 1', size);
  const [alpha, beta, bias] = [node.float('alpha', 1e-4), node.float('beta', 0.75), node.float('bias', 1)];
  const x = c.float(0);
  const [before, after] = [Math.floor((size - 1) / 2), Math.ceil((size - 1) / 2)];
  const image = c.reshape(c.op('Mul', [x, x]), [dims[0], 1, dims[1], sizeOf(dims.slice(2))]);
  const attributes = { kernel_shape: [size, 1], pads: [before, 0, after, 0], count_include_pad: 1 };
  const mean = c.reshape(c.op('AveragePool', [image], attributes), dims);
  const base = c.op('Add', [c.op('Mul', [mean, scalar(c, alpha)]), scalar(c, bias)]);
  return [relabelled(c.op('Div', [x, c.op('Pow', [base, scalar(c, beta)])]), dtype)];
});

/** The norm of each window: the mean of the powers times how many they are, padding too. */
const lpPool = (newer: boolean): Operator =>
  composed(
    2,
    ['X'],
    [...WINDOW_ATTRIBUTES, 'p', ...(newer ? ['ceil_mode', 'dilations'] : [])],
    (c, node, spec) => {
      const { dtype, dims } = node.required('X', FLOATS);
      const p = node.integer('p', 2);
      node.ensure(p >= 1, 'p must be at least 1', p);
      const { p: _, ...attributes } = spec.attributes;
      const x = power(c, c.op('Abs', [c.float(0)]), p);
      const asked = {
        ...spec,
        opset: OPSETS.newest,
        inputs: [x],
        attributes: { ...attributes, count_include_pad: 1 },
      };
      const mean = c.place(poolOperators.AveragePool.plan(asked), [x])[0];
      const size = dims.slice(2);
      const kernel = node.list('kernel_shape')!;
      const windows = windowsOf(node, size, kernel, newer && node.flag('ceil_mode', false));
      // With ceil_mode the last window may reach beyond the padding, where nothing counts.
      const counts = windows.output.map((length, i) => {
        const end = size[i] + windows.before[i] + windows.after[i];
        const [stride, dilation] = [windows.strides[i], windows.dilations[i]];
        const most = (at: number) => Math.min(kernel[i], Math.ceil((end - at * stride) / dilation));
        const shape = windows.output.map((_, axis) => (axis === i ? length : 1));
        return c.constant(
          'float32',
          Array.from({ length }, (_, at) => most(at)),
          shape,
        );
      });
      const sum = counts.reduce((total, count) => c.op('Mul', [total, count]), mean);
      return [relabelled(root(c, sum, p), dtype)];
    },
  );

const globalLpPool = composed(2, ['X'], ['p'], (c, node) => {
  const { dtype, dims } = node.required('X', FLOATS);
  node.ensure(dims.length >= 3, 'X must have the dims N, C and at least one spatial one', dims);
  const p = node.integer('p', 2);
  node.ensure(p >= 1, 'p must be at least 1', p);
  const axes = c.list(...dims.map((_, axis) => axis).slice(2));
  const sum = c.op('ReduceSum', [power(c, c.op('Abs', [c.float(0)]), p), axes]);
  return [relabelled(root(c, sum, p), dtype)];
});

/** 1 where the first of the largest elements of a row lies; up to opset 12 the axes from `axis` on are one. */
const hardmax = composed(1, ['input'], ['axis'], (c, node, spec) => {
  const { dtype, dims } = node.required('input', FLOATS);
  const flat = spec.opset < 13;
  const axis = node.axis(node.integer('axis', flat ? 1 : -1), dims.length);
  const rows = flat ? [sizeOf(dims.slice(0, axis)), sizeOf(dims.slice(axis))] : dims;
  const at = flat ? 1 : axis;
  const x = c.reshape(c.float(0), rows);
  if (sizeOf(dims) === 0) return [c.input(0)];
  const best = c.op('ArgMax', [x], { axis: at });
  const chosen = c.op('Equal', [best, c.places(rows[at], rows.length, at)]);
  return [relabelled(c.reshape(c.cast(chosen, 'float32'), dims), dtype)];
});

/** An operator whose node reads otherwise from an opset on. */
const from = (opset: number, newer: Operator, older: Operator): Operator => ({
  since: older.since,
  plan: (spec) => (spec.opset >= opset ? newer : older).plan(spec),
});

/** Operators on rows, windows and channels that others make up. */
export const rowOperators = {
  ReduceLogSumExp: from(18, reduceLogSumExp(true), reduceLogSumExp(false)),
  LpNormalization: lpNormalization,
  MeanVarianceNormalization: meanVarianceNormalization,
  LRN: localResponseNormalization,
  LpPool: from(18, lpPool(true), lpPool(false)),
  GlobalLpPool: globalLpPool,
  Hardmax: hardmax,
} satisfies Readonly<Record<string, Operator>>;
