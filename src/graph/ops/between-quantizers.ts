// ONNX Runtime's operators that compute in floats between a dequantizer and a quantizer of their own:
// https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
import { type Composer, composed, type Part } from './compose.ts';
import type { Node } from './node.ts';
import type { Operator } from './operator.ts';
import { BYTES, checkScalar, checkScales, rangeOf } from './qparams.ts';
import type { OnnxDType } from './value.ts';

type Named = readonly [tensor: string, scale: string, zeroPoint: string];

const between = (
  names: readonly string[],
  attributes: readonly string[],
  build: Parameters<typeof composed>[3],
): Operator => ({ ...composed(1, names, attributes, build), domain: 'com.microsoft' });

/** A scale and a zero point of a whole tensor, as inputs; a zero point that is left out is 0. */
function grid(c: Composer, node: Node, scale: string, zeroPoint: string, dtype: OnnxDType): [Part, Part] {
  const given = node.required(scale, ['float32']);
  checkScalar(node, scale, given);
  checkScales(node, scale, given);
  const zero = node.optional(zeroPoint, [dtype]);
  checkScalar(node, zeroPoint, zero);
  const one = (part: Part) => c.reshape(part, []);
  return [one(c.input(node.index(scale))), zero ? one(c.input(node.index(zeroPoint))) : c.constant(dtype, 0)];
}

function dequantized(c: Composer, node: Node, [tensor, scale, zeroPoint]: Named): Part {
  const { dtype } = node.required(tensor, BYTES);
  const by = grid(c, node, scale, zeroPoint, dtype);
  return c.op('DequantizeLinear', [c.input(node.index(tensor)), ...by]);
}

const X = ['X', 'x_scale', 'x_zero_point'] as const;
const POOL = ['auto_pad', 'ceil_mode', 'count_include_pad', 'kernel_shape', 'pads', 'strides'] as const;

const averagePool = between(
  [...X, 'y_scale', 'y_zero_point'],
  [...POOL, 'channels_last'],
  (c, node, spec) => {
    const { dtype, dims } = node.required('X', BYTES);
    const [scale, zero] = grid(c, node, 'y_scale', 'y_zero_point', dtype);
    const last = node.flag('channels_last', false);
    const axes = dims.map((_, axis) => axis);
    const [first, ...rest] = axes;
    const inward = last ? [first, axes.length - 1, ...rest.slice(0, -1)] : axes;
    const outward = last ? [first, ...rest.slice(1), 1] : axes;
    const kept = Object.fromEntries(POOL.map((name) => [name, spec.attributes?.[name]]));
    const pooled = c.op('AveragePool', [c.transpose(dequantized(c, node, X), inward)], kept);
    // The zero point is added before the sum is rounded, to even; QuantizeLinear adds it after.
    const moved = c.op('Add', [c.op('Div', [pooled, scale]), c.cast(zero, 'float32')]);
    const bounds = rangeOf(dtype).map((bound) => c.constant('float32', bound));
    const codes = c.cast(c.op('Clip', [c.op('Round', [moved]), ...bounds]), dtype);
    return [c.transpose(codes, outward)];
  },
);

const softmax = between([...X, 'y_scale', 'y_zero_point'], ['axis', 'opset'], (c, node) => {
  const { dtype, dims } = node.required('X', BYTES);
  const by = grid(c, node, 'y_scale', 'y_zero_point', dtype);
  const flat = node.integer('opset', 13) < 13;
  const axis = node.axis(node.integer('axis', -1), dims.length);
  const x = dequantized(c, node, X);
  // Before opset 13 all dimensions from the axis on are one.
  const rows = flat ? c.reshape(x, [...dims.slice(0, axis), dims.slice(axis).reduce((a, b) => a * b, 1)]) : x;
  const y = c.reshape(c.op('Softmax', [rows], { axis }), dims);
  return [c.op('QuantizeLinear', [y, ...by])];
});

const WHERE = ['X', 'Y', 'Z'].flatMap((name) => [name, `${name}_scale`, `${name}_zero_point`]).slice(0, 6);

const where = between(['condition', ...WHERE, 'Z_scale', 'Z_zero_point'], [], (c, node) => {
  node.required('condition', ['bool']);
  const { dtype } = node.required('X', BYTES);
  node.required('Y', [dtype]);
  const [x, y] = ['X', 'Y'].map((name) =>
    dequantized(c, node, [name, `${name}_scale`, `${name}_zero_point`]),
  );
  const by = grid(c, node, 'Z_scale', 'Z_zero_point', dtype);
  return [c.op('QuantizeLinear', [c.op('Where', [c.input(0), x, y]), ...by])];
});

/** The codes of a float operator's result: a code beside ONNX Runtime's where float32 rounds otherwise at a tie. */
export const betweenOperators = {
  QLinearAveragePool: averagePool,
  QLinearSoftmax: softmax,
  QLinearWhere: where,
} satisfies Readonly<Record<string, Operator>>;
