import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';
import type * as Ort from 'onnxruntime-node';
import { npmModule } from '../../bench/networks/npm-package.ts';
import type { Tensor } from '../../src/gpu/tensor.ts';
import type { GraphModel } from '../../src/graph/graph.ts';
import { TYPE_NUMBERS } from '../../src/onnx/write-tensor.ts';
import { rawData } from './onnx-model.ts';

/** Other readers and runtimes of ONNX files, fetched as networks are; null, with a printed reason, where that can't be. */

const required = createRequire(import.meta.url);

/** A decoder that was generated from ONNX's own onnx.proto. */
export async function onnxProto(): Promise<DecodeModel | null> {
  const folder = await npmModule('onnx-proto@8.0.1');
  if (!folder) return null;
  const { ModelProto } = (required(folder) as { onnx: { ModelProto: ModelProtoClass } }).onnx;
  return (bytes) => {
    const decoded = ModelProto.decode(bytes);
    const wrong = ModelProto.verify(decoded);
    if (wrong !== null) throw new Error(wrong);
    return decoded;
  };
}

/** ONNX Runtime's WebAssembly build, as pages have it, in one thread. */
export async function onnxRuntimeWeb(): Promise<typeof Ort | null> {
  const folder = await npmModule('onnxruntime-web@1.30.0');
  if (!folder) return null;
  const ort = required(folder) as typeof Ort;
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = 'error';
  return ort;
}

export type DecodeModel = (bytes: Uint8Array) => DecodedModel;
interface ModelProtoClass {
  decode(bytes: Uint8Array): DecodedModel;
  /** What is wrong with it. */
  verify(model: DecodedModel): string | null;
}

/** The messages of onnx.proto as protobufjs has them, as far as they are compared. */
export interface DecodedModel {
  opsetImport: { domain: string; version: Integer }[];
  graph: {
    name: string;
    node: DecodedNode[];
    initializer: DecodedTensor[];
    input: DecodedValue[];
    output: DecodedValue[];
  };
}
/** 64 bits: a Long, or a number where there are no Longs. */
type Integer = number | { toString(): string; toNumber(): number };
interface DecodedNode {
  name: string;
  opType: string;
  domain: string;
  input: string[];
  output: string[];
  attribute: DecodedAttribute[];
}
interface DecodedAttribute {
  name: string;
  /** AttributeProto.AttributeType. */
  type: number;
  f: number;
  i: Integer;
  s: Uint8Array;
  floats: number[];
  ints: Integer[];
  strings: Uint8Array[];
}
interface DecodedTensor {
  name: string;
  dims: Integer[];
  dataType: number;
  rawData: Uint8Array;
}
interface DecodedValue {
  name: string;
  type: {
    tensorType: { elemType: number; shape: { dim: { dimValue: Integer; dimParam: string }[] } };
  };
}

/** What a file says, in terms that a decoded one and one that was read here both have. */
export function decodedTerms({ graph, opsetImport }: DecodedModel) {
  const text = (value: Uint8Array) => new TextDecoder().decode(value);
  const attributes: Readonly<Record<number, (own: DecodedAttribute) => string[]>> = {
    1: ({ f }) => [String(f)],
    2: ({ i }) => [String(i)],
    3: ({ s }) => [text(s)],
    6: ({ floats }) => floats.map(String),
    7: ({ ints }) => ints.map(String),
    8: ({ strings }) => strings.map(text),
  };
  return {
    name: graph.name,
    opset: Number(opsetImport.find(({ domain }) => domain === '')!.version),
    nodes: graph.node.map(({ name, opType, domain, input, output, attribute }) => ({
      ...{ name, op: opType, domain, inputs: input, outputs: output },
      attributes: attribute.map((own) => [own.name, ...attributes[own.type](own)]),
    })),
    initializers: graph.initializer.map(({ name, dims, dataType, rawData }) => ({
      ...{ name, dims: dims.map(Number), type: dataType, sha256: sha256(rawData) },
    })),
    inputs: graph.input.map(({ name, type: { tensorType } }) => ({
      ...{ name, type: tensorType.elemType },
      shape: tensorType.shape.dim.map(({ dimValue, dimParam }) => dimParam || Number(dimValue)),
    })),
    outputs: graph.output.map(({ name }) => name),
  };
}

/** The same of a model that was read here. */
export function modelTerms({ graph, parameters }: GraphModel): ReturnType<typeof decodedTerms> {
  const listed = (value: unknown) =>
    Array.isArray(value) || ArrayBuffer.isView(value)
      ? Array.from(value as number[], String)
      : [String(value)];
  return {
    name: graph.name,
    opset: graph.opset,
    nodes: graph.nodes.map(({ name, op, domain = '', inputs, outputs, attributes }) => ({
      ...{ name, op, domain, inputs: inputs.map((input) => input ?? ''), outputs: [...outputs] },
      attributes: Object.entries(attributes).map(([key, value]) => [key, ...listed(value)]),
    })),
    initializers: [...parameters].map(([name, tensor]) => ({
      ...{ name, dims: [...tensor.dims], type: TYPE_NUMBERS[tensor.dtype] },
      sha256: sha256(rawData(tensor as Tensor)),
    })),
    inputs: graph.inputs.map(({ name, dtype, shape }) => ({
      ...{ name, type: TYPE_NUMBERS[dtype], shape: [...shape] },
    })),
    outputs: [...graph.outputs],
  };
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
