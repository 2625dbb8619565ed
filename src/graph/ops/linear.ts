import { dequantizeLinearOnnx } from '../../kernels/dequantize-linear-onnx.ts';
import { dynamicQuantizeParams } from '../../kernels/dynamic-quantize-params.ts';
import { quantizeLinearOnnx } from '../../kernels/quantize-linear-onnx.ts';
import { type Node, type NodeSpec, openNode } from './node.ts';
import type { Operator } from './operator.ts';
import { type Operand, type Plan, type Step, step } from './plan.ts';
import { checkScales, isScalar, rangeOf } from './qparams.ts';
import { CODE_RANGE, sizeOf } from './tensors.ts';
import { DTYPE_NUMBERS, FLOATS, numbersOf, type OnnxDType, type Value } from './value.ts';

const CODES = Object.keys(CODE_RANGE) as OnnxDType[];
const INPUT = { input: 0 } as const;
const OUTPUT = { output: 0 } as const;
const PER_TENSOR = { inners: 1, axisSize: 1, blockSize: 1, outerStride: 0, axisStride: 0, innerStride: 0 };

/** The dtype that an attribute names by its number, if it names one. */
function namedDtype(node: Node, name: string, allowed: readonly OnnxDType[]): OnnxDType | null {
  const number = node.integer(name, 0);
  if (number === 0) return null;
  const known = Object.entries(DTYPE_NUMBERS).filter(([, dtype]) => allowed.includes(dtype));
  node.ensure(
    allowed.includes(DTYPE_NUMBERS[number]),
    `${name} must be one of ${known.map(([key, dtype]) => `${key} (${dtype})`).join(', ')}`,
    number,
  );
  return DTYPE_NUMBERS[number];
}

/** How scales lie over x: one, one an index of `axis` (from opset 13), or one a block along it (from 21). */
function layoutOf(node: Node, x: Value, scale: Value, scaleName: string) {
  const rank = x.dims.length;
  const blockSize = node.integer('block_size', 0);
  node.ensure(blockSize >= 0, 'block_size must be 0 or more', blockSize);
  const asked = node.integer('axis', 1);
  if (isScalar(scale) && blockSize === 0) return PER_TENSOR;
  node.ensure(node.opset >= 13, `${scaleName} must be a scalar before opset 13`, scale.dims);
  const axis = node.axis(asked, rank);
  const inners = sizeOf(x.dims.slice(axis + 1));
  const axisSize = x.dims[axis];
  if (blockSize === 0) {
    node.ensure(
      scale.dims.length === 1 && scale.dims[0] === axisSize,
      `${scaleName} must be a scalar or have one element for each of the ${axisSize} indices of axis ${axis}`,
      scale.dims,
      scale.dims.length === rank ? 'give block_size for blocked scales' : undefined,
    );
    return { ...PER_TENSOR, inners, axisSize, axisStride: 1 };
  }
  const blocks = Math.ceil(axisSize / blockSize);
  const expected = x.dims.map((size, i) => (i === axis ? blocks : size));
  node.ensure(
    scale.dims.length === rank && expected.every((size, i) => size === scale.dims[i]),
    `${scaleName} must have the dims [${expected}] for blocks of ${blockSize} along axis ${axis}`,
    scale.dims,
  );
  return {
    inners,
    axisSize,
    blockSize,
    outerStride: blocks * inners,
    axisStride: inners,
    innerStride: 1,
  };
}

function checkZeroPoint(node: Node, name: string, zero: Value | null, scale: Value, scaleName: string): void {
  if (!zero || (isScalar(zero) && isScalar(scale))) return;
  node.ensure(
    zero.dims.length === scale.dims.length && zero.dims.every((size, i) => size === scale.dims[i]),
    `${name} must have the dims of ${scaleName}, [${scale.dims}]`,
    zero.dims,
  );
}

/** Where zero points lie: input 2, or as many zeros as there are scales. */
const zerosAt = (zero: Value | null, scale: Value): Operand =>
  zero ? { input: 2 } : { constant: new Int32Array(sizeOf(scale.dims)) };

/** The attributes that an operator has at an opset, each with its first one. */
const attributesAt = (opset: number, since: Readonly<Record<string, number>>) =>
  Object.keys(since).filter((name) => opset >= since[name]);

function quantizeLinear(spec: NodeSpec): Plan {
  const since = { axis: 13, saturate: 19, block_size: 21, output_dtype: 21, precision: 23 };
  const node = openNode(spec, ['x', 'y_scale', 'y_zero_point'], attributesAt(spec.opset, since));
  const x = node.required('x', ['float32', 'float16', 'int32']);
  const scale = node.required('y_scale', FLOATS);
  const zero = node.optional('y_zero_point', CODES);
  const asked = namedDtype(node, 'output_dtype', CODES);
  node.ensure(
    !asked || !zero || asked === zero.dtype,
    `output_dtype must agree with y_zero_point, which is ${zero?.dtype}`,
    asked,
  );
  const precision = namedDtype(node, 'precision', FLOATS);
  // About 8-bit floats, which there are none of here.
  node.flag('saturate', true);
  checkScales(node, 'y_scale', scale);
  const layout = layoutOf(node, x, scale, 'y_scale');
  checkZeroPoint(node, 'y_zero_point', zero, scale, 'y_scale');
  const dtype = zero?.dtype ?? asked ?? 'uint8';
  const [low, high] = rangeOf(dtype);
  const wrap = spec.overflow === 'wrap';
  node.ensure(!wrap || (low < 0 && low >= -128), "the lab's wrap is for signed types of up to 8 bits", dtype);
  const made = step(
    quantizeLinearOnnx,
    {
      INPUT: x.dtype === 'int32' ? '1u' : '0u',
      PRECISION: precision === 'float16' ? '1u' : '0u',
      OVERFLOW: wrap ? '1u' : '0u',
    },
    { input: INPUT, scales: { input: 1 }, zeroPoints: zerosAt(zero, scale), output: OUTPUT },
    { count: sizeOf(x.dims), ...layout, low, high },
  );
  return { outputs: [{ dtype, dims: [...x.dims] }], steps: [made] };
}

function dequantizeLinear(spec: NodeSpec): Plan {
  const since = { axis: 13, block_size: 21, output_dtype: 23 };
  const node = openNode(spec, ['x', 'x_scale', 'x_zero_point'], attributesAt(spec.opset, since));
  const x = node.required('x', [...CODES, 'int32']);
  const scale = node.required('x_scale', FLOATS);
  const zero = node.optional('x_zero_point', [x.dtype]);
  node.ensure(
    x.dtype !== 'int32' || !zero?.data || numbersOf(zero).every((value) => value === 0),
    'x_zero_point must be 0 for int32',
    zero?.data,
  );
  const dtype = namedDtype(node, 'output_dtype', FLOATS) ?? scale.dtype;
  checkScales(node, 'x_scale', scale);
  const layout = layoutOf(node, x, scale, 'x_scale');
  checkZeroPoint(node, 'x_zero_point', zero, scale, 'x_scale');
  const made = step(
    dequantizeLinearOnnx,
    {},
    { input: INPUT, scales: { input: 1 }, zeroPoints: zerosAt(zero, scale), output: OUTPUT },
    { count: sizeOf(x.dims), ...layout },
  );
  return { outputs: [{ dtype, dims: [...x.dims] }], steps: [made] };
}

/** Where dynamic quantization puts a tensor's codes, scale and zero point. */
export interface Quantized {
  codes: Operand;
  scale: Operand;
  zeroPoint: Operand;
}

/** The steps that quantize floats by their own range, to uint8. */
export function dynamicallyQuantized(
  input: Operand,
  count: number,
  { codes, scale, zeroPoint }: Quantized,
): Step[] {
  return [
    step(dynamicQuantizeParams, {}, { input, scale, zeroPoint }, { count }),
    step(
      quantizeLinearOnnx,
      {},
      { input, scales: scale, zeroPoints: zeroPoint, output: codes },
      { count, ...PER_TENSOR, low: 0, high: 255 },
    ),
  ];
}

function dynamicQuantizeLinear(spec: NodeSpec): Plan {
  const { dims } = openNode(spec, ['x']).required('x', ['float32']);
  return {
    outputs: [
      { dtype: 'uint8', dims: [...dims] },
      { dtype: 'float32', dims: [] },
      { dtype: 'uint8', dims: [] },
    ],
    steps: dynamicallyQuantized(INPUT, sizeOf(dims), {
      codes: OUTPUT,
      scale: { output: 1 },
      zeroPoint: { output: 2 },
    }),
  };
}

/** Between floats and codes. */
export const linearOperators = {
  QuantizeLinear: { since: 10, plan: quantizeLinear },
  DequantizeLinear: { since: 10, plan: dequantizeLinear },
  DynamicQuantizeLinear: { since: 11, plan: dynamicQuantizeLinear },
} satisfies Readonly<Record<string, Operator>>;
