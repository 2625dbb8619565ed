import { type Box, copyBox, type Window } from './copy-step.ts';
import { broadcastDims, broadcastStrides, stridesOf } from './layout.ts';
import { type NodeSpec, openNode } from './node.ts';
import type { Operator } from './operator.ts';
import type { Plan, Step } from './plan.ts';
import { sizeOf } from './tensors.ts';
import { ANY, INDICES, numbersOf, type OnnxDType } from './value.ts';

const INPUT = { input: 0 } as const;
const OUTPUT = { output: 0 } as const;

/** A plan of one copy into the only output. */
function moved(
  dtype: OnnxDType,
  dims: readonly number[],
  box: Omit<Box, 'dims'> & { dims?: readonly number[] },
): Plan {
  return { outputs: [{ dtype, dims }], steps: [copyBox(dtype, INPUT, OUTPUT, { dims, ...box })] };
}

function transpose(spec: NodeSpec): Plan {
  const node = openNode(spec, ['data'], ['perm']);
  const { dtype, dims } = node.required('data', ANY);
  const perm = node.list('perm') ?? dims.map((_, i) => dims.length - 1 - i);
  node.ensure(
    perm.length === dims.length && [...perm].sort((a, b) => a - b).every((axis, i) => axis === i),
    `perm must be a permutation of 0 to ${dims.length - 1}`,
    perm,
  );
  const strides = stridesOf(dims);
  return moved(
    dtype,
    perm.map((axis) => dims[axis]),
    { inputStrides: perm.map((axis) => strides[axis]) },
  );
}

function slice(spec: NodeSpec): Plan {
  const lists = ['starts', 'ends', 'axes', 'steps'];
  const asAttributes = spec.opset < 10;
  const node = asAttributes
    ? openNode(spec, ['data'], lists.slice(0, 3))
    : openNode(spec, ['data', ...lists]);
  const { dtype, dims } = node.required('data', ANY);
  const listOf = (name: string) => (asAttributes ? node.list(name) : node.integers(name));
  const [starts, ends] = [listOf('starts'), listOf('ends')];
  node.ensure(starts && ends, 'starts and ends must be given', starts ? 'no ends' : 'no starts');
  const axes = node.axes(listOf('axes') ?? starts!.map((_, i) => i), dims.length);
  const steps = (asAttributes ? null : listOf('steps')) ?? axes.map(() => 1);
  const lengths = [starts!.length, ends!.length, axes.length, steps.length];
  node.ensure(
    lengths.every((length) => length === lengths[0]),
    'starts, ends, axes and steps must have one length',
    lengths,
  );
  const strides = stridesOf(dims);
  const inputStrides = [...strides];
  const outputDims = [...dims];
  let inputOffset = 0;
  for (const [i, axis] of axes.entries()) {
    const size = dims[axis];
    const by = steps[i];
    node.ensure(by !== 0, 'steps must not be 0', steps);
    // A negative step begins at the last element at most and ends before the first one.
    const [low, high] = by > 0 ? [0, size] : [-1, size - 1];
    const clamped = (value: number, lowest: number) =>
      Math.min(high, Math.max(lowest, value < 0 ? value + size : value));
    const start = clamped(starts![i], Math.max(low, 0));
    const end = clamped(ends![i], low);
    outputDims[axis] = Math.max(0, Math.ceil((end - start) / by));
    inputOffset += start * strides[axis];
    inputStrides[axis] = by * strides[axis];
  }
  if (sizeOf(outputDims) === 0) return { outputs: [{ dtype, dims: outputDims }], steps: [] };
  return moved(dtype, outputDims, { inputStrides, inputOffset });
}

function split(spec: NodeSpec): Plan {
  const names = ['axis', ...(spec.opset < 13 ? ['split'] : []), ...(spec.opset >= 18 ? ['num_outputs'] : [])];
  const node = openNode(spec, spec.opset < 13 ? ['input'] : ['input', 'split'], names);
  const { dtype, dims } = node.required('input', ANY);
  const axis = node.axis(node.integer('axis', 0), dims.length);
  const given = spec.opset < 13 ? node.list('split') : node.integers('split');
  const asked = node.integer('num_outputs', 0);
  node.ensure(!given || asked === 0, 'split and num_outputs exclude each other', 'both');
  const parts = given ?? equalParts(node, dims[axis], asked || (spec.outputs ?? 0), spec.opset >= 18);
  node.ensure(
    parts.every((size) => size >= 0) && parts.reduce((a, b) => a + b, 0) === dims[axis],
    `split must be sizes that add up to the ${dims[axis]} elements of axis ${axis}`,
    parts,
  );
  const inputStrides = stridesOf(dims);
  let start = 0;
  const outputs = parts.map((size) => ({ dtype, dims: dims.map((own, d) => (d === axis ? size : own)) }));
  const steps = outputs.map((output, i) => {
    const inputOffset = start * inputStrides[axis];
    start += parts[i];
    return copyBox(dtype, INPUT, { output: i }, { dims: output.dims, inputStrides, inputOffset });
  });
  return { outputs, steps };
}

/** As many equal parts as asked; from opset 18 the last one may be smaller. */
function equalParts(
  node: ReturnType<typeof openNode>,
  size: number,
  count: number,
  ragged: boolean,
): number[] {
  const how = ragged ? 'split or num_outputs' : 'split, or the number of outputs,';
  node.ensure(Number.isInteger(count) && count >= 1, `${how} must be given`, count || 'none');
  const each = Math.ceil(size / count);
  node.ensure(
    ragged ? each * (count - 1) <= size : each * count === size,
    `the axis must split into ${count} parts`,
    size,
  );
  return Array.from({ length: count }, (_, i) => (i + 1 < count ? each : size - each * (count - 1)));
}

function concat(spec: NodeSpec): Plan {
  const node = openNode(spec, ['inputs...'], ['axis']);
  const values = node.variadic(ANY);
  const [{ dtype, dims: first }] = values;
  node.ensure(node.attribute('axis') !== undefined, 'axis must be given', 'none');
  const axis = node.axis(node.integer('axis', 0), first.length);
  for (const [i, { dims }] of values.entries()) {
    node.ensure(
      dims.length === first.length && dims.every((size, d) => d === axis || size === first[d]),
      `input ${i} must have the dims of input 0, [${first}], except along axis ${axis}`,
      dims,
    );
  }
  const total = values.reduce((sum, value) => sum + value.dims[axis], 0);
  const dims = first.map((size, d) => (d === axis ? total : size));
  const outputStrides = stridesOf(dims);
  let start = 0;
  const steps = values.flatMap((value, i): Step[] => {
    const outputOffset = start * outputStrides[axis];
    start += value.dims[axis];
    if (sizeOf(value.dims) === 0) return [];
    const box = { dims: value.dims, inputStrides: stridesOf(value.dims), outputStrides, outputOffset };
    return [copyBox(dtype, { input: i }, OUTPUT, box)];
  });
  return { outputs: [{ dtype, dims }], steps };
}

function pad(spec: NodeSpec): Plan {
  const asAttributes = spec.opset < 11;
  const names = ['data', 'pads', 'constant_value', ...(spec.opset >= 18 ? ['axes'] : [])];
  const node = asAttributes
    ? openNode(spec, ['data'], ['mode', 'pads', 'value'])
    : openNode(spec, names, ['mode']);
  const { dtype, dims } = node.required('data', ANY);
  const modes = (['constant', 'reflect', 'edge', 'wrap'] as const).slice(0, spec.opset >= 19 ? 4 : 3);
  const mode = node.choice('mode', modes, 'constant');
  const pads = asAttributes ? node.list('pads') : node.integers('pads');
  node.ensure(pads, 'pads must be given', 'none');
  const named = spec.opset >= 18 ? node.integers('axes') : null;
  const axes = named ? node.axes(named, dims.length) : dims.map((_, i) => i);
  node.ensure(
    pads!.length === axes.length * 2,
    `pads must be ${axes.length * 2} numbers: before and after each of ${axes.length} axes`,
    pads,
  );
  const outputDims = [...dims];
  const windows: (Window | null)[] = dims.map(() => null);
  for (const [i, axis] of axes.entries()) {
    const [before, after] = [pads![i], pads![i + axes.length]];
    outputDims[axis] += before + after;
    node.ensure(outputDims[axis] >= 0, `pads must leave a size of 0 or more along axis ${axis}`, [
      before,
      after,
    ]);
    if (before !== 0 || after !== 0) windows[axis] = { start: -before, limit: dims[axis], mode };
    node.ensure(
      mode === 'constant' || dims[axis] > 0 || outputDims[axis] === 0,
      `mode must be constant to pad an empty axis`,
      mode,
    );
  }
  const value = asAttributes ? null : node.optional('constant_value', [dtype]);
  node.ensure(!value || sizeOf(value.dims) === 1, 'constant_value must be a scalar', value?.dims);
  const fill = value ? { input: 2 } : asAttributes ? node.float('value', 0) : 0;
  return moved(dtype, outputDims, { inputStrides: stridesOf(dims), windows, fill });
}

function expand(spec: NodeSpec): Plan {
  const node = openNode(spec, ['input', 'shape']);
  const { dtype, dims } = node.required('input', ANY);
  const shape = node.integers('shape');
  node.ensure(
    shape?.every((size) => size >= 0),
    'shape must be a list of sizes',
    shape ?? 'none',
  );
  const full = broadcastDims(`${spec.operator}: the dims and the shape`, [dims, shape!]);
  return moved(dtype, full, { inputStrides: broadcastStrides(dims, full) });
}

function tile(spec: NodeSpec): Plan {
  const node = openNode(spec, ['input', 'repeats']);
  const { dtype, dims } = node.required('input', ANY);
  const repeats = node.integers('repeats');
  node.ensure(
    repeats?.length === dims.length && repeats.every((count) => count >= 0),
    `repeats must be ${dims.length} counts`,
    repeats ?? 'none',
  );
  const strides = stridesOf(dims);
  const box = dims.flatMap((size, d) => [repeats![d], size]);
  const inputStrides = dims.flatMap((_, d) => [0, strides[d]]);
  const outputDims = dims.map((size, d) => size * repeats![d]);
  return { ...moved(dtype, outputDims, { dims: box, inputStrides }) };
}

function gather(spec: NodeSpec): Plan {
  const node = openNode(spec, ['data', 'indices'], ['axis']);
  const { dtype, dims } = node.required('data', ANY);
  const indices = node.required('indices', INDICES);
  const axis = node.axis(node.integer('axis', 0), dims.length);
  const limit = dims[axis];
  const outside = indices.data && numbersOf(indices).find((at) => at < -limit || at >= limit);
  node.ensure(outside === undefined, `indices must be from ${-limit} to ${limit - 1}`, outside);
  const [before, after] = [dims.slice(0, axis), dims.slice(axis + 1)];
  const inner = sizeOf(after);
  const box = [sizeOf(before), sizeOf(indices.dims), inner];
  return moved(dtype, [...before, ...indices.dims, ...after], {
    dims: box,
    inputStrides: [limit * inner, inner, 1],
    windows: [null, { start: 0, limit, mode: 'gather' }, null],
    indices: { input: 1 },
  });
}

/** Blocks of channels to blocks of pixels or back: one copy of six axes. */
function blocks(toDepth: boolean) {
  return (spec: NodeSpec): Plan => {
    const hasMode = !toDepth && spec.opset >= 11;
    const node = openNode(spec, ['input'], hasMode ? ['blocksize', 'mode'] : ['blocksize']);
    const { dtype, dims } = node.required('input', ANY);
    node.ensure(dims.length === 4, 'input must have the dims N, C, H, W', dims);
    const size = node.integer('blocksize', 0);
    node.ensure(size >= 1, 'blocksize must be at least 1', size);
    const mode = node.choice('mode', ['DCR', 'CRD'], 'DCR');
    const [n, c, h, w] = dims;
    const fits = toDepth ? h % size === 0 && w % size === 0 : c % (size * size) === 0;
    node.ensure(fits, toDepth ? 'blocksize must divide H and W' : 'blocksize^2 must divide C', dims);
    if (toDepth) {
      const [rows, columns] = [h / size, w / size];
      return moved(dtype, [n, c * size * size, rows, columns], {
        dims: [n, size, size, c, rows, columns],
        inputStrides: [c * h * w, w, 1, h * w, size * w, size],
      });
    }
    const depth = c / (size * size);
    // Where in the channels the block's row and column and the new channel lie.
    const [row, column, channel] = mode === 'DCR' ? [size * depth, depth, 1] : [size, 1, size * size];
    return moved(dtype, [n, depth, h * size, w * size], {
      dims: [n, depth, h, size, w, size],
      inputStrides: [c * h * w, channel * h * w, w, row * h * w, 1, column * h * w],
    });
  };
}

/** Operators that move elements. */
export const moveOperators = {
  Transpose: { since: 1, plan: transpose },
  Slice: { since: 1, plan: slice },
  Split: { since: 2, plan: split },
  Concat: { since: 4, plan: concat },
  Pad: { since: 2, plan: pad },
  Expand: { since: 8, plan: expand },
  Tile: { since: 6, plan: tile },
  Gather: { since: 1, plan: gather },
  DepthToSpace: { since: 1, plan: blocks(false) },
  SpaceToDepth: { since: 1, plan: blocks(true) },
} satisfies Readonly<Record<string, Operator>>;
