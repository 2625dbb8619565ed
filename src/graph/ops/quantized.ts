import { requantize } from '../../kernels/requantize.ts';
import { prepareMultipliers, type RequantizeRule } from '../../quantize/requantize.ts';
import { roundHalfEven } from '../../reference/requantize.ts';
import { copyBox } from './copy-step.ts';
import { broadcastDims } from './layout.ts';
import { type Node, type NodeSpec, openNode } from './node.ts';
import type { Operator } from './operator.ts';
import { type Operand, type Plan, type Step, step } from './plan.ts';
import { constant, type Operated, pointwise } from './pointwise-step.ts';
import { reduction } from './reduce.ts';
import { CODE_RANGE, sizeOf } from './tensors.ts';
import type { OnnxDType, Value } from './value.ts';

const OUTPUT = { output: 0 } as const;
const BYTES: readonly OnnxDType[] = ['uint8', 'int8'];

/** The branch of shaders/lib/requantize.wgsl that computes a rule in integers, so with the same bits everywhere. */
const EXACT: Record<RequantizeRule, string> = {
  ...{ 'ort-f32': '1u', 'onnx-ref': '2u', 'tflite-double': '3u' },
  ...{ 'tflite-single': '4u', 'xnn-rndnu': '5u', lab: '7u' },
};

interface Qparams {
  scale: number;
  zero: number;
}

/** A scale and a zero point of the whole tensor, known beforehand; the zero point may be left out (0). */
function qparams(node: Node, scaleName: string, zeroName: string, dtype: OnnxDType): Qparams {
  const one = (name: string, dtypes: readonly OnnxDType[]) => {
    const values = node.numbers(name, dtypes);
    node.ensure(!values || values.length === 1, `${name} must be a scalar`, values);
    return values?.[0];
  };
  const scale = one(scaleName, ['float32']);
  node.ensure(
    scale !== undefined && scale > 0 && Number.isFinite(scale),
    `${scaleName} must be positive and finite`,
    scale ?? 'none',
  );
  return { scale: scale!, zero: one(zeroName, [dtype]) ?? 0 };
}

/** int32 accumulators to codes of the output. */
function requantized(
  accumulators: Operand,
  count: number,
  dtype: OnnxDType,
  rule: RequantizeRule,
  [inputScale, weightScale, outputScale]: readonly number[],
  zeroPoint: number,
): Step {
  const [low, high] = CODE_RANGE[dtype as 'int8']!;
  const multipliers = prepareMultipliers(rule, inputScale, Float32Array.of(weightScale), outputScale);
  return step(
    requantize,
    { REQUANTIZE: EXACT[rule], PACKED: '0u' },
    { accumulators, multipliers: { constant: multipliers }, codes: OUTPUT },
    { count, channels: 1, channelStride: 1, zeroPoint, low, high },
  );
}

/** Codes less their zero point, as int32. */
function centred(index: number, x: Value, zero: number): { steps: Step[]; value: Operated } {
  const at = { scratch: `centred ${index}`, count: sizeOf(x.dims) };
  const operands = [{ at: { input: index }, dims: x.dims }, constant(zero, 'int32')];
  return { steps: [pointwise('sub', 'int32', operands, x.dims, at)], value: { at, dims: x.dims } };
}

function qlinearMul(spec: NodeSpec): Plan {
  // ONNX Runtime adds the zero point before it rounds here, as the lab does: its ties fall otherwise than a convolution's.
  const rule = spec.requantize === undefined || spec.requantize === 'ort-f32' ? 'lab' : spec.requantize;
  const names = ['A', 'A_scale', 'A_zero_point', 'B', 'B_scale', 'B_zero_point', 'C_scale', 'C_zero_point'];
  const node = openNode(spec, names);
  const a = node.required('A', BYTES);
  const b = node.required('B', [a.dtype]);
  const [p, q, y] = ['A', 'B', 'C'].map((name) =>
    qparams(node, `${name}_scale`, `${name}_zero_point`, a.dtype),
  );
  const dims = broadcastDims(`${spec.operator}: the dims`, [a.dims, b.dims]);
  const [left, right] = [centred(0, a, p.zero), centred(3, b, q.zero)];
  const product = { scratch: 'product', count: sizeOf(dims) };
  return {
    outputs: [{ dtype: a.dtype, dims }],
    steps: [
      ...left.steps,
      ...right.steps,
      pointwise('mul', 'int32', [left.value, right.value], dims, product),
      requantized(product, sizeOf(dims), a.dtype, rule, [p.scale, q.scale, y.scale], y.zero),
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
  const source = centred(0, x, p.zero);
  const sums = { scratch: 'sums', count: sizeOf(dims) };
  return {
    outputs: [{ dtype: x.dtype, dims }],
    steps: [
      ...source.steps,
      reduction('sum', { dtype: 'int32', dims: x.dims }, axes, source.value.at, sums),
      requantized(
        sums,
        sizeOf(dims),
        x.dtype,
        spec.requantize ?? 'ort-f32',
        [p.scale, 1, y.scale * count],
        y.zero,
      ),
    ],
  };
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
      const [low, high] = CODE_RANGE[x.dtype as 'int8']!;
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

/** ONNX Runtime's operators on codes that nothing but words is needed for. */
export const quantizedPlans = {
  QLinearMul: { since: 1, domain: 'com.microsoft', plan: qlinearMul },
  QLinearGlobalAveragePool: { since: 1, domain: 'com.microsoft', plan: qlinearGlobalAveragePool },
  QLinearSigmoid: looked({}, (x) => 1 / (1 + Math.exp(-x))),
  QLinearLeakyRelu: looked({ alpha: 0.01 }, (x, node) => (x >= 0 ? x : x * node.float('alpha', 0.01))),
} satisfies Readonly<Record<string, Operator>>;
