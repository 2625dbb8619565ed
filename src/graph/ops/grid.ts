import { gridSample } from '../../kernels/grid-sample.ts';
import { composed, relabelled } from './compose.ts';
import { type NodeSpec, openNode } from './node.ts';
import type { Operator } from './operator.ts';
import { type Plan, step } from './plan.ts';
import { sizeOf } from './tensors.ts';
import { FLOATS, INDICES } from './value.ts';

/** Up to opset 19 an image alone, and its modes by the names of two dimensions. */
function sample(spec: NodeSpec): Plan {
  const node = openNode(spec, ['X', 'grid'], ['align_corners', 'mode', 'padding_mode']);
  const { dtype, dims } = node.required('X', FLOATS);
  const grid = node.required('grid', FLOATS).dims;
  const newer = spec.opset >= 20;
  const rank = dims.length - 2;
  node.ensure(rank === 2 || (newer && rank === 3), `X must have rank 4${newer ? ' or 5' : ''}`, dims);
  const names = newer
    ? (['linear', 'nearest', 'cubic'] as const)
    : (['bilinear', 'nearest', 'bicubic'] as const);
  const mode = (names as readonly string[]).indexOf(
    node.choice('mode', names as readonly string[], names[0]),
  );
  node.ensure(mode < 2 || rank === 2, 'mode must be linear or nearest for volumes', names[mode]);
  const paddings = ['zeros', 'border', 'reflection'] as const;
  const padding = paddings.indexOf(node.choice('padding_mode', paddings, 'zeros'));
  node.ensure(
    grid.length === rank + 2 && grid[0] === dims[0] && grid.at(-1) === rank,
    `grid must have the batch of X, ${rank} dimensions and ${rank} coordinates`,
    grid,
  );
  const [channels, ...size] = dims.slice(1);
  const output = [dims[0], channels, ...grid.slice(1, -1)];
  node.ensure(sizeOf(size) > 0 || sizeOf(output) === 0, 'X must not be empty', dims);
  const [depth, height, width] = rank === 3 ? size : [1, ...size];
  const places = Math.max(1, sizeOf(grid.slice(1, -1)));
  return {
    outputs: [{ dtype, dims: output }],
    steps: [
      step(
        gridSample,
        { MODE: mode, PADDING: padding, ALIGN: Number(node.flag('align_corners', false)), RANK: rank },
        { input: { input: 0 }, grid: { input: 1 }, output: { output: 0 } },
        { count: sizeOf(output), channels: Math.max(1, channels), depth, height, width, places },
      ),
    ],
  };
}

/** A grid of places, each moved by a matrix: what GridSample reads. */
const affineGrid = composed(20, ['theta', 'size'], ['align_corners'], (c, node) => {
  const { dtype, dims } = node.required('theta', FLOATS);
  node.required('size', INDICES);
  const size = node.integers('size')!;
  const rank = size.length - 2;
  node.ensure(rank === 2 || rank === 3, 'size must have 4 or 5 elements', size);
  node.ensure(
    `${dims}` === `${[size[0], rank, rank + 1]}`,
    `theta must have the dims [${[size[0], rank, rank + 1]}]`,
    dims,
  );
  const align = node.flag('align_corners', false);
  const spatial = size.slice(2);
  const count = sizeOf(spatial);
  node.bounded([count, rank + 1], 2 ** 27);
  const at = (index: number, length: number) =>
    align ? (length > 1 ? (2 * index) / (length - 1) - 1 : 0) : (2 * index + 1) / length - 1;
  const base = new Float64Array(count * (rank + 1)).fill(1);
  for (let place = 0; place < count; place++) {
    let rest = place;
    for (let axis = rank - 1; axis >= 0; axis--) {
      // x first, which is the last dimension.
      base[place * (rank + 1) + rank - 1 - axis] = at(rest % spatial[axis], spatial[axis]);
      rest = Math.floor(rest / spatial[axis]);
    }
  }
  const grid = c.op('MatMul', [
    c.constant('float32', base, [1, count, rank + 1]),
    c.transpose(c.float(0), [0, 2, 1]),
  ]);
  return [relabelled(c.reshape(grid, [size[0], ...spatial, rank]), dtype)];
});

/** Sampling by grids. */
export const gridOperators = {
  GridSample: { since: 16, plan: sample },
  AffineGrid: affineGrid,
} satisfies Readonly<Record<string, Operator>>;
