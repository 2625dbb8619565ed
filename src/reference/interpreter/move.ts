// Operators that move elements: https://onnx.ai/onnx/operators/.
import { axisOf, type Definition } from './call.ts';
import { broadcastAt, broadcastDims, elementAt, make } from './value.ts';

const transpose: Definition = (call) => {
  const x = call.input(0);
  const perm = call.list('perm') ?? x.dims.map((_, i) => x.dims.length - 1 - i);
  const dims = perm.map((axis) => x.dims[axis]);
  return [
    make(x.dtype, dims, (at) =>
      elementAt(
        x,
        x.dims.map((_, axis) => at[perm.indexOf(axis)]),
      ),
    ),
  ];
};

/** Starts and ends count from either end and are clamped; before opset 10 they are attributes, without steps. */
const slice: Definition = (call) => {
  const x = call.input(0);
  const rank = x.dims.length;
  const starts = call.moved('starts', 1, 10)!;
  const ends = call.moved('ends', 2, 10)!;
  const axes = call.moved('axes', 3, 10) ?? starts.map((_, i) => i);
  const steps = call.moved('steps', 4, 10) ?? starts.map(() => 1);
  const picked = x.dims.map((size) => Array.from({ length: size }, (_, i) => i));
  for (const [i, given] of axes.entries()) {
    const axis = axisOf(given, rank);
    const size = x.dims[axis];
    const step = steps[i];
    const counted = (place: number) => (place < 0 ? place + size : place);
    const within = (low: number, place: number, high: number) => Math.min(high, Math.max(low, place));
    const list: number[] = [];
    if (step > 0) {
      const end = within(0, counted(ends[i]), size);
      for (let at = within(0, counted(starts[i]), size); at < end; at += step) list.push(at);
    } else {
      const end = within(-1, counted(ends[i]), size - 1);
      for (let at = within(0, counted(starts[i]), size - 1); at > end; at += step) list.push(at);
    }
    picked[axis] = size === 0 ? [] : list;
  }
  const dims = picked.map((list) => list.length);
  return [
    make(x.dtype, dims, (at) =>
      elementAt(
        x,
        at.map((place, axis) => picked[axis][place]),
      ),
    ),
  ];
};

/** Equal parts unless sizes are given; from opset 18 the last part may be smaller. */
const split: Definition = (call) => {
  const x = call.input(0);
  const axis = axisOf(call.integer('axis', 0), x.dims.length);
  const count = call.integer('num_outputs', call.outputs);
  const most = Math.ceil(x.dims[axis] / count);
  const sizes =
    call.moved('split', 1, 13) ??
    Array.from({ length: count }, (_, i) => Math.max(0, Math.min(most, x.dims[axis] - i * most)));
  let start = 0;
  return sizes.map((size) => {
    const from = start;
    start += size;
    const dims = x.dims.map((own, i) => (i === axis ? size : own));
    return make(x.dtype, dims, (at) =>
      elementAt(
        x,
        at.map((place, i) => (i === axis ? place + from : place)),
      ),
    );
  });
};

const concat: Definition = (call) => {
  const parts = call.given(0);
  const [{ dtype, dims: first }] = parts;
  const axis = axisOf(call.integer('axis', 0), first.length);
  const total = parts.reduce((sum, { dims }) => sum + dims[axis], 0);
  const dims = first.map((size, i) => (i === axis ? total : size));
  return [
    make(dtype, dims, (at) => {
      let place = at[axis];
      const part = parts.find((each) => {
        if (place < each.dims[axis]) return true;
        place -= each.dims[axis];
        return false;
      })!;
      return elementAt(
        part,
        at.map((own, i) => (i === axis ? place : own)),
      );
    }),
  ];
};

/** Where an element beyond the ends comes from; null for the constant. */
function padded(mode: string, place: number, size: number): number | null {
  if (place >= 0 && place < size) return place;
  if (mode === 'constant') return null;
  if (mode === 'edge') return place < 0 ? 0 : size - 1;
  if (mode === 'wrap') return ((place % size) + size) % size;
  if (size === 1) return 0;
  const period = 2 * (size - 1);
  const folded = ((place % period) + period) % period;
  return folded < size ? folded : period - folded;
}

/** Pads and value are attributes up to opset 10; axes can be named from 18 on. */
const pad: Definition = (call) => {
  const x = call.input(0);
  const rank = x.dims.length;
  const mode = call.text('mode', 'constant');
  const pads = call.moved('pads', 1, 11)!;
  const value = call.opset < 11 ? call.float('value', 0) : (call.optional(2)?.data[0] ?? 0);
  const named = call.opset >= 18 ? call.optional(3) : null;
  const axes = named ? Array.from(named.data, (axis) => axisOf(axis, rank)) : x.dims.map((_, i) => i);
  const [before, after] = [x.dims.map(() => 0), x.dims.map(() => 0)];
  for (const [i, axis] of axes.entries()) {
    before[axis] = pads[i];
    after[axis] = pads[i + axes.length];
  }
  const dims = x.dims.map((size, i) => size + before[i] + after[i]);
  return [
    make(x.dtype, dims, (at) => {
      const from = at.map((place, i) => padded(mode, place - before[i], x.dims[i]));
      return from.includes(null) ? value : elementAt(x, from as number[]);
    }),
  ];
};

const expand: Definition = (call) => {
  const x = call.input(0);
  const dims = broadcastDims([x.dims, Array.from(call.input(1).data)]);
  return [make(x.dtype, dims, (at) => broadcastAt(x, at))];
};

const tile: Definition = (call) => {
  const x = call.input(0);
  const dims = x.dims.map((size, i) => size * call.input(1).data[i]);
  return [
    make(x.dtype, dims, (at) =>
      elementAt(
        x,
        at.map((place, i) => place % x.dims[i]),
      ),
    ),
  ];
};

const gather: Definition = (call) => {
  const [x, indices] = [call.input(0), call.input(1)];
  const axis = axisOf(call.integer('axis', 0), x.dims.length);
  const dims = [...x.dims.slice(0, axis), ...indices.dims, ...x.dims.slice(axis + 1)];
  return [
    make(x.dtype, dims, (at) => {
      const end = axis + indices.dims.length;
      const index = elementAt(indices, at.slice(axis, end));
      return elementAt(x, [...at.slice(0, axis), axisOf(index, x.dims[axis]), ...at.slice(end)]);
    }),
  ];
};

/** Blocks of channels become blocks of pixels: DCR has the block's place before the new channel, CRD behind it. */
const depthToSpace: Definition = (call) => {
  const x = call.input(0);
  const block = call.integer('blocksize', 0);
  const columnRowDepth = call.text('mode', 'DCR') === 'CRD';
  const [n, c, h, w] = x.dims;
  const depth = c / (block * block);
  return [
    make(x.dtype, [n, depth, h * block, w * block], ([image, channel, y, column]) => {
      const inBlock = (y % block) * block + (column % block);
      const from = columnRowDepth ? channel * block * block + inBlock : inBlock * depth + channel;
      return elementAt(x, [image, from, Math.floor(y / block), Math.floor(column / block)]);
    }),
  ];
};

const spaceToDepth: Definition = (call) => {
  const x = call.input(0);
  const block = call.integer('blocksize', 0);
  const [n, c, h, w] = x.dims;
  return [
    make(x.dtype, [n, c * block * block, h / block, w / block], ([image, channel, y, column]) => {
      const inBlock = Math.floor(channel / c);
      const row = y * block + Math.floor(inBlock / block);
      return elementAt(x, [image, channel % c, row, column * block + (inBlock % block)]);
    }),
  ];
};

export const moves: Readonly<Record<string, Definition>> = {
  Transpose: transpose,
  Slice: slice,
  Split: split,
  Concat: concat,
  Pad: pad,
  Expand: expand,
  Tile: tile,
  Gather: gather,
  DepthToSpace: depthToSpace,
  SpaceToDepth: spaceToDepth,
};
