import { check } from '../gpu/errors.ts';
import { stridesOf } from '../graph/ops/layout.ts';
import { sizeOf } from '../graph/ops/tensors.ts';
import { TO_THE_END, type Value } from './graph-builder.ts';
import { ofOneType, type Reading, rawInteger, type Write } from './graph-node.ts';
import { pad, padSymmetric } from './image-nodes.ts';

/** A list of sizes or positions for an ONNX input, from TensorFlow's int32. */
const asList = (r: Reading, index: number, key: string) =>
  r.b.cast(`${r.name}/${key}`, r.input(index), 'int64');

const concat =
  (axisFirst: boolean): Write =>
  (r) => {
    const count = r.attribute('n', 2);
    const axis = r.number(axisFirst ? 0 : count, 'axis');
    const values = ofOneType(r, r.inputs(axisFirst ? 1 : 0, count));
    return values.length === 1 ? values[0] : r.b.add('Concat', r.name, values, { axis });
  };

const pack: Write = (r) => {
  const { b, name } = r;
  const count = r.node.inputs.filter(({ op }) => op !== 'NoOp').length;
  const axis = r.attribute('axis', 0);
  const values = ofOneType(r, r.inputs(0, count));
  const { rank } = values[0];
  const whole = values.map((value, i) => {
    const own = `${name}/${i}`;
    // tfjs takes [1] beside a scalar.
    const alike = rank === 0 && value.rank !== 0 ? b.reshape(`${own}/scalar`, value, []) : value;
    if (alike.exact && alike.data && axis >= 0) {
      return b.reshape(`${own}/packed`, alike, alike.dims!.toSpliced(axis, 0, 1));
    }
    return b.unsqueeze(own, alike, [axis]);
  });
  return whole.length === 1 ? whole[0] : b.add('Concat', name, whole, { axis });
};

const unpack: Write = (r) => {
  const { b, name } = r;
  const x = r.input(0);
  const axis = r.attribute('axis', 0);
  const rank = b.rank(x);
  const count = rawInteger(r.node, 'num') ?? (x.exact ? x.dims![axis < 0 ? axis + rank : axis] : 0);
  check(count > 0, 'how many parts it has must be given', count);
  const parts =
    count === 1 ? [x] : b.several('Split', `${name}/parts`, [x], { axis, num_outputs: count }, count);
  return parts.map((part, i) => b.squeeze(i === 0 ? name : `${name}:${i}`, part, [axis]));
};

const split: Write = (r) => {
  const { b, name } = r;
  const count = r.attribute('numOrSizeSplits', 1);
  const x = r.input(1);
  const axis = r.number(0, 'axis');
  if (count === 1) return [x];
  return b.several('Split', name, [x], { axis, num_outputs: count }, count);
};

/** Parts of given sizes, one of which may be what is left. */
const splitV: Write = (r) => {
  const { b, name } = r;
  const [x, sizes, axis] = [r.input(0), r.numbers(1, 'sizes'), r.number(2, 'axis')];
  if (sizes.length === 1) return [x];
  const rest = sizes.indexOf(-1);
  if (rest < 0) {
    return b.several('Split', name, [x, b.integers(`${name}/sizes`, sizes)], { axis }, sizes.length);
  }
  // Parts behind what is left are counted from the end.
  const sum = (list: number[]) => list.reduce((total, size) => total + size, 0);
  return sizes.map((_, i) => {
    const start = i <= rest ? sum(sizes.slice(0, i)) : -sum(sizes.slice(i));
    const behind = sum(sizes.slice(i + 1));
    const end = i < rest ? start + sizes[i] : behind === 0 ? TO_THE_END : -behind;
    return b.slice(i === 0 ? name : `${name}:${i}`, x, [axis], [start], [end]);
  });
};

const slice: Write = (r) => {
  const { b, name } = r;
  const x = r.input(0);
  const [begin, size] = [1, 2].map((index) => b.known(r.input(index)));
  if (begin && size) {
    const axes = begin.flatMap((start, i) => (start !== 0 || size[i] !== -1 ? [i] : []));
    if (axes.length === 0) return b.add('Identity', name, [x]);
    const ends = axes.map((i) => (size[i] === -1 ? TO_THE_END : begin[i] + size[i]));
    return b.slice(
      name,
      x,
      axes,
      axes.map((i) => begin[i]),
      ends,
    );
  }
  const [start, length] = [asList(r, 1, 'begin'), asList(r, 2, 'size')];
  const open = b.add('Equal', `${name}/open`, [length, b.integers(`${name}/all`, [-1])]);
  const end = b.add('Add', `${name}/sum`, [start, length]);
  return b.add('Slice', name, [
    x,
    start,
    b.add('Where', `${name}/end`, [open, b.integers(`${name}/last`, [TO_THE_END]), end]),
  ]);
};

/** Paddings as ONNX has them: all before, then all behind. */
const padded: Write = (r) => {
  const { b, name, node } = r;
  const x = r.input(0);
  const known = b.known(r.input(1));
  const value = node.op === 'PadV2' ? r.input(2) : null;
  const fill =
    value !== null
      ? b.cast(`${name}/fill`, value, x.dtype)
      : r.attribute('constantValue', 0) !== 0
        ? b.scalar(`${name}/fill`, r.attribute('constantValue', 0), x.dtype)
        : undefined;
  const symmetric = /symmetric/i.test(r.attribute('mode', 'constant'));
  const mode = node.op === 'MirrorPad' ? 'reflect' : 'constant';
  if (!known) {
    check(!symmetric, 'its paddings must be constant', node.inputNames[1]);
    const columns = b.transpose(`${name}/columns`, asList(r, 1, 'paddings'), [1, 0]);
    const list = b.reshape(`${name}/pads`, columns, [-1]);
    return b.add('Pad', name, [x, list, ...(fill ? [fill] : [])], mode === 'constant' ? {} : { mode });
  }
  const pads = Array.from({ length: known.length / 2 }, (_, i): [number, number] => [
    known[2 * i],
    known[2 * i + 1],
  ]);
  return symmetric ? padSymmetric(b, name, x, pads) : pad(b, name, x, pads, { mode, fill });
};

const reshape: Write = (r) => {
  const known = r.b.known(r.input(1));
  const shape = asList(r, 1, 'shape');
  // A size of 0 is one here, and no copy of the input's.
  return r.b.add('Reshape', r.name, [r.input(0), shape], known?.includes(0) ? { allowzero: 1 } : {});
};

const transpose: Write = (r) => r.b.transpose(r.name, r.input(0), r.numbers(1, 'permutation'));

const gather =
  (axisIsGiven: boolean): Write =>
  (r) => {
    const { b, name } = r;
    const [x, at] = [r.input(0), b.cast(`${name}/at`, r.input(1), 'int32')];
    const axis = axisIsGiven && r.has(2) ? r.number(2, 'axis') : 0;
    const batches = r.attribute('batchDims', 0);
    if (batches === 0) return b.add('Gather', name, [x, at], { axis });
    const rank = b.rank(x);
    check(
      axis === batches || axis === batches - rank,
      'it must gather along the first axis behind its batch dimensions',
      { axis, batchDims: batches },
    );
    return gatherInBatches(r, x, at, batches);
  };

/** Positions that begin anew in every batch, as positions in all of them one after the other. */
function gatherInBatches({ b, name }: Reading, x: Value, at: Value, batches: number): Value {
  const sizes = Array.from({ length: b.rank(x) }, (_, axis) => b.size(`${name}/size/${axis}`, x, axis));
  const shape = (key: string, parts: (number | Value)[]) => b.list(`${name}/${key}`, parts);
  const flat = b.add('Reshape', `${name}/flat`, [x, shape('rows', [-1, ...sizes.slice(batches + 1)])]);
  const count = sizes
    .slice(0, batches)
    .reduce(
      (all, size, i) => b.add('Mul', `${name}/count/${i}`, [all, size]),
      b.integers(`${name}/one`, [1]),
    );
  const scalars = [b.scalar(`${name}/zero`, 0, 'int64'), b.squeeze(`${name}/end`, count, [0])];
  const batch = b.add('Range', `${name}/batch`, [...scalars, b.scalar(`${name}/step`, 1, 'int64')]);
  const starts = b.add('Mul', `${name}/starts`, [batch, sizes[batches]]);
  const ones = Array.from({ length: b.rank(at) - batches }, () => 1);
  const spread = b.add('Reshape', `${name}/spread`, [
    b.cast(`${name}/starts`, starts, 'int32'),
    shape('batches', [...sizes.slice(0, batches), ...ones]),
  ]);
  return b.add('Gather', name, [flat, b.add('Add', `${name}/places`, [at, spread])], { axis: 0 });
}

/** Elements by lists of positions. */
const gatherNd: Write = (r) => r.b.add('GatherND', r.name, [r.input(0), asList(r, 1, 'at')]);

/** Updates at lists of positions: over zeros of a shape, where those that meet are summed, or over a tensor. */
const scatterNd: Write = (r) => {
  const { b, name } = r;
  if (r.node.op === 'TensorScatterUpdate') {
    const [x, updates] = ofOneType(r, [r.input(0), r.input(2)]);
    return b.add('ScatterND', name, [x, asList(r, 1, 'at'), updates]);
  }
  const updates = r.input(1);
  const zeros = filled(r, b.scalar(`${name}/zero`, 0, updates.dtype), asList(r, 2, 'shape'), `${name}/zeros`);
  return b.add('ScatterND', name, [zeros, asList(r, 0, 'at'), updates], { reduction: 'add' });
};

/** The largest elements of rows, and where they lie. */
const topK: Write = (r) => {
  const { b, name } = r;
  const k = b.integers(`${name}/k`, [r.number(1, 'k')]);
  const [values, places] = b.several('TopK', name, [r.input(0), k], { axis: -1 }, 2);
  return [values, b.cast(`${name}:1`, places, 'int32')];
};

const cumSum: Write = (r) => {
  const attributes = {
    exclusive: Number(r.attribute('exclusive', false)),
    reverse: Number(r.attribute('reverse', false)),
  };
  const axis = r.b.scalar(`${r.name}/axis`, r.number(1, 'axis'), 'int64');
  return r.b.add('CumSum', r.name, [r.input(0), axis], attributes);
};

/** A matrix's band: so many diagonals on either side of the main one. */
const band: Write = (r) => {
  const { b, name } = r;
  const [below, above] = [r.number(1, 'lower band'), r.number(2, 'upper band')];
  check(
    below >= 0 && below === above,
    'its bands must be equal: tfjs takes the lower one for both (tfjs-converter 4.22)',
    [below, above],
  );
  const cut = (own: string, x: Value, k: number, upper: number) =>
    b.add('Trilu', own, [x, b.scalar(`${own}/k`, k, 'int64')], { upper });
  return cut(name, cut(`${name}/lower`, r.input(0), -below, 1), above, 0);
};

const linearSpace: Write = (r) => {
  const [start, stop, count] = ['start', 'stop', 'number'].map((what, i) => r.number(i, what));
  const step = (stop - start) / Math.max(1, count - 1);
  const data = Float32Array.from({ length: count }, (_, i) => start + i * step);
  return r.b.floats(r.name, [count], data);
};

/** What is spread over zeros, or another number, at constant positions: of it and that number every element is gathered. */
const sparseToDense: Write = (r) => {
  const { b, name } = r;
  const [indices, dims] = [r.numbers(0, 'positions'), r.numbers(1, 'shape')];
  const [values, fallback] = ofOneType(r, r.inputs(2, 2));
  const count = indices.length / dims.length;
  const strides = stridesOf(dims);
  const sources = new Int32Array(sizeOf(dims)).fill(count);
  for (let i = 0; i < count; i++) {
    const place = strides.reduce((sum, stride, axis) => sum + stride * indices[i * dims.length + axis], 0);
    check(place >= 0 && place < sources.length, `its positions must lie in [${dims}]`, place);
    sources[place] = i;
  }
  const given = b.add('Expand', `${name}/given`, [values, b.integers(`${name}/count`, [count])]);
  const last = b.reshape(`${name}/last`, fallback, [1]);
  const all = b.add('Concat', `${name}/all`, [given, last], { axis: 0 });
  const from = b.constant(`${name}/from`, { dtype: 'int32', dims, data: sources });
  return b.add('Gather', name, [all, from], { axis: 0 });
};

const reverse: Write = (r) => {
  const given = r.numbers(1, 'axes');
  const flags = r.node.op === 'Reverse';
  const axes = flags ? given.flatMap((flag, i) => (flag ? [i] : [])) : given;
  if (axes.length === 0) return r.b.add('Identity', r.name, [r.input(0)]);
  const all = (value: number) => axes.map(() => value);
  return r.b.slice(r.name, r.input(0), axes, all(-1), all(-TO_THE_END), all(-1));
};

/** As int32, which is what tfjs counts in. */
const counted = (r: Reading, value: Value) => r.b.cast(r.name, value, 'int32');

const filled = (r: Reading, value: Value, shape: Value, name = r.name) =>
  r.b.add('Expand', name, [value, shape]);

/** Of the dims and dtype of the input, every element one number. */
const like =
  (number: number): Write =>
  (r) => {
    const x = r.input(0);
    const shape = r.b.add('Shape', `${r.name}/shape`, [x]);
    return filled(r, r.b.scalar(`${r.name}/value`, number, x.dtype), shape);
  };

const ofShape =
  (number: number): Write =>
  (r) =>
    filled(r, r.b.scalar(`${r.name}/value`, number, r.attribute('dtype', 'float32')), asList(r, 0, 'shape'));

const oneHot: Write = (r) => {
  const { b, name } = r;
  const axis = rawInteger(r.node, 'axis') ?? -1;
  check(axis === -1, 'its axis must be the last', axis);
  const depth = b.scalar(`${name}/depth`, r.number(1, 'depth'), 'int64');
  const [on, off] = ofOneType(r, r.inputs(2, 2)).map((value, i) =>
    b.reshape(`${name}/${i ? 'off' : 'on'}`, value, [1]),
  );
  const values = b.add('Concat', `${name}/values`, [off, on], { axis: 0 });
  return b.add('OneHot', name, [b.cast(`${name}/indices`, r.input(0), 'int64'), depth, values], { axis });
};

/** Batches of blocks of pixels: padded, cut into blocks, blocks in front. */
const spaceToBatch: Write = (r) => {
  const { b, name } = r;
  const block = r.numbers(1, 'block shape');
  const pads = r.numbers(2, 'paddings');
  const [x, rank, m] = [r.input(0), b.rank(r.input(0)), block.length];
  const sides = Array.from({ length: rank }, (_, axis): [number, number] =>
    axis >= 1 && axis <= m ? [pads[2 * axis - 2], pads[2 * axis - 1]] : [0, 0],
  );
  const padded = pad(b, `${name}/padded`, x, sides);
  const size = (axis: number) => b.size(`${name}/size/${axis}`, padded, axis);
  const cut = (axis: number) =>
    b.add('Div', `${name}/blocks/${axis}`, [
      size(axis),
      b.integers(`${name}/block/${axis}`, [block[axis - 1]]),
    ]);
  const rest = Array.from({ length: rank - m - 1 }, (_, i) => size(m + 1 + i));
  const spatial = block.map((_, i) => cut(i + 1));
  const inner = b.list(`${name}/cut`, [size(0), ...spatial.flatMap((own, i) => [own, block[i]]), ...rest]);
  const blocks = b.add('Reshape', `${name}/blocks`, [padded, inner]);
  const [even, odd] = [2, 1].map((first) => block.map((_, i) => first + 2 * i));
  const behind = rest.map((_, i) => 2 * m + 1 + i);
  const moved = b.transpose(`${name}/moved`, blocks, [...even, 0, ...odd, ...behind]);
  return b.add('Reshape', name, [moved, b.list(`${name}/shape`, [-1, ...spatial, ...rest])]);
};

const batchToSpace: Write = (r) => {
  const { b, name } = r;
  const block = r.numbers(1, 'block shape');
  const crops = r.numbers(2, 'crops');
  const [x, rank, m] = [r.input(0), b.rank(r.input(0)), block.length];
  const size = (axis: number) => b.size(`${name}/size/${axis}`, x, axis);
  const sizes = Array.from({ length: rank - 1 }, (_, i) => size(i + 1));
  const parts = b.add('Reshape', `${name}/blocks`, [x, b.list(`${name}/cut`, [...block, -1, ...sizes])]);
  const spatial = block.flatMap((_, i) => [m + 1 + i, i]);
  const behind = sizes.slice(m).map((_, i) => 2 * m + 1 + i);
  const moved = b.transpose(`${name}/moved`, parts, [m, ...spatial, ...behind]);
  const whole = block.map((own, i) =>
    b.add('Mul', `${name}/whole/${i}`, [sizes[i], b.integers(`${name}/block/${i}`, [own])]),
  );
  const joined = b.add('Reshape', `${name}/whole`, [
    moved,
    b.list(`${name}/shape`, [-1, ...whole, ...sizes.slice(m)]),
  ]);
  const axes = block.flatMap((_, i) => (crops[2 * i] !== 0 || crops[2 * i + 1] !== 0 ? [i] : []));
  if (axes.length === 0) return joined;
  const ends = axes.map((i) => (crops[2 * i + 1] === 0 ? TO_THE_END : -crops[2 * i + 1]));
  return b.slice(
    name,
    joined,
    axes.map((i) => i + 1),
    axes.map((i) => crops[2 * i]),
    ends,
  );
};

const passed: Write = (r) => r.input(0);

/** What moves elements, or is known of shapes. */
export const moveNodes: Readonly<Record<string, Write>> = {
  ...{ Identity: passed, StopGradient: passed, Snapshot: passed, FakeQuantWithMinMaxVars: passed },
  ...{ Print: passed, EnsureShape: passed, PlaceholderWithDefault: passed },
  IdentityN: (r) => r.inputs(0, r.node.inputs.length),
  ...{ ConcatV2: concat(false), Concat: concat(true), Pack: pack, Unpack: unpack },
  ...{ Split: split, SplitV: splitV, Slice: slice, Pad: padded, PadV2: padded, MirrorPad: padded },
  ...{ Reshape: reshape, Transpose: transpose, Gather: gather(false), GatherV2: gather(true) },
  ...{ GatherNd: gatherNd, SparseToDense: sparseToDense, TopKV2: topK, Cumsum: cumSum },
  ...{ ScatterNd: scatterNd, TensorScatterUpdate: scatterNd, MatrixBandPart: band, LinSpace: linearSpace },
  ...{ Reverse: reverse, ReverseV2: reverse, OneHot: oneHot },
  Squeeze: (r) => {
    const axes = r.attribute<number[]>('axis', []);
    return axes.length > 0 ? r.b.squeeze(r.name, r.input(0), axes) : r.b.add('Squeeze', r.name, [r.input(0)]);
  },
  ExpandDims: (r) => r.b.unsqueeze(r.name, r.input(0), [r.number(1, 'axis')]),
  Tile: (r) => r.b.add('Tile', r.name, [r.input(0), asList(r, 1, 'repeats')]),
  BroadcastTo: (r) => filled(r, r.input(0), asList(r, 1, 'shape')),
  Fill: (r) => filled(r, r.input(1), asList(r, 0, 'dims')),
  ...{ ZerosLike: like(0), OnesLike: like(1), Zeros: ofShape(0), Ones: ofShape(1) },
  Shape: (r) => counted(r, r.b.add('Shape', `${r.name}/shape`, [r.input(0)])),
  ShapeN: (r) =>
    r.inputs(0, r.node.inputs.length).map((value, i) => {
      const shape = r.b.add('Shape', `${r.name}/shape/${i}`, [value]);
      return r.b.cast(`${r.name}/${i}`, shape, 'int32');
    }),
  Size: (r) => counted(r, r.b.add('Size', `${r.name}/size`, [r.input(0)])),
  Rank: (r) => r.b.scalar(r.name, r.b.rank(r.input(0)), 'int32'),
  Range: (r) => r.b.add('Range', r.name, ofOneType(r, r.inputs(0, 3))),
  ...{ SpaceToBatchND: spaceToBatch, BatchToSpaceND: batchToSpace },
};
