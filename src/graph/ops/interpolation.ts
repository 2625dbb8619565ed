// Where Resize's outputs lie in the input, in float32 as ONNX Runtime computes it: ties of nearest depend on it.

export const COORDINATE_MODES = [
  ...(['half_pixel', 'half_pixel_symmetric', 'pytorch_half_pixel', 'align_corners', 'asymmetric'] as const),
  ...(['tf_crop_and_resize', 'tf_half_pixel_for_nn'] as const),
] as const;
export type CoordinateMode = (typeof COORDINATE_MODES)[number];
export const NEAREST_MODES = ['round_prefer_floor', 'round_prefer_ceil', 'floor', 'ceil'] as const;
/** `simple` is that of opsets up to 10: upwards when an axis shrinks, else downwards. */
export type NearestMode = (typeof NEAREST_MODES)[number] | 'simple';

/** One axis to resize. */
export interface ResizedAxis {
  size: number;
  length: number;
  scale: number;
  /** Start and end of the region of interest, in parts of the axis. */
  roi: readonly [number, number];
}

const f = Math.fround;

/** The place in the input of output `x`. */
function coordinateOf(mode: CoordinateMode, x: number, { size, length, scale, roi }: ResizedAxis): number {
  const middle = f(f(x + 0.5) / scale);
  const centred = f(middle - 0.5);
  switch (mode) {
    case 'half_pixel':
      return centred;
    case 'half_pixel_symmetric': {
      const adjustment = f(length / f(scale * size));
      return f(f(f((size / 2) * f(1 - adjustment)) + middle) - 0.5);
    }
    case 'pytorch_half_pixel':
      return length > 1 ? centred : 0;
    // By the whole length, as ONNX Runtime; ONNX's reference takes scale * size, whole or not.
    case 'align_corners':
      return length > 1 ? f(f(x * (size - 1)) / (length - 1)) : 0;
    case 'asymmetric':
      return f(x / scale);
    case 'tf_half_pixel_for_nn':
      return middle;
    case 'tf_crop_and_resize': {
      const [start, end] = roi;
      if (length === 1) return f(0.5 * f(start + end) * (size - 1));
      return f(f(start * (size - 1)) + f(f(f(x * f(end - start)) * (size - 1)) / (length - 1)));
    }
  }
}

/** Whether the crop asks for what lies outside the input. */
const isOutside = (mode: CoordinateMode, at: number, size: number) =>
  mode === 'tf_crop_and_resize' && (at < 0 || at > size - 1);

/** Per output the input's index; the axis's size stands for what lies outside. */
export function nearestPlaces(mode: CoordinateMode, nearest: NearestMode, axis: ResizedAxis): number[] {
  const { size, length, scale } = axis;
  return Array.from({ length }, (_, x) => {
    const at = coordinateOf(mode, x, axis);
    if (isOutside(mode, at, size)) return size;
    const rounded = {
      round_prefer_floor: Math.ceil(at - 0.5),
      round_prefer_ceil: Math.floor(at + 0.5),
      floor: Math.floor(at),
      ceil: Math.ceil(at),
      simple: scale < 1 ? Math.ceil(at) : Math.floor(at),
    }[nearest];
    return Math.min(size - 1, Math.max(0, rounded));
  });
}

/** An interpolating filter: its reach and its weight at a distance. */
export interface Filter {
  support: number;
  weight(distance: number): number;
}

export const linearFilter: Filter = { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) };

/** Keys' cubic convolution. */
export const cubicFilter = (a: number): Filter => ({
  support: 2,
  weight(distance) {
    const x = Math.abs(distance);
    if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
  },
});

/** Tables of shaders/resample.wgsl. */
export interface Tables {
  taps: number;
  places: Int32Array;
  weights: Float32Array;
}

/** What every output of an axis averages; `antialias` stretches the filter where the axis shrinks. */
export function resampleTables(
  mode: CoordinateMode,
  filter: Filter,
  axis: ResizedAxis,
  { antialias, excludeOutside }: { antialias: boolean; excludeOutside: boolean },
): Tables {
  const { size, length, scale } = axis;
  const shrink = antialias ? Math.min(1, scale) : 1;
  const reach = filter.support / shrink;
  const rows = Array.from({ length }, (_, x) => {
    const at = coordinateOf(mode, x, axis);
    if (isOutside(mode, at, size)) return [[-1, 0]];
    const row: number[][] = [];
    for (let i = Math.ceil(at - reach); i <= Math.floor(at + reach); i++) {
      const outside = i < 0 || i >= size;
      const weight = excludeOutside && outside ? 0 : filter.weight((i - at) * shrink);
      // Beyond its ends the input goes on as it ends.
      if (weight !== 0) row.push([Math.min(size - 1, Math.max(0, i)), weight]);
    }
    const total = row.reduce((sum, [, weight]) => sum + weight, 0);
    return row.map(([place, weight]) => [place, weight / total]);
  });
  const taps = Math.max(1, ...rows.map((row) => row.length));
  const places = new Int32Array(length * taps);
  const weights = new Float32Array(length * taps);
  for (const [j, row] of rows.entries()) {
    for (const [t, [place, weight]] of row.entries()) {
      places[j * taps + t] = place;
      weights[j * taps + t] = weight;
    }
  }
  return { taps, places, weights };
}
