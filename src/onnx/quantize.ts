import { check } from '../gpu/errors.ts';
import type { Runtime } from '../gpu/runtime.ts';
import type { DType, Tensor } from '../gpu/tensor.ts';
import {
  type Attributes,
  CODE_RANGE,
  checkAttributes,
  type Inputs,
  inputReader,
  integerAttribute,
  isScalar,
  scalesOf,
  sizeOf,
  tensorOf,
} from '../graph/ops/tensors.ts';
import { dequantizeLinearOnnx } from '../kernels/dequantize-linear-onnx.ts';
import { dynamicQuantizeParams } from '../kernels/dynamic-quantize-params.ts';
import { quantizeLinearOnnx } from '../kernels/quantize-linear-onnx.ts';

const CODE_TYPES = Object.keys(CODE_RANGE) as DType[];
const FLOAT_TYPES: readonly DType[] = ['float32', 'float16'];

/** TensorProto.DataType numbers that `output_dtype` and `precision` can name here. */
const TYPE_NUMBERS: Record<number, DType> = {
  1: 'float32',
  2: 'uint8',
  3: 'int8',
  4: 'uint16',
  5: 'int16',
  10: 'float16',
  21: 'uint4',
  22: 'int4',
  25: 'uint2',
  26: 'int2',
};

function typeAttribute(
  operator: string,
  attributes: Attributes,
  name: string,
  allowed: readonly DType[],
): DType | null {
  const number = integerAttribute(operator, attributes, name, 0);
  if (number === 0) return null;
  const dtype = TYPE_NUMBERS[number];
  const known = Object.entries(TYPE_NUMBERS).filter(([, type]) => allowed.includes(type));
  check(
    dtype && allowed.includes(dtype),
    `${operator}: ${name} must be one of ${known.map(([key, type]) => `${key} (${type})`).join(', ')}`,
    number,
  );
  return dtype;
}

/** How scales lie over x: one, one an index of `axis`, or one a block along `axis`. */
function layoutOf(operator: string, x: Tensor, scale: Tensor, scaleName: string, attributes: Attributes) {
  const rank = x.dims.length;
  const blockSize = integerAttribute(operator, attributes, 'block_size', 0);
  check(blockSize >= 0, `${operator}: block_size must be 0 or more`, blockSize);
  let axis = integerAttribute(operator, attributes, 'axis', 1);
  const perTensor = {
    inners: 1,
    axisSize: 1,
    blockSize: 1,
    outerStride: 0,
    axisStride: 0,
    innerStride: 0,
  };
  if (isScalar(scale) && blockSize === 0) return perTensor;
  check(axis >= -rank && axis < rank, `${operator}: axis must be from ${-rank} to ${rank - 1}`, axis);
  if (axis < 0) axis += rank;
  const inners = sizeOf(x.dims.slice(axis + 1));
  const axisSize = x.dims[axis];
  if (blockSize === 0) {
    check(
      scale.dims.length === 1 && scale.dims[0] === axisSize,
      `${operator}: ${scaleName} must be a scalar or have one element for each of the ${axisSize} indices of axis ${axis}`,
      scale.dims,
      scale.dims.length === rank ? 'give block_size for blocked scales' : undefined,
    );
    return { ...perTensor, inners, axisSize, axisStride: 1 };
  }
  const blocks = Math.ceil(axisSize / blockSize);
  const expected = x.dims.map((size, i) => (i === axis ? blocks : size));
  check(
    scale.dims.length === rank && expected.every((size, i) => size === scale.dims[i]),
    `${operator}: ${scaleName} must have the dims [${expected}] for blocks of ${blockSize} along axis ${axis}`,
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

function checkZeroPoint(
  operator: string,
  name: string,
  zeroPoint: Tensor | null,
  scale: Tensor,
  scaleName: string,
): void {
  if (!zeroPoint || (isScalar(zeroPoint) && isScalar(scale))) return;
  check(
    zeroPoint.dims.length === scale.dims.length && zeroPoint.dims.every((size, i) => size === scale.dims[i]),
    `${operator}: ${name} must have the dims of ${scaleName}, [${scale.dims}]`,
    zeroPoint.dims,
  );
}

const zerosOf = (zeroPoint: Tensor | null, scale: Tensor) =>
  zeroPoint ? Int32Array.from(zeroPoint.data) : new Int32Array(scale.data.length);

/** ONNX QuantizeLinear; `wrap` gives the lab's int8 overflow. */
export async function runQuantizeLinear(
  runtime: Runtime,
  inputs: Inputs,
  attributes: Attributes,
  wrap: boolean,
): Promise<Tensor[]> {
  const operator = 'QuantizeLinear';
  checkAttributes(operator, attributes, ['axis', 'block_size', 'output_dtype', 'precision', 'saturate']);
  const read = inputReader(operator, inputs, ['x', 'y_scale', 'y_zero_point']);
  const x = read.required('x', ['float32', 'float16', 'int32']);
  const scale = read.required('y_scale', FLOAT_TYPES);
  const zeroPoint = read.optional('y_zero_point', CODE_TYPES);
  const asked = typeAttribute(operator, attributes, 'output_dtype', CODE_TYPES);
  check(
    !asked || !zeroPoint || asked === zeroPoint.dtype,
    `${operator}: output_dtype must agree with y_zero_point, which is ${zeroPoint?.dtype}`,
    asked,
  );
  const precision = typeAttribute(operator, attributes, 'precision', FLOAT_TYPES);
  const scales = scalesOf(operator, 'y_scale', scale);
  const layout = layoutOf(operator, x, scale, 'y_scale', attributes);
  checkZeroPoint(operator, 'y_zero_point', zeroPoint, scale, 'y_scale');
  const dtype = zeroPoint?.dtype ?? asked ?? 'uint8';
  check(
    !wrap || dtype.startsWith('int'),
    `${operator}: the lab's wrap is for signed types of up to 8 bits`,
    dtype,
  );
  const [low, high] = CODE_RANGE[dtype]!;
  const width = high > 255 || low < -128 ? 2 : 1;
  check(!wrap || width === 1, `${operator}: the lab's wrap is for signed types of up to 8 bits`, dtype);
  const count = x.data.length;
  const kernel = await quantizeLinearOnnx.create(runtime.device, {
    INPUT: x.dtype === 'float32' ? '0u' : x.dtype === 'float16' ? '1u' : '2u',
    OUTPUT_BITS: width === 2 ? '16u' : '8u',
    PRECISION: precision === 'float16' ? '1u' : '0u',
    OVERFLOW: wrap ? '1u' : '0u',
  });
  return runtime.scope(async ({ upload, empty, keep }) => {
    const output = empty(count * width, 'codes');
    const buffers = {
      input: upload(x.data, 'x'),
      scales: upload(scales),
      zeroPoints: upload(zerosOf(zeroPoint, scale)),
      output,
    };
    runtime.submit([keep(kernel.bind(buffers, { count, ...layout, low, high }))]);
    return [tensorOf(dtype, x.dims, await runtime.read(output, count * width))];
  });
}

/** ONNX DequantizeLinear. */
export async function runDequantizeLinear(
  runtime: Runtime,
  inputs: Inputs,
  attributes: Attributes,
): Promise<Tensor[]> {
  const operator = 'DequantizeLinear';
  checkAttributes(operator, attributes, ['axis', 'block_size', 'output_dtype']);
  const read = inputReader(operator, inputs, ['x', 'x_scale', 'x_zero_point']);
  const x = read.required('x', [...CODE_TYPES, 'int32']);
  const scale = read.required('x_scale', FLOAT_TYPES);
  const zeroPoint = read.optional('x_zero_point', [x.dtype]);
  check(
    x.dtype !== 'int32' || !zeroPoint || zeroPoint.data.every((zero) => zero === 0),
    `${operator}: x_zero_point must be 0 for int32`,
    zeroPoint,
  );
  const dtype = typeAttribute(operator, attributes, 'output_dtype', FLOAT_TYPES) ?? scale.dtype;
  const scales = scalesOf(operator, 'x_scale', scale);
  const layout = layoutOf(operator, x, scale, 'x_scale', attributes);
  checkZeroPoint(operator, 'x_zero_point', zeroPoint, scale, 'x_scale');
  const count = x.data.length;
  const half = dtype === 'float16';
  const kernel = await dequantizeLinearOnnx.create(runtime.device, {
    INPUT_BITS: `${x.data.BYTES_PER_ELEMENT * 8}u`,
    SIGNED: x.dtype.startsWith('int') ? '1u' : '0u',
    OUTPUT: half ? '1u' : '0u',
  });
  return runtime.scope(async ({ upload, empty, keep }) => {
    const byteLength = count * (half ? 2 : 4);
    const output = empty(byteLength, 'values');
    const buffers = {
      input: upload(x.data, 'x'),
      scales: upload(scales),
      zeroPoints: upload(zerosOf(zeroPoint, scale)),
      output,
    };
    runtime.submit([keep(kernel.bind(buffers, { count, ...layout }))]);
    return [tensorOf(dtype, x.dims, await runtime.read(output, byteLength))];
  });
}

/** ONNX DynamicQuantizeLinear: y (uint8), y_scale, y_zero_point. */
export async function runDynamicQuantizeLinear(
  runtime: Runtime,
  inputs: Inputs,
  attributes: Attributes,
): Promise<Tensor[]> {
  const operator = 'DynamicQuantizeLinear';
  checkAttributes(operator, attributes, []);
  const x = inputReader(operator, inputs, ['x']).required('x', ['float32']);
  const count = x.data.length;
  const range = await dynamicQuantizeParams.create(runtime.device);
  const quantize = await quantizeLinearOnnx.create(runtime.device);
  return runtime.scope(async ({ upload, empty, keep }) => {
    const [input, scale, zeroPoint, output] = [
      upload(x.data, 'x'),
      empty(4),
      empty(4),
      empty(count, 'codes'),
    ];
    const layout = {
      inners: 1,
      axisSize: 1,
      blockSize: 1,
      outerStride: 0,
      axisStride: 0,
      innerStride: 0,
    };
    runtime.submit([
      keep(range.bind({ input, scale, zeroPoint }, { count })),
      keep(
        quantize.bind(
          { input, scales: scale, zeroPoints: zeroPoint, output },
          { count, ...layout, low: 0, high: 255 },
        ),
      ),
    ]);
    const codes = await runtime.read(output, count);
    const zero = new Int32Array(await runtime.read(zeroPoint, 4));
    return [
      tensorOf('uint8', x.dims, codes),
      tensorOf('float32', [], await runtime.read(scale, 4)),
      { dtype: 'uint8', dims: [], data: Uint8Array.from(zero) },
    ];
  });
}
