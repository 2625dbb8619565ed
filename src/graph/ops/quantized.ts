import { prepareMultipliers, type RequantizeRule } from '../../conv/requantize.ts';
import { check } from '../../gpu/errors.ts';
import { addInt8 } from '../../kernels/add-int8.ts';
import { concatInt8 } from '../../kernels/concat-int8.ts';
import { prepareAdd } from '../../quantize/add.ts';
import { prepareRescale } from '../../quantize/concat.ts';
import { roundHalfEven } from '../../reference/requantize.ts';
import { copyBox } from './copy-step.ts';
import { broadcastDims, broadcastStrides } from './layout.ts';
import { type Node, type NodeSpec, openNode } from './node.ts';
import type { Operator } from './operator.ts';
import { type Operand, type Plan, type Step, step } from './plan.ts';
import { type Operated, pointwise } from './pointwise-step.ts';
import { BYTES, centred, qparams, rangeOf, requantized } from './qparams.ts';
import { reduction } from './reduce.ts';
import { sizeOf } from './tensors.ts';
import type { OnnxDType, Value } from './value.ts';

const OUTPUT = { output: 0 } as const;
const BINARY = ['A', 'A_scale', 'A_zero_point', 'B', 'B_scale', 'B_zero_point', 'C_scale', 'C_zero_point'];

/** The inputs of an operator of two tensors of one type. */
function openBinary(spec: NodeSpec) {
  const node = openNode(spec, BINARY);
  const a = node.required('A', BYTES);
  const b = node.required('B', [a.dtype]);
  const [p, q, y] = ['A', 'B', 'C'].map((name) =>
    qparams(node, `${name}_scale`, `${name}_zero_point`, a.dtype),
  );
  const dims = broadcastDims(`${spec.operator}: the dims`, [a.dims, b.dims]);
  return { node, a, b, p, q, y, dims, dtype: a.dtype };
}

/** Codes of an input less their zero point. */
function centredInput(node: Node, name: string, x: Value, zeroName: string) {
  const zero = node.optional(zeroName, [x.dtype]);
  return centred(
    { name: `centred ${name}`, at: { input: node.index(name) }, dims: x.dims },
    zero && { value: zero, at: { input: node.index(zeroName) }, dims: [] },
  );
}

/** int32 sums of whole tensors' codes to codes, from three scales. */
function toCodes(
  sums: Operand,
  count: number,
  rule: RequantizeRule,
  dtype: OnnxDType,
  [inputScale, weightScale, outputScale]: readonly number[],
  zeroPoint: number,
): Step {
  const multipliers = prepareMultipliers(rule, inputScale, Float32Array.of(weightScale), outputScale);
  return requantized(sums, count, { rule, dtype, zeroPoint, multipliers });
}

function qlinearMul(spec: NodeSpec): Plan {
  // ONNX Runtime adds the zero point before it rounds here, as the lab does: its ties fall otherwise than a convolution's.
  const rule = spec.requantize === undefined || spec.requantize === 'ort-f32' ? 'lab' : spec.requantize;
  const { node, a, b, p, q, y, dims, dtype } = openBinary(spec);
  const [left, right] = [
    centredInput(node, 'A', a, 'A_zero_point'),
    centredInput(node, 'B', b, 'B_zero_point'),
  ];
  const count = sizeOf(dims);
  const product = { scratch: 'product', count };
  return {
    outputs: [{ dtype, dims }],
    steps: [
      ...left.steps,
      ...right.steps,
      pointwise('mul', 'int32', [left.value, right.value], dims, product),
      toCodes(product, count, rule, dtype, [p.scale, q.scale, y.scale], y.zero),
    ],
  };
}

function qlinearGlobalAveragePool(spec: NodeSpec): Plan {
  const node = openNode(spec, ['X', 'x_scale', 'x_zero_point', 'y_scale', 'y_zero_point'], ['channels_last']);
  const x = node.required('X', BYTES);
  const rank = x.dims.length;
  node.ensure(rank >= 3, 'X must have N, C and at least one spatial dimension', x.dims);
  const last = node.flag('channels_last', false);
  const [p, y] = [
    qparams(node, 'x_scale', 'x_zero_point', x.dtype),
    qparams(node, 'y_scale', 'y_zero_point', x.dtype),
  ];
  const axes = x.dims.map((_, axis) => axis).filter((axis) => axis > 0 && axis !== (last ? rank - 1 : 1));
  const dims = x.dims.map((size, axis) => (axes.includes(axis) ? 1 : size));
  const count = sizeOf(axes.map((axis) => x.dims[axis]));
  node.ensure(count > 0, 'the spatial dims of X must not be 0', x.dims);
  node.ensure(
    count * 255 < 2 ** 31,
    'the spatial dims must hold few enough elements for an int32 sum',
    count,
  );
  const source = centredInput(node, 'X', x, 'x_zero_point');
  const sums = { scratch: 'sums', count: sizeOf(dims) };
  return {
    outputs: [{ dtype: x.dtype, dims }],
    steps: [
      ...source.steps,
      reduction('sum', { dtype: 'int32', dims: x.dims }, axes, source.value.at, sums),
      toCodes(
        sums,
        sizeOf(dims),
        spec.requantize ?? 'ort-f32',
        x.dtype,
        [p.scale, 1, y.scale * count],
        y.zero,
      ),
    ],
  };
}

/**
 * An operand of `dims` as a kernel reads it that takes element i % length: as it is where only leading dimensions are
 * repeated, else repeated in full.
 */
function repeated(
  node: Node,
  name: string,
  x: Value,
  dims: readonly number[],
): { steps: Step[]; value: Operated } {
  const at: Operand = { input: node.index(name) };
  const own = [...Array<number>(dims.length - x.dims.length).fill(1), ...x.dims];
  const first = own.findIndex((size) => size !== 1);
  if (first < 0 || own.every((size, i) => i < first || size === dims[i])) {
    return { steps: [], value: { at, dims: x.dims } };
  }
  const full = { scratch: `repeated ${name}`, count: sizeOf(dims) };
  const copy = copyBox(x.dtype, at, full, { dims, inputStrides: broadcastStrides(x.dims, dims) });
  return { steps: [copy], value: { at: full, dims } };
}

function qlinearAdd(spec: NodeSpec): Plan {
  const { node, a, b, p, q, y, dims, dtype } = openBinary(spec);
  const rule = spec.requantize ?? 'ort-f32';
  const operands = [
    { ...p, ...repeated(node, 'A', a, dims) },
    { ...q, ...repeated(node, 'B', b, dims) },
  ];
  // Where A is repeated along the innermost axis ONNX Runtime adds B + A, which its rounding can tell from A + B.
  const inner = dims.findLastIndex((size) => size !== 1);
  const aligned = inner - (dims.length - a.dims.length);
  const swap = inner >= 0 && (aligned < 0 || a.dims[aligned] === 1);
  const [left, right] = swap ? [...operands].reverse() : operands;
  const { ADD, words } = prepareAdd(
    rule,
    [left.scale, right.scale, y.scale],
    [left.zero, right.zero, y.zero],
  );
  const [low, high] = rangeOf(dtype);
  const sum = step(
    addInt8,
    { ADD, REQUANTIZE: rule === 'tflite-single' ? '4u' : '3u', PACKED: '0u' },
    { a: left.value.at, b: right.value.at, output: OUTPUT },
    {
      count: sizeOf(dims),
      ...{ aCount: sizeOf(left.value.dims), bCount: sizeOf(right.value.dims) },
      ...{ aFlip: 0, bFlip: 0, aShift: 0, bShift: 0 },
      ...{ aZero: left.zero, bZero: right.zero, zeroPoint: y.zero, low, high },
      ...words,
    },
  );
  return { outputs: [{ dtype, dims }], steps: [...left.steps, ...right.steps, sum] };
}

/** Y_scale, Y_zero_point, then tensor, scale and zero point of every input. */
function qlinearConcat(spec: NodeSpec): Plan {
  const total = Math.floor((spec.inputs.length - 2) / 3);
  const names = ['Y_scale', 'Y_zero_point'];
  for (let i = 0; i < total; i++) names.push(`x${i}`, `x${i}_scale`, `x${i}_zero_point`);
  check(
    total >= 1 && spec.inputs.length === names.length,
    `${spec.operator} needs 2 + 3 n inputs`,
    spec.inputs.length,
  );
  const node = openNode(spec, names, ['axis']);
  const { dtype } = node.required('Y_zero_point', BYTES);
  const y = qparams(node, 'Y_scale', 'Y_zero_point', dtype);
  const parts = Array.from({ length: total }, (_, i) => ({
    name: `x${i}`,
    x: node.required(`x${i}`, [dtype]),
    ...qparams(node, `x${i}_scale`, `x${i}_zero_point`, dtype),
  }));
  const { dims } = parts[0].x;
  check(node.attribute('axis') !== undefined, `${spec.operator} needs its attribute axis`, 'none');
  const axis = node.axis(node.integer('axis', 0), dims.length);
  for (const { name, x } of parts) {
    node.ensure(
      x.dims.length === dims.length && x.dims.every((size, d) => d === axis || size === dims[d]),
      `${name} must have the dims of x0, [${dims}], except along axis ${axis}`,
      x.dims,
    );
  }
  const rows = sizeOf(dims.slice(0, axis));
  const inners = sizeOf(dims.slice(axis + 1));
  const along = parts.reduce((sum, { x }) => sum + x.dims[axis], 0);
  const [low, high] = rangeOf(dtype);
  let start = 0;
  const steps = parts.map(({ name, x, scale, zero }) => {
    const length = x.dims[axis] * inners;
    const { specialization, params } = prepareRescale(spec.requantize ?? 'ort-f32', scale, y.scale);
    const place = { rows, start, length, words: length, inputStride: length, outputWords: along * inners };
    start += length;
    return step(
      concatInt8,
      { ...specialization, PACKED: '0u' },
      { input: { input: node.index(name) }, output: OUTPUT },
      { ...place, ...params, flip: 0, zero, zeroPoint: y.zero, low, high },
    );
  });
  return { outputs: [{ dtype, dims: dims.map((size, d) => (d === axis ? along : size)) }], steps };
}

/** A function of one code, from a table of all 256: in float32 from the code's value to the output's nearest code. */
function looked(
  attributes: Readonly<Record<string, number>>,
  apply: (x: number, node: Node) => number,
): Operator {
  return {
    since: 1,
    domain: 'com.microsoft',
    plan(spec) {
      const node = openNode(
        spec,
        ['X', 'X_scale', 'X_zero_point', 'Y_scale', 'Y_zero_point'],
        Object.keys(attributes),
      );
      const x = node.required('X', BYTES);
      const [p, y] = [
        qparams(node, 'X_scale', 'X_zero_point', x.dtype),
        qparams(node, 'Y_scale', 'Y_zero_point', x.dtype),
      ];
      const [low, high] = rangeOf(x.dtype);
      const f = Math.fround;
      const table = new Int32Array(256);
      for (let code = low; code <= high; code++) {
        const value = f(apply(f(f(code - p.zero) * f(p.scale)), node));
        // Negative codes count from the table's end.
        table[code & 255] = Math.min(high, Math.max(low, roundHalfEven(f(value / f(y.scale))) + y.zero));
      }
      const count = sizeOf(x.dims);
      const step = copyBox(x.dtype, { constant: table }, OUTPUT, {
        dims: [count],
        inputStrides: [1],
        windows: [{ start: 0, limit: 256, mode: 'gather' }],
        indices: { input: 0 },
      });
      return { outputs: [{ dtype: x.dtype, dims: [...x.dims] }], steps: [step] };
    },
  };
}

/** ONNX Runtime's own operators on codes. */
export const quantizedOperators = {
  QLinearAdd: { since: 1, domain: 'com.microsoft', plan: qlinearAdd },
  QLinearConcat: { since: 1, domain: 'com.microsoft', plan: qlinearConcat },
  QLinearMul: { since: 1, domain: 'com.microsoft', plan: qlinearMul },
  QLinearGlobalAveragePool: { since: 1, domain: 'com.microsoft', plan: qlinearGlobalAveragePool },
  QLinearSigmoid: looked({}, (x) => 1 / (1 + Math.exp(-x))),
  QLinearLeakyRelu: looked({ alpha: 0.01 }, (x, node) => (x >= 0 ? x : x * node.float('alpha', 0.01))),
} satisfies Readonly<Record<string, Operator>>;
