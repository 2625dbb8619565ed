import { topK } from '../../kernels/top-k.ts';
import { type Composer, composed, type Part, relabelled } from './compose.ts';
import { copyBox } from './copy-step.ts';
import { stridesOf } from './layout.ts';
import { type NodeSpec, openNode } from './node.ts';
import { type Plan, step } from './plan.ts';
import { sizeOf } from './tensors.ts';
import { ANY, FLOATS, fromWords, INDICES, NUMBERS, wordTypeOf } from './value.ts';

/** How many is an attribute up to opset 9. */
function topKOf(spec: NodeSpec): Plan {
  const asAttribute = spec.opset < 10;
  const names = ['axis', ...(asAttribute ? ['k'] : []), ...(spec.opset >= 11 ? ['largest', 'sorted'] : [])];
  const node = openNode(spec, asAttribute ? ['X'] : ['X', 'K'], names);
  const { dtype, dims } = node.required('X', spec.opset >= 11 ? NUMBERS : FLOATS);
  const axis = node.axis(node.integer('axis', -1), dims.length);
  const k = asAttribute ? node.integer('k', -1) : (node.integers('K', ['int64'])?.[0] ?? -1);
  node.ensure(
    k >= 0 && k <= dims[axis],
    `${asAttribute ? 'k' : 'K'} must be from 0 to the ${dims[axis]} elements of axis ${axis}`,
    k,
  );
  node.flag('sorted', true);
  const inners = sizeOf(dims.slice(axis + 1));
  const rows = sizeOf(dims.slice(0, axis)) * inners;
  const made = dims.map((size, d) => (d === axis ? k : size));
  const Element = wordTypeOf(dtype);
  return {
    outputs: [
      { dtype, dims: made },
      { dtype: 'int64', dims: made },
    ],
    steps: [
      step(
        topK,
        { Element, IS_FLOAT: Number(Element === 'f32'), LARGEST: Number(node.flag('largest', true)) },
        { input: { input: 0 }, values: { output: 0 }, indices: { output: 1 } },
        { rows, size: dims[axis], inners: Math.max(1, inners), k },
      ),
    ],
  };
}

/** Sums up to each element by doubling: after n rounds of adding what lies 2^n before, 2^n elements are summed. */
const cumSum = composed(11, ['x', 'axis'], ['exclusive', 'reverse'], (c, node) => {
  const { dtype, dims } = node.required('x', [...FLOATS, 'int32', 'int64', 'uint32']);
  node.required('axis', INDICES);
  const axis = node.axis(node.numbers('axis', INDICES)![0], dims.length);
  const [exclusive, reverse] = [node.flag('exclusive', false), node.flag('reverse', false)];
  const length = dims[axis];
  const shifted = (x: Part, by: number): Part => {
    const limit = { start: reverse ? by : -by, limit: length, mode: 'constant' as const };
    const windows = dims.map((_, d) => (d === axis ? limit : null));
    const box = { dims, inputStrides: stridesOf(dims), windows };
    const plan = { outputs: [{ dtype, dims }], steps: [copyBox(dtype, { input: 0 }, { output: 0 }, box)] };
    return c.place(plan, [x])[0];
  };
  let sum = exclusive ? shifted(c.input(0), 1) : c.input(0);
  for (let by = 1; by < length; by *= 2) sum = c.op('Add', [sum, shifted(sum, by)]);
  return [sum];
});

/** The upper or lower triangle of matrices, from the k-th diagonal. */
const trilu = composed(14, ['input', 'k'], ['upper'], (c, node) => {
  const { dtype, dims } = node.required('input', ANY);
  node.ensure(dims.length >= 2, 'input must have rank 2 or more', dims);
  const upper = node.flag('upper', true);
  const k = node.optional('k', ['int64']);
  node.ensure(!k || sizeOf(k.dims) === 1, 'k must be a scalar', k?.dims);
  const [rows, columns] = dims.slice(-2);
  const diagonal = c.places(rows, 2, 0);
  const first = k ? c.op('Add', [diagonal, c.reshape(c.input(1), [])]) : diagonal;
  const kept = c.op(upper ? 'GreaterOrEqual' : 'LessOrEqual', [c.places(columns, 2, 1), first]);
  return [c.op('Where', [kept, c.input(0), c.constant(dtype, 0)])];
});

/** Depth says how many places a new axis has; an index outside leaves it off everywhere. */
const oneHot = composed(9, ['indices', 'depth', 'values'], ['axis'], (c, node) => {
  const indices = node.required('indices', NUMBERS);
  node.required('depth', NUMBERS);
  const depth = Math.trunc(node.numbers('depth', NUMBERS)![0]);
  const values = node.required('values', ANY);
  node.ensure(
    values.dims.length === 1 && values.dims[0] === 2,
    'values must be two: off and on',
    values.dims,
  );
  node.ensure(depth >= 0, 'depth must be 0 or more', depth);
  const rank = indices.dims.length + 1;
  const axis = node.axis(node.integer('axis', -1), rank);
  const dims = indices.dims.toSpliced(axis, 0, 1);
  const own = c.reshape(c.cast(c.input(0), 'int64'), dims);
  const below = c.op('Less', [own, c.constant('int64', 0)]);
  const places = c.op('Where', [below, c.op('Add', [own, c.constant('int64', depth)]), own]);
  const [off, on] = [0, 1].map((at) => c.slice(c.input(2), 0, at, at + 1));
  return [c.op('Where', [c.op('Equal', [places, c.places(depth, rank, axis)]), on, off])];
});

/** The first elements along one axis backwards, how many along another. */
const reverseSequence = composed(10, ['input', 'sequence_lens'], ['batch_axis', 'time_axis'], (c, node) => {
  const { dims } = node.required('input', ANY);
  const lengths = node.required('sequence_lens', INDICES);
  const [batchAxis, timeAxis] = [node.integer('batch_axis', 1), node.integer('time_axis', 0)];
  node.ensure(
    dims.length >= 2 && batchAxis + timeAxis === 1 && batchAxis * timeAxis === 0,
    'batch_axis and time_axis must be 0 and 1, and input of rank 2 or more',
    [batchAxis, timeAxis],
  );
  const [batch, time] = [dims[batchAxis], dims[timeAxis]];
  node.ensure(
    `${lengths.dims}` === `${batch}`,
    `sequence_lens must have one element for each of the ${batch} sequences`,
    lengths.dims,
  );
  const places = reversedPlaces(c, relabelled(c.input(1), 'int64'), { batch, time, batchAxis });
  const rows = c.reshape(c.input(0), [batch * time, sizeOf(dims.slice(2))]);
  return [c.reshape(c.op('Gather', [rows, places]), dims)];
});

/** Rows of a time x batch tensor (or batch x time) that begin at each sequence's end and run backwards. */
function reversedPlaces(
  c: Composer,
  lengths: Part,
  { batch, time, batchAxis }: { batch: number; time: number; batchAxis: number },
): Part {
  const own = c.reshape(lengths, batchAxis === 1 ? [1, batch] : [batch, 1]);
  const at = c.places(time, 2, 1 - batchAxis);
  const back = c.op('Sub', [c.op('Sub', [own, c.constant('int64', 1)]), at]);
  const turned = c.op('Where', [c.op('Less', [at, own]), back, at]);
  const sequence = c.places(batch, 2, batchAxis);
  const [outer, inner, size] = batchAxis === 1 ? [turned, sequence, batch] : [sequence, turned, time];
  return c.op('Add', [c.op('Mul', [outer, c.constant('int64', size)]), inner]);
}

/** Cut to a size about the middle, or padded with zeros to it. */
const centerCropPad = composed(18, ['input_data', 'shape'], ['axes'], (c, node) => {
  const { dims } = node.required('input_data', ANY);
  const shape = node.integers('shape');
  const axes = node.axes(node.list('axes') ?? dims.map((_, d) => d), dims.length);
  node.ensure(
    shape?.length === axes.length && shape.every((size) => size >= 0),
    `shape must be ${axes.length} sizes`,
    shape ?? 'none',
  );
  let made = c.input(0);
  const pads = [...dims, ...dims].map(() => 0);
  for (const [i, axis] of axes.entries()) {
    const more = shape![i] - dims[axis];
    if (more < 0) made = c.slice(made, axis, Math.floor(-more / 2), Math.floor(-more / 2) + shape![i]);
    else [pads[axis], pads[axis + dims.length]] = [Math.floor(more / 2), Math.ceil(more / 2)];
  }
  return [pads.some((pad) => pad > 0) ? c.op('Pad', [made, c.list(...pads)]) : made];
});

/** Slices that a condition picks; how many there are decides the shape, so it must be known. */
const compress = composed(9, ['input', 'condition'], ['axis'], (c, node) => {
  const { dims } = node.required('input', ANY);
  node.required('condition', ['bool']);
  const chosen = node.numbers('condition', ['bool'])!.flatMap((value, at) => (value ? [at] : []));
  if (node.attribute('axis') === undefined) {
    return [c.op('Gather', [c.reshape(c.input(0), [sizeOf(dims)]), c.list(...chosen)])];
  }
  const axis = node.axis(node.integer('axis', 0), dims.length);
  return [c.op('Gather', [c.input(0), c.list(...chosen)], { axis })];
});

/** Where the elements of a known tensor are not 0, a row an axis. */
function nonZero(spec: NodeSpec): Plan {
  const node = openNode(spec, ['X']);
  const { dims } = node.required('X', ANY);
  const places = node.numbers('X', ANY)!.flatMap((value, at) => (value !== 0 ? [at] : []));
  const strides = stridesOf(dims);
  const rows = dims.map((size, d) => places.map((at) => Math.floor(at / strides[d]) % size));
  return { outputs: [fromWords('int64', [dims.length, places.length], rows.flat())], steps: [] };
}

/** Operators that go by where elements stand: their order, sums up to them, triangles and parts. */
export const positionOperators = {
  TopK: { since: 1, plan: topKOf },
  CumSum: cumSum,
  Trilu: trilu,
  OneHot: oneHot,
  ReverseSequence: reverseSequence,
  CenterCropPad: centerCropPad,
  Compress: compress,
  NonZero: { since: 9, plan: nonZero },
};
