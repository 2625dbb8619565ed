import { addInt8Reference } from './add-int8.ts';
import { rescaleReference } from './concat-int8.ts';
import { convIntegerReference } from './conv-integer.ts';
import { dequantizeLinearOnnxReference } from './dequantize-linear-onnx.ts';
import { dynamicQuantizeParamsReference } from './dynamic-quantize-params.ts';
import { matmulIntegerReference } from './matmul-integer.ts';
import {
  floatToHalfReference,
  halfToFloatReference,
  quantizeLinearOnnxReference,
  type ScaleLayout,
  scaleIndex,
} from './quantize-linear-onnx.ts';
import { type RequantizeRule, requantizeReference, roundHalfEven } from './requantize.ts';

/**
 * CPU twins of whole ONNX operators: the kernels' twins with the operators' shapes, attributes and types around
 * them. Valid input is taken for granted: checking is the business of the operators themselves.
 */

/** A tensor with anything list-like as data; float16 as bits. */
export interface TwinTensor {
  dtype: string;
  dims: readonly number[];
  data: ArrayLike<number>;
}

type TwinInputs = readonly (TwinTensor | null | undefined)[];
type TwinAttributes = Record<string, unknown>;

const RANGES: Record<string, readonly [number, number]> = {
  int2: [-2, 1],
  uint2: [0, 3],
  int4: [-8, 7],
  uint4: [0, 15],
  int8: [-128, 127],
  uint8: [0, 255],
  int16: [-32768, 32767],
  uint16: [0, 65535],
};

const product = (dims: readonly number[]) => dims.reduce((a, b) => a * b, 1);
const values = (tensor: TwinTensor) =>
  tensor.dtype === 'float16' ? Array.from(tensor.data, halfToFloatReference) : Array.from(tensor.data);
const first = (tensor: TwinTensor | null | undefined) => tensor?.data[0] ?? 0;

/** The operator's outputs as the GPU should compute them. */
export function operatorReference(
  operator: string,
  inputs: TwinInputs,
  attributes: TwinAttributes,
  rule: RequantizeRule,
): TwinTensor[] {
  switch (operator) {
    case 'QuantizeLinear':
      return [quantizeLinear(inputs, attributes)];
    case 'DequantizeLinear':
      return [dequantizeLinear(inputs, attributes)];
    case 'DynamicQuantizeLinear':
      return dynamicQuantizeLinear(inputs[0]!);
    case 'ConvInteger':
      return [conv(inputs[0]!, inputs[1]!, first(inputs[2]), inputs[3], attributes)];
    case 'QLinearConv':
      return [qlinearConv(inputs, attributes, rule)];
    case 'MatMulInteger':
      return [matmul(inputs[0]!, inputs[1]!, inputs[2], inputs[3])];
    case 'QLinearMatMul':
      return [qlinearMatmul(inputs, rule)];
    case 'QLinearAdd':
      return [qlinearAdd(inputs, rule)];
    case 'QLinearConcat':
      return [qlinearConcat(inputs, attributes, rule)];
    case 'QLinearMul':
      return [qlinearMul(inputs, rule)];
    case 'QLinearGlobalAveragePool':
      return [qlinearGlobalAveragePool(inputs, attributes, rule)];
    case 'QLinearSigmoid':
      return [lookedUp(inputs, (x) => 1 / (1 + Math.exp(-x)))];
    case 'QLinearLeakyRelu':
      return [lookedUp(inputs, (x) => (x >= 0 ? x : x * Math.fround(Number(attributes.alpha ?? 0.01))))];
    default:
      throw new Error(`no reference for ${operator}`);
  }
}

function layoutOf(x: TwinTensor, scale: TwinTensor, attributes: TwinAttributes): ScaleLayout {
  const axis =
    ((attributes.axis as number | undefined) ?? 1) + (Number(attributes.axis ?? 1) < 0 ? x.dims.length : 0);
  const inners = product(x.dims.slice(axis + 1));
  const blockSize = Number(attributes.block_size ?? 0);
  if (blockSize > 0) {
    const outerStride = Math.ceil(x.dims[axis] / blockSize) * inners;
    return { inners, axisSize: x.dims[axis], blockSize, outerStride, axisStride: inners, innerStride: 1 };
  }
  if (scale.data.length === 1) {
    return { inners: 1, axisSize: 1, blockSize: 1, outerStride: 0, axisStride: 0, innerStride: 0 };
  }
  return { inners, axisSize: x.dims[axis], blockSize: 1, outerStride: 0, axisStride: 1, innerStride: 0 };
}

function quantizeLinear([x, scale, zero]: TwinInputs, attributes: TwinAttributes): TwinTensor {
  const layout = layoutOf(x!, scale!, attributes);
  const scales = values(scale!);
  const dtype = zero?.dtype ?? 'uint8';
  const [low, high] = RANGES[dtype];
  const halfPrecision = attributes.precision === 10;
  const data = values(x!).map((value, i) => {
    const place = scaleIndex(i, layout);
    return quantizeLinearOnnxReference(value, scales[place], zero?.data[place] ?? 0, low, high, {
      halfPrecision,
    });
  });
  return { dtype, dims: x!.dims, data };
}

function dequantizeLinear([x, scale, zero]: TwinInputs, attributes: TwinAttributes): TwinTensor {
  const layout = layoutOf(x!, scale!, attributes);
  const scales = values(scale!);
  const data = Array.from(x!.data, (code, i) => {
    const place = scaleIndex(i, layout);
    const value = dequantizeLinearOnnxReference(code, scales[place], zero?.data[place] ?? 0);
    return scale!.dtype === 'float16' ? floatToHalfReference(value) : value;
  });
  return { dtype: scale!.dtype, dims: x!.dims, data };
}

function dynamicQuantizeLinear(x: TwinTensor): TwinTensor[] {
  const { scale, zeroPoint } = dynamicQuantizeParamsReference(x.data);
  const data = Array.from(x.data, (value) => quantizeLinearOnnxReference(value, scale, zeroPoint, 0, 255));
  return [
    { dtype: 'uint8', dims: x.dims, data },
    { dtype: 'float32', dims: [], data: [scale] },
    { dtype: 'uint8', dims: [], data: [zeroPoint] },
  ];
}

function conv(
  x: TwinTensor,
  w: TwinTensor,
  inputZero: number,
  weightZero: TwinTensor | null | undefined,
  attributes: TwinAttributes,
  bias: ArrayLike<number> = [0],
): TwinTensor {
  const spatial = x.dims.length - 2;
  const list = (name: string, fill: number, length = spatial) =>
    (attributes[name] as number[] | undefined) ?? Array<number>(length).fill(fill);
  const strides = list('strides', 1);
  const dilations = list('dilations', 1);
  const explicit = list('pads', 0, spatial * 2);
  const pads: number[] = [];
  const sizes: number[] = [];
  for (let d = 0; d < spatial; d++) {
    const input = x.dims[2 + d];
    const extent = dilations[d] * (w.dims[2 + d] - 1) + 1;
    if (attributes.auto_pad === 'SAME_UPPER' || attributes.auto_pad === 'SAME_LOWER') {
      const output = Math.ceil(input / strides[d]);
      const missing = Math.max(0, (output - 1) * strides[d] + extent - input);
      pads.push((missing - (attributes.auto_pad === 'SAME_UPPER' ? missing % 2 : -(missing % 2))) / 2);
      sizes.push(output);
    } else {
      pads.push(explicit[d]);
      sizes.push(Math.floor((input + explicit[d] + explicit[d + spatial] - extent) / strides[d]) + 1);
    }
  }
  const five = (dims: readonly number[], fill: number, at: number) => [
    ...dims.slice(0, at),
    ...Array<number>(3 - spatial).fill(fill),
    ...dims.slice(at),
  ];
  const dims = [x.dims[0], w.dims[0], ...sizes];
  const data = convIntegerReference(
    x.data,
    w.data,
    { inputZero, weightZeros: weightZero?.data ?? [0], bias },
    {
      input: five(x.dims, 1, 2),
      weights: five(w.dims, 1, 2),
      output: five(dims, 1, 2),
      groups: Number(attributes.group ?? 1),
      strides: five(strides, 1, 0),
      dilations: five(dilations, 1, 0),
      pads: five(pads, 0, 0),
    },
  );
  return { dtype: 'int32', dims, data };
}

function qlinearConv(inputs: TwinInputs, attributes: TwinAttributes, rule: RequantizeRule): TwinTensor {
  const [x, xScale, xZero, w, wScale, wZero, yScale, yZero, bias] = inputs;
  const { dims, data } = conv(x!, w!, first(xZero), wZero, attributes, bias?.data);
  const dtype = yZero!.dtype;
  const [low, high] = RANGES[dtype];
  const plane = product(dims.slice(2));
  const codes = Array.from(data, (accumulator, i) =>
    requantizeReference(rule, accumulator, {
      inputScale: first(xScale),
      weightScale: wScale!.data[wScale!.data.length > 1 ? Math.floor(i / plane) % dims[1] : 0],
      outputScale: first(yScale),
      zeroPoint: first(yZero),
      low,
      high,
    }),
  );
  return { dtype, dims, data: codes };
}

/** Which matrix of a tensor with batch dimensions `batch` output matrix `index` (of `full`) reads. */
function matrixOf(index: number, full: readonly number[], batch: readonly number[]): number {
  let matrix = 0;
  for (let d = 0; d < full.length; d++) {
    const place = Math.floor(index / product(full.slice(d + 1))) % full[d];
    const own = d - (full.length - batch.length);
    if (own >= 0) matrix = matrix * batch[own] + (batch[own] === 1 ? 0 : place);
  }
  return matrix;
}

function matmulShape(a: TwinTensor, b: TwinTensor) {
  const left = a.dims.length === 1 ? [1, a.dims[0]] : a.dims;
  const right = b.dims.length === 1 ? [b.dims[0], 1] : b.dims;
  const [M, K] = left.slice(-2);
  const N = right[right.length - 1];
  const [p, q] = [left.slice(0, -2), right.slice(0, -2)];
  const rank = Math.max(p.length, q.length);
  const batch = Array.from({ length: rank }, (_, d) =>
    Math.max(p[d - (rank - p.length)] ?? 1, q[d - (rank - q.length)] ?? 1),
  );
  const pairs = Array.from(
    { length: product(batch) },
    (_, i) => [matrixOf(i, batch, p), matrixOf(i, batch, q)] as const,
  );
  const dims = [...batch, ...(a.dims.length > 1 ? [M] : []), ...(b.dims.length > 1 ? [N] : [])];
  return { M, N, K, pairs, dims };
}

/** Element (matrix, index) of a scalar, a list of `size`, or one list a matrix. */
function pick(tensor: TwinTensor | null | undefined, size: number, matrix: number, index: number): number {
  if (!tensor) return 0;
  if (tensor.data.length === 1) return tensor.data[0];
  return tensor.data[tensor.dims.length === 1 ? index : matrix * size + index];
}

function matmul(a: TwinTensor, b: TwinTensor, aZero: TwinInputs[0], bZero: TwinInputs[0]): TwinTensor {
  const shape = matmulShape(a, b);
  const data = matmulIntegerReference(
    a.data,
    b.data,
    (matrix, row) => pick(aZero, shape.M, matrix, row),
    (matrix, column) => pick(bZero, shape.N, matrix, column),
    shape,
  );
  return { dtype: 'int32', dims: shape.dims, data };
}

function qlinearMatmul(inputs: TwinInputs, rule: RequantizeRule): TwinTensor {
  const [a, aScale, aZero, b, bScale, bZero, yScale, yZero] = inputs;
  const { M, N, pairs } = matmulShape(a!, b!);
  const { dims, data } = matmul(a!, b!, aZero, bZero);
  const [aScales, bScales, yScales] = [aScale, bScale, yScale].map((s) => ({ ...s!, data: values(s!) }));
  const dtype = yZero!.dtype;
  const [low, high] = RANGES[dtype];
  const codes = Array.from(data, (accumulator, i) => {
    const [p, q] = pairs[Math.floor(i / (M * N))];
    return requantizeReference(rule, accumulator, {
      inputScale: pick(aScales, M, p, Math.floor(i / N) % M),
      weightScale: pick(bScales, N, q, i % N),
      outputScale: first(yScales),
      zeroPoint: first(yZero),
      low,
      high,
    });
  });
  return { dtype, dims, data: codes };
}

function qlinearAdd(inputs: TwinInputs, rule: RequantizeRule): TwinTensor {
  const [a, aScale, aZero, b, bScale, bZero, yScale, yZero] = inputs;
  const [low, high] = RANGES[a!.dtype];
  const p = { scale: first(aScale), zeroPoint: first(aZero) };
  const q = { scale: first(bScale), zeroPoint: first(bZero) };
  const y = { scale: first(yScale), zeroPoint: first(yZero), low, high };
  const rank = Math.max(a!.dims.length, b!.dims.length);
  const aligned = ({ dims }: TwinTensor) => [...Array<number>(rank - dims.length).fill(1), ...dims];
  const [left, right] = [aligned(a!), aligned(b!)];
  const dims = left.map((size, d) => Math.max(size, right[d]));
  // ONNX Runtime calls its kernel with the operand that is constant along the innermost axis second.
  let swap = false;
  for (let d = 0; d < rank; d++) if (dims[d] > 1) swap = left[d] === 1;
  const data = Array.from({ length: product(dims) }, (_, i) => {
    const x = a!.data[matrixOf(i, dims, left)];
    const z = b!.data[matrixOf(i, dims, right)];
    return swap ? addInt8Reference(rule, z, x, q, p, y) : addInt8Reference(rule, x, z, p, q, y);
  });
  return { dtype: a!.dtype, dims, data };
}

/** ONNX Runtime's product adds the zero point before it rounds, as the lab's rule does. */
function qlinearMul(inputs: TwinInputs, rule: RequantizeRule): TwinTensor {
  const [a, aScale, aZero, b, bScale, bZero, yScale, yZero] = inputs;
  const [low, high] = RANGES[a!.dtype];
  const rank = Math.max(a!.dims.length, b!.dims.length);
  const aligned = ({ dims }: TwinTensor) => [...Array<number>(rank - dims.length).fill(1), ...dims];
  const [left, right] = [aligned(a!), aligned(b!)];
  const dims = left.map((size, d) => Math.max(size, right[d]));
  const scales = { inputScale: first(aScale), weightScale: first(bScale), outputScale: first(yScale) };
  const settings = { ...scales, zeroPoint: first(yZero), low, high };
  const data = Array.from({ length: product(dims) }, (_, i) => {
    const x = a!.data[matrixOf(i, dims, left)] - first(aZero);
    const z = b!.data[matrixOf(i, dims, right)] - first(bZero);
    return requantizeReference(rule === 'ort-f32' ? 'lab' : rule, x * z, settings);
  });
  return { dtype: a!.dtype, dims, data };
}

function qlinearGlobalAveragePool(
  [x, xScale, xZero, yScale, yZero]: TwinInputs,
  attributes: TwinAttributes,
  rule: RequantizeRule,
): TwinTensor {
  const { dtype, dims } = x!;
  const last = attributes.channels_last === 1;
  const channels = last ? dims[dims.length - 1] : dims[1];
  const size = product(dims) / (dims[0] * channels);
  const [low, high] = RANGES[dtype];
  const scales = { inputScale: first(xScale), weightScale: 1, outputScale: first(yScale) * size };
  const settings = { ...scales, zeroPoint: first(yZero), low, high };
  const data = Array.from({ length: dims[0] * channels }, (_, i) => {
    const [image, channel] = [Math.floor(i / channels), i % channels];
    let sum = 0;
    for (let p = 0; p < size; p++) {
      sum += x!.data[last ? (image * size + p) * channels + channel : i * size + p] - first(xZero);
    }
    return requantizeReference(rule, sum, settings);
  });
  const kept = dims.map((own, d) => (d === 0 || d === (last ? dims.length - 1 : 1) ? own : 1));
  return { dtype, dims: kept, data };
}

/** A function of each code's value, in float32 to the output's nearest code. */
function lookedUp(
  [x, xScale, xZero, yScale, yZero]: TwinInputs,
  apply: (value: number) => number,
): TwinTensor {
  const [low, high] = RANGES[x!.dtype];
  const [p, y] = [Math.fround(first(xScale)), Math.fround(first(yScale))];
  const data = Array.from(x!.data, (code) => {
    const value = Math.fround(apply(Math.fround((code - first(xZero)) * p)));
    return Math.min(high, Math.max(low, roundHalfEven(Math.fround(value / y)) + first(yZero)));
  });
  return { dtype: x!.dtype, dims: x!.dims, data };
}

function qlinearConcat(inputs: TwinInputs, attributes: TwinAttributes, rule: RequantizeRule): TwinTensor {
  const [yScale, yZero, ...rest] = inputs;
  const dtype = yZero!.dtype;
  const [low, high] = RANGES[dtype];
  const y = { scale: first(yScale), zeroPoint: first(yZero), low, high };
  const tensors = rest.filter((_, i) => i % 3 === 0) as TwinTensor[];
  const rank = tensors[0].dims.length;
  const axis = (Number(attributes.axis) + rank) % rank;
  const rows = product(tensors[0].dims.slice(0, axis));
  const data: number[] = [];
  for (let row = 0; row < rows; row++)
    for (const [i, tensor] of tensors.entries()) {
      const length = tensor.data.length / rows;
      const own = { scale: first(rest[i * 3 + 1]), zeroPoint: first(rest[i * 3 + 2]) };
      for (let j = 0; j < length; j++)
        data.push(rescaleReference(rule, tensor.data[row * length + j], own, y));
    }
  const dims = [...tensors[0].dims];
  dims[axis] = tensors.reduce((sum, tensor) => sum + tensor.dims[axis], 0);
  return { dtype, dims, data };
}
