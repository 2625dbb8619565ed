import { check } from '../gpu/errors.ts';
import type { Runtime } from '../gpu/runtime.ts';
import type { DType, Tensor } from '../gpu/tensor.ts';
import {
  type Attributes,
  BYTE_TYPES,
  byteFlip,
  CODE_RANGE,
  checkAttributes,
  type Inputs,
  inputReader,
  integerAttribute,
  scalarOf,
  scalesOf,
  sizeOf,
  tensorOf,
  zeroShift,
} from '../graph/ops/tensors.ts';
import { addInt8 } from '../kernels/add-int8.ts';
import { concatInt8 } from '../kernels/concat-int8.ts';
import { prepareAdd } from '../quantize/add.ts';
import { prepareConcat } from '../quantize/concat.ts';
import type { RequantizeRule } from '../quantize/requantize.ts';
import { broadcast, repeatInner } from './broadcast.ts';

type Reader = ReturnType<typeof inputReader>;

/** A per-tensor scale and zero point, which the com.microsoft operators may leave out (0). */
function qparams(operator: string, read: Reader, scaleName: string, zeroName: string, dtype: DType) {
  const tensor = read.required(scaleName, ['float32']);
  scalarOf(operator, scaleName, tensor);
  const scale = scalesOf(operator, scaleName, tensor)[0];
  return { scale, zero: scalarOf(operator, zeroName, read.optional(zeroName, [dtype])) };
}

/** com.microsoft QLinearAdd: A, A_scale, A_zero_point, B, B_scale, B_zero_point, C_scale, C_zero_point. */
export async function runQLinearAdd(
  runtime: Runtime,
  inputs: Inputs,
  attributes: Attributes,
  rule: RequantizeRule,
): Promise<Tensor[]> {
  const operator = 'QLinearAdd';
  checkAttributes(operator, attributes, []);
  const names = ['A', 'A_scale', 'A_zero_point', 'B', 'B_scale', 'B_zero_point', 'C_scale', 'C_zero_point'];
  const read = inputReader(operator, inputs, names);
  const left = read.required('A', BYTE_TYPES);
  const right = read.required('B', [left.dtype]);
  const { dtype } = left;
  const [p, q, y] = ['A', 'B', 'C'].map((name) =>
    qparams(operator, read, `${name}_scale`, `${name}_zero_point`, dtype),
  );
  const shape = broadcast(`${operator}: the dims`, left.dims, right.dims);
  const { dims } = shape;
  // Where A is repeated along the innermost axis ONNX Runtime adds B + A, which its rounding can tell from A + B.
  const inner = dims.findLastIndex((size) => size !== 1);
  const swap = inner >= 0 && shape.a[inner] === 1;
  const operands = [
    { ...p, data: repeatInner(left, shape.a, dims) },
    { ...q, data: repeatInner(right, shape.b, dims) },
  ];
  const [a, b] = swap ? operands.reverse() : operands;
  const count = sizeOf(dims);
  const [low, high] = CODE_RANGE[dtype]!;
  const { ADD, words } = prepareAdd(rule, [a.scale, b.scale, y.scale], [a.zero, b.zero, y.zero]);
  const kernel = await addInt8.create(runtime.device, {
    ADD,
    REQUANTIZE: rule === 'tflite-single' ? '4u' : '3u',
  });
  const shift = zeroShift(dtype);
  return runtime.scope(async ({ upload, empty, keep }) => {
    const output = empty(count, 'sum');
    const call = kernel.bind(
      { a: upload(a.data, 'A'), b: upload(b.data, 'B'), output },
      {
        count,
        aCount: a.data.length,
        bCount: b.data.length,
        aFlip: byteFlip(dtype),
        bFlip: byteFlip(dtype),
        aShift: shift,
        bShift: shift,
        aZero: a.zero + shift,
        bZero: b.zero + shift,
        zeroPoint: y.zero,
        low,
        high,
        ...words,
      },
    );
    runtime.submit([keep(call)]);
    return [tensorOf(dtype, dims, await runtime.read(output, count))];
  });
}

/** com.microsoft QLinearConcat: Y_scale, Y_zero_point, then tensor, scale, zero point of every input; `axis`. */
export async function runQLinearConcat(
  runtime: Runtime,
  inputs: Inputs,
  attributes: Attributes,
  rule: RequantizeRule,
): Promise<Tensor[]> {
  const operator = 'QLinearConcat';
  checkAttributes(operator, attributes, ['axis']);
  const total = Math.floor((inputs.length - 2) / 3);
  check(total >= 1 && inputs.length === 2 + 3 * total, `${operator} needs 2 + 3 n inputs`, inputs.length);
  const names = ['Y_scale', 'Y_zero_point'];
  for (let i = 0; i < total; i++) names.push(`x${i}`, `x${i}_scale`, `x${i}_zero_point`);
  const read = inputReader(operator, inputs, names);
  const dtype = read.required('Y_zero_point', BYTE_TYPES).dtype;
  const y = qparams(operator, read, 'Y_scale', 'Y_zero_point', dtype);
  const parts = Array.from({ length: total }, (_, i) => {
    const tensor = read.required(`x${i}`, [dtype]);
    return { tensor, ...qparams(operator, read, `x${i}_scale`, `x${i}_zero_point`, dtype) };
  });
  const { dims } = parts[0].tensor;
  check(attributes.axis !== undefined, `${operator} needs its attribute axis`, 'none');
  const asked = integerAttribute(operator, attributes, 'axis', 0);
  check(
    asked >= -dims.length && asked < dims.length,
    `${operator}: axis must be from ${-dims.length} to ${dims.length - 1}`,
    asked,
  );
  const axis = asked < 0 ? asked + dims.length : asked;
  for (const [i, { tensor }] of parts.entries()) {
    check(
      tensor.dims.length === dims.length && tensor.dims.every((size, d) => d === axis || size === dims[d]),
      `${operator}: x${i} must have the dims of x0, [${dims}], except along axis ${axis}`,
      tensor.dims,
    );
  }
  const rows = sizeOf(dims.slice(0, axis));
  const row = parts.reduce((sum, { tensor }) => sum + tensor.data.length / rows, 0);
  const outputWords = Math.ceil(row / 4);
  const [low, high] = CODE_RANGE[dtype]!;
  const common = { rows, outputWords, flip: byteFlip(dtype), zeroPoint: y.zero, low, high };
  let start = 0;
  const places = parts.map(({ tensor, scale, zero }) => {
    const length = tensor.data.length / rows;
    start += length;
    return { tensor, scale, zero, place: { start: start - length, length } };
  });
  const prepared = await Promise.all(
    places.map(async ({ tensor, scale, zero, place }) => {
      const { specialization, params } = await prepareConcat(runtime, rule, scale, y.scale, place);
      const kernel = await concatInt8.create(runtime.device, specialization);
      const own = { inputStride: place.length, zero: zero + zeroShift(dtype) };
      return { kernel, tensor, params: { ...common, ...params, ...own } };
    }),
  );
  return runtime.scope(async ({ upload, empty, keep }) => {
    const output = empty(rows * outputWords * 4, 'concatenation');
    runtime.submit(
      prepared.map(({ kernel, tensor, params }, i) =>
        keep(kernel.bind({ input: upload(tensor.data, `x${i}`), output }, params)),
      ),
    );
    const size = parts.reduce((sum, { tensor }) => sum + tensor.dims[axis], 0);
    const outputDims = dims.map((value, d) => (d === axis ? size : value));
    return [tensorOf(dtype, outputDims, tightRows(await runtime.read(output), rows, row))];
  });
}

/** Rows of `length` bytes each, which begin at whole words, without the bytes between them. */
function tightRows(bytes: ArrayBuffer, rows: number, length: number): ArrayBuffer {
  const stride = Math.ceil(length / 4) * 4;
  if (stride === length) return bytes;
  const padded = new Uint8Array(bytes);
  const tight = new Uint8Array(rows * length);
  for (let r = 0; r < rows; r++) tight.set(padded.subarray(r * stride, r * stride + length), r * length);
  return tight.buffer;
}
