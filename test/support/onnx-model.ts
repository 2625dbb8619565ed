import type { DType, Tensor } from '../../src/gpu/tensor.ts';

/** One-node ONNX models in protobuf's wire format, enough to ask ONNX Runtime for one operator's outputs. */

/** TensorProto.DataType. */
export const ONNX_TYPES: Partial<Record<DType, number>> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  float16: 10,
  uint4: 21,
  int4: 22,
};

export type Attributes = Record<string, number | string | readonly number[]>;

export interface NodeModel {
  opType: string;
  domain?: string;
  opset: number;
  /** One entry an input of the node, null where an optional one is left out; every one is an initializer or a graph input. */
  inputs: readonly (Tensor | null)[];
  outputs: readonly DType[];
  attributes: Attributes;
  /** Indices of inputs that become initializers (ONNX Runtime wants constant weights and zero points in places). */
  initializers?: readonly number[];
}

/**
 * The model's bytes. Graph inputs are named x0, x1, ... by their place, outputs y0, y1, ...
 * A 4-bit output is cast to 8 bits inside the model: onnxruntime-node 1.30 dies on a 4-bit graph output.
 */
export function encodeModel(model: NodeModel): Uint8Array {
  const { opType, domain = '', opset, inputs, outputs, attributes, initializers = [] } = model;
  const node = [
    ...inputs.map((tensor, i) => text(1, tensor ? `x${i}` : '')),
    ...outputs.map((dtype, i) => text(2, isFourBit(dtype) ? `narrow${i}` : `y${i}`)),
    text(4, opType),
    ...Object.entries(attributes).map(([name, value]) => bytes(5, attribute(name, value))),
    text(7, domain),
  ];
  const casts = outputs.flatMap((dtype, i) =>
    isFourBit(dtype) ? [bytes(1, castNode(`narrow${i}`, `y${i}`, widened(dtype)))] : [],
  );
  const graph: Uint8Array[] = [bytes(1, node), ...casts, text(2, 'case')];
  for (const [i, tensor] of inputs.entries()) {
    if (!tensor) continue;
    if (initializers.includes(i)) graph.push(bytes(5, initializer(`x${i}`, tensor)));
    else graph.push(bytes(11, valueInfo(`x${i}`, tensor.dtype, tensor.dims)));
  }
  graph.push(...outputs.map((dtype, i) => bytes(12, valueInfo(`y${i}`, widened(dtype)))));
  const imports = [bytes(8, [text(1, ''), integer(2, opset)])];
  if (domain) imports.push(bytes(8, [text(1, domain), integer(2, 1)]));
  return join([integer(1, 10), text(2, 'lloyd'), bytes(7, graph), ...imports]);
}

const isFourBit = (dtype: DType) => dtype === 'int4' || dtype === 'uint4';
const widened = (dtype: DType): DType => (dtype === 'int4' ? 'int8' : dtype === 'uint4' ? 'uint8' : dtype);
const castNode = (from: string, to: string, dtype: DType) => [
  text(1, from),
  text(2, to),
  text(4, 'Cast'),
  bytes(5, attribute('to', ONNX_TYPES[dtype]!)),
];

function attribute(name: string, value: number | string | readonly number[]): Uint8Array[] {
  if (typeof value === 'string') return [text(1, name), text(4, value), integer(20, 3)];
  if (typeof value === 'number') return [text(1, name), integer(3, value), integer(20, 2)];
  return [text(1, name), ...value.map((v) => integer(8, v)), integer(20, 7)];
}

function valueInfo(name: string, dtype: DType, dims?: readonly number[]): Uint8Array[] {
  const shape = dims
    ? [
        bytes(
          2,
          dims.map((size) => bytes(1, [integer(1, size)])),
        ),
      ]
    : [];
  return [text(1, name), bytes(2, [bytes(1, [integer(1, ONNX_TYPES[dtype]!), ...shape])])];
}

function initializer(name: string, { dtype, dims, data }: Tensor): Uint8Array[] {
  const raw = rawData({ dtype, dims, data });
  return [
    ...dims.map((size) => integer(1, size)),
    integer(2, ONNX_TYPES[dtype]!),
    text(8, name),
    field(9, raw),
  ];
}

/** The bytes ONNX stores: 4-bit types two elements a byte, the first in the low bits. */
export function rawData({ dtype, data }: Tensor): Uint8Array {
  if (!isFourBit(dtype)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return Uint8Array.from(
    { length: Math.ceil(data.length / 2) },
    (_, i) => (data[2 * i] & 15) | (((data[2 * i + 1] ?? 0) & 15) << 4),
  );
}

function varint(value: number): number[] {
  let rest = BigInt.asUintN(64, BigInt(value));
  const out: number[] = [];
  while (rest > 127n) {
    out.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  return [...out, Number(rest)];
}

const integer = (tag: number, value: number) => Uint8Array.from([...varint(tag << 3), ...varint(value)]);
const field = (tag: number, content: Uint8Array) =>
  join([Uint8Array.from([...varint((tag << 3) | 2), ...varint(content.length)]), content]);
const bytes = (tag: number, parts: Uint8Array[]) => field(tag, join(parts));
const text = (tag: number, value: string) => field(tag, new TextEncoder().encode(value));

function join(parts: Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
