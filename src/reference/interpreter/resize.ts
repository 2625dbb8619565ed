// Resize and Upsample: https://onnx.ai/onnx/operators/onnx__Resize.html.
import { axisOf, type Call, type Definition } from './call.ts';
import { elementAt, make, type Value } from './value.ts';

interface Axis {
  size: number;
  length: number;
  scale: number;
  start: number;
  end: number;
}

/** Elements of the input that one of the output is made of, with their weights; null outside a crop. */
type Mixture = { at: number; weight: number }[] | null;

/** Where an element of the output lies in the input. */
function originalOf(mode: string, x: number, { size, length, scale, start, end }: Axis): number {
  switch (mode) {
    case 'half_pixel':
      return (x + 0.5) / scale - 0.5;
    case 'half_pixel_symmetric': {
      const adjustment = length / (size * scale);
      return (size / 2) * (1 - adjustment) + (x + 0.5) / scale - 0.5;
    }
    case 'pytorch_half_pixel':
      return length > 1 ? (x + 0.5) / scale - 0.5 : 0;
    case 'align_corners':
      return length > 1 ? (x * (size - 1)) / (length - 1) : 0;
    case 'tf_crop_and_resize':
      if (length === 1) return 0.5 * (start + end) * (size - 1);
      return start * (size - 1) + (x * (end - start) * (size - 1)) / (length - 1);
    case 'tf_half_pixel_for_nn':
      return (x + 0.5) / scale;
    default:
      return x / scale;
  }
}

/** Before opset 11 an axis that shrinks takes the next element, another one the last. */
function nearest(call: Call, x: number, scale: number): number {
  if (call.opset < 11) return scale < 1 ? Math.ceil(x) : Math.floor(x);
  switch (call.text('nearest_mode', 'round_prefer_floor')) {
    case 'floor':
      return Math.floor(x);
    case 'ceil':
      return Math.ceil(x);
    case 'round_prefer_ceil':
      return Math.floor(x + 0.5);
    default:
      return Math.ceil(x - 0.5);
  }
}

const triangle = (x: number) => Math.max(0, 1 - Math.abs(x));

/** Keys' kernel. */
function cubic(distance: number, a: number): number {
  const x = Math.abs(distance);
  if (x < 1) return (a + 2) * x ** 3 - (a + 3) * x ** 2 + 1;
  return x < 2 ? a * x ** 3 - 5 * a * x ** 2 + 8 * a * x - 4 * a : 0;
}

function mixtureAt(call: Call, mode: string, x: number, axis: Axis): Mixture {
  const coordinates = call.text(
    'coordinate_transformation_mode',
    call.opset < 11 ? 'asymmetric' : 'half_pixel',
  );
  const { size, length, scale } = axis;
  if (size === length && scale === 1 && coordinates !== 'tf_crop_and_resize') return [{ at: x, weight: 1 }];
  const from = originalOf(coordinates, x, axis);
  if (coordinates === 'tf_crop_and_resize' && (from < 0 || from > size - 1)) return null;
  const inside = (at: number) => Math.min(size - 1, Math.max(0, at));
  if (mode === 'nearest') return [{ at: inside(nearest(call, from, scale)), weight: 1 }];
  const a = call.float('cubic_coeff_a', -0.75);
  // An antialiased filter is as wide as the axis shrinks.
  const stretch = call.integer('antialias', 0) === 1 ? Math.min(1, scale) : 1;
  const reach = (mode === 'cubic' ? 2 : 1) / stretch;
  const exclude = call.integer('exclude_outside', 0) === 1;
  const taps: { at: number; weight: number }[] = [];
  for (let at = Math.floor(from - reach); at <= from + reach + 1; at++) {
    const distance = (at - from) * stretch;
    const weight = mode === 'cubic' ? cubic(distance, a) : triangle(distance);
    if (weight !== 0 && (at === inside(at) || !exclude)) taps.push({ at: inside(at), weight });
  }
  const total = taps.reduce((sum, { weight }) => sum + weight, 0);
  return taps.map(({ at, weight }) => ({ at, weight: weight / total }));
}

/** The lists of a node: up to opset 8 scales are an attribute, up to 10 its second input, later ones behind a region of interest. */
function axesOf(call: Call, x: Value): Axis[] {
  const rank = x.dims.length;
  const named = call.list('axes')?.map((axis) => axisOf(axis, rank)) ?? x.dims.map((_, i) => i);
  const listed = (place: number) => {
    const value = call.optional(place);
    return value && value.data.length > 0 ? Array.from(value.data) : null;
  };
  const scales = call.opset < 9 ? call.list('scales') : listed(call.opset < 11 ? 1 : 2);
  const sizes = call.opset < 11 ? null : listed(3);
  const cropped = call.text('coordinate_transformation_mode', '') === 'tf_crop_and_resize';
  const roi = cropped ? listed(1) : null;
  const policy = call.text('keep_aspect_ratio_policy', 'stretch');
  const ratios = sizes?.map((length, i) => length / x.dims[named[i]]) ?? [];
  const kept = policy === 'not_larger' ? Math.min(...ratios) : Math.max(...ratios);
  return x.dims.map((size, axis) => {
    const i = named.indexOf(axis);
    if (i < 0) return { size, length: size, scale: 1, start: 0, end: 1 };
    const [start, end] = roi ? [roi[i], roi[i + named.length]] : [0, 1];
    if (scales)
      return { size, length: Math.floor(size * (end - start) * scales[i]), scale: scales[i], start, end };
    if (policy === 'stretch') return { size, length: sizes![i], scale: ratios[i], start, end };
    return { size, length: Math.floor(kept * size + 0.5), scale: kept, start, end };
  });
}

/** Every output is the sum of what its coordinates are mixtures of. */
const resize: Definition = (call) => {
  const x = call.input(0);
  const given = call.text('mode', 'nearest');
  const axes = axesOf(call, x);
  const mixtures = axes.map((axis) =>
    Array.from({ length: axis.length }, (_, at) => mixtureAt(call, given, at, axis)),
  );
  const outside = call.float('extrapolation_value', 0);
  const sumOf = (at: readonly number[], from: readonly number[]): number => {
    const axis = from.length;
    if (axis === at.length) return elementAt(x, from);
    const mixture = mixtures[axis][at[axis]]!;
    return mixture.reduce((sum, tap) => sum + tap.weight * sumOf(at, [...from, tap.at]), 0);
  };
  const lengths = axes.map(({ length }) => length);
  return [
    make(x.dtype, lengths, (at) =>
      at.some((place, axis) => mixtures[axis][place] === null) ? outside : sumOf(at, []),
    ),
  ];
};

export const resizes: Readonly<Record<string, Definition>> = { Resize: resize, Upsample: resize };
