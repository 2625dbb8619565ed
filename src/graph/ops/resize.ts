import { resample } from '../../kernels/resample.ts';
import { copyBox } from './copy-step.ts';
import {
  COORDINATE_MODES,
  type CoordinateMode,
  cubicFilter,
  type Filter,
  linearFilter,
  NEAREST_MODES,
  type NearestMode,
  nearestPlaces,
  type ResizedAxis,
  resampleTables,
} from './interpolation.ts';
import { stridesOf } from './layout.ts';
import { type Node, type NodeSpec, openNode } from './node.ts';
import type { Operator } from './operator.ts';
import { type Operand, type Plan, type Step, step } from './plan.ts';
import { pointwise } from './pointwise-step.ts';
import { sizeOf } from './tensors.ts';
import { ANY, FLOATS, isFloat, type OnnxDType, type Value } from './value.ts';

const INPUT = { input: 0 } as const;
const OUTPUT = { output: 0 } as const;

/** An axis has a table as long as it becomes. */
const LONGEST = 2 ** 24;

/** What a node asks for, whatever its opset calls it. */
interface Asked {
  mode: 'nearest' | 'linear' | 'cubic';
  coordinates: CoordinateMode;
  nearest: NearestMode;
  axes: ResizedAxis[];
  extrapolation: number;
  antialias: boolean;
  excludeOutside: boolean;
  cubic: number;
}

/** Every axis of X at its new length, from scales or sizes along `named` ones. */
function resizedAxes(node: Node, x: Value, mode: CoordinateMode): ResizedAxis[] {
  const rank = x.dims.length;
  const listed = node.opset >= 18 ? node.list('axes') : null;
  const named = listed ? node.axes(listed, rank) : x.dims.map((_, i) => i);
  const attribute = node.attribute('scales') as ArrayLike<number> | undefined;
  const scales = attribute ? Array.from(attribute, Math.fround) : node.numbers('scales', ['float32']);
  const sizes = node.opset >= 11 ? node.integers('sizes') : null;
  const cropped = mode === 'tf_crop_and_resize';
  const roi = node.opset >= 11 && cropped ? node.numbers('roi', FLOATS) : null;
  // Up to opset 12 scales had to be there; an empty list then meant none.
  const [byScale, bySize] = [!!scales?.length, !!sizes?.length];
  node.ensure(
    byScale !== bySize,
    'exactly one of scales and sizes must be given',
    byScale ? 'both' : 'neither',
  );
  const given = byScale ? scales! : sizes!;
  const name = byScale ? 'scales' : 'sizes';
  node.ensure(given.length === named.length, `${name} must have ${named.length} elements`, given);
  node.ensure(
    given.every((value) => (byScale ? value > 0 && Number.isFinite(value) : value >= 0)),
    `${name} must be ${byScale ? 'positive' : '0 or more'}`,
    given,
  );
  node.ensure(
    !cropped || roi?.length === 2 * named.length,
    `roi must have ${2 * named.length} elements`,
    roi ?? 'none',
  );
  const policies = ['stretch', 'not_larger', 'not_smaller'] as const;
  const policy = node.opset >= 18 ? node.choice('keep_aspect_ratio_policy', policies, 'stretch') : 'stretch';
  const ratios = named.map((axis, i) => given[i] / x.dims[axis]);
  const kept = policy === 'not_larger' ? Math.min(...ratios) : Math.max(...ratios);
  return x.dims.map((size, axis): ResizedAxis => {
    const i = named.indexOf(axis);
    if (i < 0) return { size, length: size, scale: 1, roi: [0, 1] };
    const region: [number, number] = roi ? [roi[i], roi[i + named.length]] : [0, 1];
    if (byScale) {
      const part = Math.fround(region[1] - region[0]);
      return { size, length: Math.floor(Math.fround(size * part * given[i])), scale: given[i], roi: region };
    }
    if (policy === 'stretch')
      return { size, length: given[i], scale: Math.fround(given[i] / size), roi: region };
    return { size, length: Math.floor(kept * size + 0.5), scale: Math.fround(kept), roi: region };
  });
}

function openResize(spec: NodeSpec): { node: Node; x: Value; asked: Asked } {
  const { opset } = spec;
  const attributes = ['mode'];
  if (opset >= 11) {
    attributes.push('coordinate_transformation_mode', 'cubic_coeff_a', 'exclude_outside');
    attributes.push('extrapolation_value', 'nearest_mode');
  }
  if (opset >= 18) attributes.push('antialias', 'axes', 'keep_aspect_ratio_policy');
  // Up to opset 8 Upsample's scales are an attribute.
  if (opset < 9) attributes.push('scales');
  const names = opset < 9 ? ['X'] : opset < 11 ? ['X', 'scales'] : ['X', 'roi', 'scales', 'sizes'];
  const node = openNode(spec, names, attributes);
  const mode = node.choice(
    'mode',
    ['nearest', 'linear', ...(opset >= 11 ? (['cubic'] as const) : [])],
    'nearest',
  );
  const x = node.required(
    'X',
    mode === 'nearest' ? ANY : mode === 'linear' ? [...FLOATS, 'int8', 'uint8', 'int32'] : FLOATS,
  );
  const known = COORDINATE_MODES.filter(
    (name) =>
      (name !== 'tf_half_pixel_for_nn' || opset < 13) && (name !== 'half_pixel_symmetric' || opset >= 19),
  );
  const coordinates =
    opset < 11 ? 'asymmetric' : node.choice('coordinate_transformation_mode', known, 'half_pixel');
  const asked: Asked = {
    ...{ mode, coordinates },
    nearest: opset < 11 ? 'simple' : node.choice('nearest_mode', NEAREST_MODES, 'round_prefer_floor'),
    axes: resizedAxes(node, x, coordinates),
    extrapolation: node.float('extrapolation_value', 0),
    antialias: node.flag('antialias', false),
    excludeOutside: node.flag('exclude_outside', false),
    cubic: node.float('cubic_coeff_a', -0.75),
  };
  node.bounded(asked.axes.map(({ length }) => length));
  for (const [i, { size, length }] of asked.axes.entries()) {
    node.ensure(length <= LONGEST, `axis ${i} may be resized to at most ${LONGEST}`, length);
    node.ensure(size > 0 || length === 0, `axis ${i} is empty and cannot be resized to ${length}`, x.dims);
  }
  return { node, x, asked };
}

/** One copy, every resized axis gathered. */
function nearestStep(x: Value, { coordinates, nearest, axes, extrapolation }: Asked): Step {
  const indices: number[] = [];
  const windows = axes.map((axis) => {
    if (!isMoved(axis, coordinates)) return null;
    const start = indices.length;
    // One by one: an axis may be longer than what a call takes as arguments.
    for (const place of nearestPlaces(coordinates, nearest, axis)) indices.push(place);
    return { start, limit: axis.size, mode: 'gather' as const };
  });
  return copyBox(x.dtype, INPUT, OUTPUT, {
    dims: axes.map(({ length }) => length),
    inputStrides: stridesOf(x.dims),
    windows,
    indices: { constant: Int32Array.from([...indices, 0]) },
    fill: isFloat(x.dtype) ? extrapolation : Math.trunc(extrapolation),
  });
}

/** Whether an axis is anything but itself. */
const isMoved = ({ size, length, scale, roi }: ResizedAxis, mode: CoordinateMode) =>
  size !== length || scale !== 1 || (mode === 'tf_crop_and_resize' && (roi[0] !== 0 || roi[1] !== 1));

/** A dispatch an axis that changes, the last one into the output; integers in float and truncated. */
function interpolationSteps(x: Value, asked: Asked): Step[] {
  const { coordinates, axes, extrapolation } = asked;
  const filter: Filter = asked.mode === 'cubic' ? cubicFilter(asked.cubic) : linearFilter;
  const steps: Step[] = [];
  const dims = [...x.dims];
  const moved = axes.flatMap((axis, i) => (isMoved(axis, coordinates) ? [i] : []));
  const float = isFloat(x.dtype);
  let from: Operand = INPUT;
  if (!float) {
    from = { scratch: 'float', count: sizeOf(dims) };
    steps.push(pointwise('toFloat', x.dtype, [{ at: INPUT, dims }], dims, from, { narrowTo: 'int32' }));
  }
  for (const [k, i] of moved.entries()) {
    const { size, length } = axes[i];
    const tables = resampleTables(coordinates, filter, axes[i], asked);
    const inners = sizeOf(dims.slice(i + 1));
    dims[i] = length;
    const count = sizeOf(dims);
    const last = float && k === moved.length - 1;
    const output: Operand = last ? OUTPUT : { scratch: `resized ${k}`, count };
    steps.push(
      step(
        resample,
        {},
        { input: from, places: { constant: tables.places }, weights: { constant: tables.weights }, output },
        { count, size, length, inners, taps: tables.taps, outside: extrapolation },
      ),
    );
    from = output;
  }
  if (!float) {
    const whole: Operand = { scratch: 'whole', count: sizeOf(dims) };
    steps.push(pointwise('toInt', 'float32', [{ at: from, dims }], dims, whole));
    steps.push(pointwise('identity', x.dtype, [{ at: whole, dims }], dims, OUTPUT));
  }
  return steps;
}

function resize(spec: NodeSpec): Plan {
  const { x, asked } = openResize(spec);
  const dims = asked.axes.map(({ length }) => length);
  const output: { dtype: OnnxDType; dims: number[] } = { dtype: x.dtype, dims };
  if (sizeOf(dims) === 0) return { outputs: [output], steps: [] };
  if (!asked.axes.some((axis) => isMoved(axis, asked.coordinates))) {
    return { outputs: [{ ...output, from: 0 }], steps: [] };
  }
  const steps = asked.mode === 'nearest' ? [nearestStep(x, asked)] : interpolationSteps(x, asked);
  return { outputs: [output], steps };
}

/** Resizing by sampling and interpolation. */
export const resizeOperators = {
  Resize: { since: 10, plan: resize },
  Upsample: { since: 7, until: 10, plan: resize },
} satisfies Readonly<Record<string, Operator>>;
