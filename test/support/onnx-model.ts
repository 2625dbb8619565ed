import type { DType, Tensor } from '../../src/gpu/tensor.ts';

/** ONNX models in protobuf's wire format, enough to ask ONNX Runtime for one operator's outputs or a network's. */

/** TensorProto.DataType. */
export const ONNX_TYPES: Partial<Record<DType | 'int64', number>> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  uint32: 12,
  uint4: 21,
  int4: 22,
};

export type Attributes = Record<string, number | string | readonly number[] | readonly string[] | Tensor>;

/** Attributes of ONNX that hold a float, or floats, whatever their value. */
const FLOATS = [
  ...['alpha', 'beta', 'gamma', 'epsilon', 'momentum', 'ratio', 'value', 'min', 'max', 'value_float'],
  ...['cubic_coeff_a', 'extrapolation_value', 'value_floats', 'scales', 'lambd', 'bias', 'clip', 'scale'],
  ...['activation_alpha', 'activation_beta', 'activation_params', 'softcap', 'mask_filter_value'],
];

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
  const names = (list: readonly unknown[], letter: string) => list.map((_, i) => `${letter}${i}`);
  const nodes: OnnxNode[] = [
    {
      opType,
      domain,
      attributes,
      inputs: inputs.map((tensor, i) => (tensor ? `x${i}` : '')),
      outputs: outputs.map((dtype, i) => (isFourBit(dtype) ? `narrow${i}` : `y${i}`)),
    },
  ];
  for (const [i, dtype] of outputs.entries()) {
    if (!isFourBit(dtype)) continue;
    const to = ONNX_TYPES[widened(dtype)]!;
    nodes.push({ opType: 'Cast', inputs: [`narrow${i}`], outputs: [`y${i}`], attributes: { to } });
  }
  const given = names(inputs, 'x').flatMap((name, i) => (inputs[i] ? [[name, inputs[i], i] as const] : []));
  const pick = (constant: boolean) =>
    Object.fromEntries(given.filter(([, , i]) => initializers.includes(i) === constant));
  return encodeGraph({
    opset,
    nodes,
    constants: pick(true),
    inputs: pick(false),
    outputs: Object.fromEntries(outputs.map((dtype, i) => [`y${i}`, widened(dtype)])),
  });
}

/** A node by the names of what it reads and writes; '' for an optional input that is left out. */
export interface OnnxNode {
  opType: string;
  domain?: string;
  inputs: readonly string[];
  outputs: readonly string[];
  attributes: Attributes;
}

/** A graph of nodes in order. */
export interface OnnxGraph {
  opset: number;
  nodes: readonly OnnxNode[];
  constants: Readonly<Record<string, Tensor>>;
  inputs: Readonly<Record<string, Pick<Tensor, 'dtype' | 'dims'>>>;
  outputs: Readonly<Record<string, DType>>;
}

/** The bytes of a model of many nodes. */
export function encodeGraph({ opset, nodes, constants, inputs, outputs }: OnnxGraph): Uint8Array {
  const graph = [
    ...nodes.map((node) => bytes(1, encodeNode(node))),
    text(2, 'case'),
    ...Object.entries(constants).map(([name, tensor]) => bytes(5, initializer(name, tensor))),
    ...Object.entries(inputs).map(([name, { dtype, dims }]) => bytes(11, valueInfo(name, dtype, dims))),
    ...Object.entries(outputs).map(([name, dtype]) => bytes(12, valueInfo(name, dtype))),
  ];
  const imports = [bytes(8, [text(1, ''), integer(2, opset)])];
  for (const domain of new Set(nodes.map((node) => node.domain ?? ''))) {
    if (domain) imports.push(bytes(8, [text(1, domain), integer(2, 1)]));
  }
  return join([integer(1, 10), text(2, 'lloyd'), bytes(7, graph), ...imports]);
}

const encodeNode = ({ opType, domain = '', inputs, outputs, attributes }: OnnxNode) => [
  ...inputs.map((name) => text(1, name)),
  ...outputs.map((name) => text(2, name)),
  text(4, opType),
  ...Object.entries(attributes).map(([name, value]) => bytes(5, attribute(name, value))),
  text(7, domain),
];

const isFourBit = (dtype: DType) => dtype === 'int4' || dtype === 'uint4';
const widened = (dtype: DType): DType => (dtype === 'int4' ? 'int8' : dtype === 'uint4' ? 'uint8' : dtype);

function attribute(name: string, value: Attributes[string]): Uint8Array[] {
  const own = text(1, name);
  const float = FLOATS.includes(name);
  if (typeof value === 'string') return [own, text(4, value), integer(20, 3)];
  if (typeof value === 'number')
    return float ? [own, float32(2, value), integer(20, 1)] : [own, integer(3, value), integer(20, 2)];
  if ('dtype' in value) return [own, bytes(5, initializer('', value)), integer(20, 4)];
  const list = Array.from(value as ArrayLike<number | string>);
  if (typeof list[0] === 'string') return [own, ...list.map((v) => text(9, String(v))), integer(20, 8)];
  if (float) return [own, ...list.map((v) => float32(7, Number(v))), integer(20, 6)];
  return [own, ...list.map((v) => integer(8, Number(v))), integer(20, 7)];
}

export const float32 = (tag: number, value: number) =>
  join([Uint8Array.from(varint((tag << 3) | 5)), new Uint8Array(Float32Array.of(value).buffer)]);

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

export function varint(value: number | bigint): number[] {
  let rest = BigInt.asUintN(64, BigInt(value));
  const out: number[] = [];
  while (rest > 127n) {
    out.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  return [...out, Number(rest)];
}

export const integer = (tag: number, value: number | bigint) =>
  Uint8Array.from([...varint(tag << 3), ...varint(value)]);
export const field = (tag: number, content: Uint8Array) =>
  join([Uint8Array.from([...varint((tag << 3) | 2), ...varint(content.length)]), content]);
export const bytes = (tag: number, parts: Uint8Array[]) => field(tag, join(parts));
export const text = (tag: number, value: string) => field(tag, new TextEncoder().encode(value));

export function join(parts: Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
