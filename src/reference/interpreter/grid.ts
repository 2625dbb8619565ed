// Sampling by grids: https://onnx.ai/onnx/operators/onnx__GridSample.html.
import type { Call, Definition } from './call.ts';
import { coordinatesOf, elementAt, make, roundHalfEven, sizeOf } from './value.ts';

/** Keys' kernel, a = -0.75. */
function keys(distance: number): number {
  const [a, x] = [-0.75, Math.abs(distance)];
  if (x < 1) return (a + 2) * x ** 3 - (a + 3) * x ** 2 + 1;
  return x < 2 ? a * x ** 3 - 5 * a * x ** 2 + 8 * a * x - 4 * a : 0;
}

/** One axis: its elements and their weights, null for a zero outside. */
function mixture(call: Call, coordinate: number, size: number): [number | null, number][] {
  const align = call.integer('align_corners', 0) === 1;
  const padding = call.text('padding_mode', 'zeros');
  const mode = call.text('mode', 'linear').replace(/^bi/, '');
  const [low, high] = align ? [0, size - 1] : [-0.5, size - 0.5];
  const mirrored = (x: number): number =>
    high <= low ? low : x < low ? mirrored(2 * low - x) : x > high ? mirrored(2 * high - x) : x;
  const inside = (x: number) => Math.min(size - 1, Math.max(0, x));
  let x = align ? ((coordinate + 1) / 2) * (size - 1) : ((coordinate + 1) * size - 1) / 2;
  if (mode === 'nearest') x = roundHalfEven(x);
  // Of a cubic every element is padded by itself.
  if (padding === 'border' && mode !== 'cubic') x = inside(x);
  if (padding === 'reflection' && mode !== 'cubic') x = mirrored(x);
  const element = (at: number) => {
    if (at >= 0 && at < size) return at;
    if (padding === 'zeros') return null;
    return padding === 'border' ? inside(at) : inside(Math.trunc(mirrored(at)));
  };
  if (mode === 'nearest') return [[element(roundHalfEven(x)), 1]];
  const reach = mode === 'cubic' ? 2 : 1;
  return Array.from({ length: 2 * reach }, (_, i): [number | null, number] => {
    const at = Math.floor(x) - reach + 1 + i;
    return [element(at), mode === 'cubic' ? keys(x - at) : 1 - Math.abs(x - at)];
  });
}

const gridSample: Definition = (call) => {
  const [x, grid] = [call.input(0), call.input(1)];
  const size = x.dims.slice(2);
  return [
    make(x.dtype, [...x.dims.slice(0, 2), ...grid.dims.slice(1, -1)], ([n, channel, ...place]) => {
      const along = size.map((length, axis) =>
        // The grid has x first, which is the last dimension.
        mixture(call, elementAt(grid, [n, ...place, size.length - 1 - axis]), length),
      );
      const sum = (taken: number[], axis: number): number =>
        axis === size.length
          ? elementAt(x, [n, channel, ...taken])
          : along[axis].reduce(
              (total, [at, weight]) => total + (at === null ? 0 : weight * sum([...taken, at], axis + 1)),
              0,
            );
      return sum([], 0);
    }),
  ];
};

const affineGrid: Definition = (call) => {
  const theta = call.input(0);
  const [batch, , ...spatial] = call.input(1).data;
  const rank = spatial.length;
  const align = call.integer('align_corners', 0) === 1;
  const at = (place: number, length: number) => {
    if (!align) return (2 * place + 1) / length - 1;
    return length === 1 ? 0 : (2 * place) / (length - 1) - 1;
  };
  const count = sizeOf(spatial);
  return [
    make(theta.dtype, [batch, ...spatial, rank], (_, index) => {
      const [n, place, row] = coordinatesOf(index, [batch, count, rank]);
      const own = coordinatesOf(place, spatial)
        .map((i, axis) => at(i, spatial[axis]))
        .reverse();
      return [...own, 1].reduce((sum, own, k) => sum + own * elementAt(theta, [n, row, k]), 0);
    }),
  ];
};

export const grids: Readonly<Record<string, Definition>> = { GridSample: gridSample, AffineGrid: affineGrid };
