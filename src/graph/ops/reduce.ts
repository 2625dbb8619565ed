import { REDUCTIONS, reduce } from '../../kernels/reduce.ts';
import { softmax } from '../../kernels/softmax.ts';
import { mergeAxes, stridesOf } from './layout.ts';
import { type NodeSpec, openNode } from './node.ts';
import type { Operator } from './operator.ts';
import { type Operand, type Plan, type Step, step } from './plan.ts';
import { constant, type Operation, pointwise } from './pointwise-step.ts';
import { sizeOf } from './tensors.ts';
import { FLOATS, isFloat, NUMBERS, type OnnxDType, type Value, wordTypeOf } from './value.ts';

type Reduction = keyof typeof REDUCTIONS;
const INPUT = { input: 0 } as const;
const OUTPUT = { output: 0 } as const;

/** A row this long is worth a workgroup of its own. */
const LONG = 128;

/** One dispatch that reduces `axes` of `x`, which lies at `input`. */
export function reduction(
  kind: Reduction,
  x: Value,
  axes: readonly number[],
  input: Operand,
  output: Operand,
  last = false,
): Step {
  const strides = stridesOf(x.dims);
  const part = (own: readonly number[]) =>
    mergeAxes(
      own.map((axis) => x.dims[axis]),
      [own.map((axis) => strides[axis])],
    );
  const all = x.dims.map((_, axis) => axis);
  const [kept, gone] = [part(all.filter((axis) => !axes.includes(axis))), part(axes)];
  const rows = [kept, gone].flatMap((own) => own.sizes.flatMap((size, d) => [size, own.strides[0][d]]));
  const [outputs, reduced] = [kept, gone].map(({ sizes }) => sizeOf(sizes));
  const Element = wordTypeOf(x.dtype);
  return step(
    reduce,
    {
      OP: REDUCTIONS[kind],
      Element,
      IS_FLOAT: Number(Element === 'f32'),
      LAST: Number(last),
      LANES: reduced >= LONG ? 64 : 1,
    },
    { input, axes: { constant: Uint32Array.from([...rows, 0, 0]) }, output },
    {
      outputs,
      reduced,
      keptRank: kept.sizes.length,
      reducedRank: gone.sizes.length,
      identity: identityOf(kind, Element),
    },
  );
}

/** Bits of what nothing reduces to. */
function identityOf(kind: Reduction, Element: 'f32' | 'i32' | 'u32'): number {
  const float = Element === 'f32';
  if (kind === 'prod') return float ? 0x3f800000 : 1;
  if (kind === 'max') return float ? 0xff800000 : Element === 'i32' ? 0x80000000 : 0;
  if (kind === 'min') return float ? 0x7f800000 : Element === 'i32' ? 0x7fffffff : 0xffffffff;
  return 0;
}

const keptDims = (dims: readonly number[], axes: readonly number[], keep: boolean) =>
  dims.flatMap((size, axis) => (axes.includes(axis) ? (keep ? [1] : []) : [size]));

const SUMMED: readonly OnnxDType[] = [...FLOATS, 'int32', 'int64', 'uint32'];

/**
 * A Reduce operator: axes are an attribute up to `inputSince`, then an input. `finish` is a function of the result, and
 * `alone` what becomes of an element where no axis is reduced.
 */
function reducing(
  kind: Reduction,
  { inputSince = 18, finish, alone }: { inputSince?: number; finish?: Operation; alone?: Operation } = {},
): Operator {
  return {
    since: 1,
    plan(spec) {
      const asInput = spec.opset >= inputSince;
      const names = asInput ? ['keepdims', 'noop_with_empty_axes'] : ['axes', 'keepdims'];
      const node = openNode(spec, asInput ? ['data', 'axes'] : ['data'], names);
      const extremal = kind === 'max' || kind === 'min';
      const narrow: OnnxDType[] = spec.opset >= 20 ? ['int8', 'uint8', 'bool'] : ['int8', 'uint8'];
      const x = node.required('data', extremal && spec.opset >= 12 ? [...SUMMED, ...narrow] : SUMMED);
      const named = asInput ? node.integers('axes') : node.list('axes');
      const keep = node.flag('keepdims', true);
      if (!named?.length && asInput && node.flag('noop_with_empty_axes', false)) return untouched(x, alone);
      const all = x.dims.map((_, axis) => axis);
      const axes = named?.length ? node.axes(named, x.dims.length).sort((a, b) => a - b) : all;
      const dims = keptDims(x.dims, axes, keep);
      const outputs = [{ dtype: x.dtype, dims }];
      if (kind === 'mean' && axes.some((axis) => x.dims[axis] === 0)) {
        const undefinedMean = constant(isFloat(x.dtype) ? Number.NaN : 0, x.dtype);
        return { outputs, steps: [pointwise('identity', x.dtype, [undefinedMean], dims, OUTPUT)] };
      }
      if (!finish) return { outputs, steps: [reduction(kind, x, axes, INPUT, OUTPUT)] };
      node.ensure(isFloat(x.dtype), 'data must be float32 or float16', x.dtype);
      const at = { scratch: 'reduced', count: sizeOf(dims) };
      return {
        outputs,
        steps: [
          reduction(kind, x, axes, INPUT, at),
          pointwise(finish, x.dtype, [{ at, dims }], dims, OUTPUT),
        ],
      };
    },
  };
}

/** No axis is reduced; a function of each element may be left. */
function untouched(x: Value, alone?: Operation): Plan {
  const output = { dtype: x.dtype, dims: [...x.dims] };
  if (!alone) return { outputs: [{ ...output, from: 0 }], steps: [] };
  const operand = { at: INPUT, dims: x.dims };
  const operands = alone === 'mul' ? [operand, operand] : [operand];
  return { outputs: [output], steps: [pointwise(alone, x.dtype, operands, x.dims, OUTPUT)] };
}

function arg(kind: 'argMax' | 'argMin') {
  return (spec: NodeSpec): Plan => {
    const names = ['axis', 'keepdims', ...(spec.opset >= 12 ? ['select_last_index'] : [])];
    const node = openNode(spec, ['data'], names);
    const x = node.required('data', NUMBERS);
    node.ensure(x.dims.length > 0, 'data must have rank 1 or more', x.dims);
    const axis = node.axis(node.integer('axis', 0), x.dims.length);
    const dims = keptDims(x.dims, [axis], node.flag('keepdims', true));
    node.ensure(x.dims[axis] > 0 || sizeOf(dims) === 0, `axis ${axis} must not be empty`, x.dims);
    const last = node.flag('select_last_index', false);
    return { outputs: [{ dtype: 'int64', dims }], steps: [reduction(kind, x, [axis], INPUT, OUTPUT, last)] };
  };
}

function globalPool(kind: 'mean' | 'max') {
  return (spec: NodeSpec): Plan => {
    const node = openNode(spec, ['X']);
    const x = node.required('X', FLOATS);
    node.ensure(x.dims.length >= 3, 'X must have the dims N, C and at least one spatial one', x.dims);
    const axes = x.dims.map((_, axis) => axis).slice(2);
    node.ensure(!x.dims.slice(2).includes(0), 'the spatial dims of X must not be 0', x.dims);
    const dims = keptDims(x.dims, axes, true);
    return { outputs: [{ dtype: x.dtype, dims }], steps: [reduction(kind, x, axes, INPUT, OUTPUT)] };
  };
}

/** Up to opset 12 the axes from `axis` on are one; from 13 on it is the only one. */
function softmaxed(LOG: 0 | 1) {
  return (spec: NodeSpec): Plan => {
    const node = openNode(spec, ['input'], ['axis']);
    const x = node.required('input', FLOATS);
    const flat = spec.opset < 13;
    const { dims } = x;
    const axis = dims.length === 0 ? 0 : node.axis(node.integer('axis', flat ? 1 : -1), dims.length);
    const size = flat ? sizeOf(dims.slice(axis)) : (dims[axis] ?? 1);
    const inners = flat ? 1 : sizeOf(dims.slice(axis + 1));
    const rows = size === 0 ? 0 : sizeOf(dims) / size;
    const LANES = size >= LONG && inners < 32 ? 64 : 1;
    return {
      outputs: [{ dtype: x.dtype, dims: [...dims] }],
      steps: [step(softmax, { LOG, LANES }, { input: INPUT, output: OUTPUT }, { rows, size, inners })],
    };
  };
}

/** Operators that reduce axes, and softmax. */
export const reduceOperators = {
  ReduceSum: reducing('sum', { inputSince: 13 }),
  ReduceMean: reducing('mean'),
  ReduceMax: reducing('max'),
  ReduceMin: reducing('min'),
  ReduceProd: reducing('prod'),
  ReduceL1: reducing('l1', { alone: 'abs' }),
  ReduceSumSquare: reducing('sumSquare', { alone: 'mul' }),
  ReduceL2: reducing('sumSquare', { finish: 'sqrt', alone: 'abs' }),
  ReduceLogSum: reducing('sum', { finish: 'log', alone: 'log' }),
  ArgMax: { since: 1, plan: arg('argMax') },
  ArgMin: { since: 1, plan: arg('argMin') },
  GlobalAveragePool: { since: 1, plan: globalPool('mean') },
  GlobalMaxPool: { since: 1, plan: globalPool('max') },
  Softmax: { since: 1, plan: softmaxed(0) },
  LogSoftmax: { since: 1, plan: softmaxed(1) },
} satisfies Readonly<Record<string, Operator>>;
