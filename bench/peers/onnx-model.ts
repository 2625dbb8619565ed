import type { FoldedVgg } from './folded.ts';

/** Float models in ONNX's protobuf wire format (onnx.proto3): as much of it as ONNX Runtime needs to run a VGG. */

type Attributes = Record<string, number | readonly number[]>;

interface Builder {
  node(op: string, inputs: readonly string[], attributes?: Attributes): string;
  constant(dims: readonly number[], data: Float32Array): string;
}

const FLOAT = 1;
const OPSET = 17;
/** ModelProto.ir_version that goes with the opset. */
const IR_VERSION = 8;

/** The VGG's bytes; input `x` is batch x channels x height x width, output `y` batch x classes. */
export function vggOnnx({ convs, classifier, input }: FoldedVgg, batch: number): Uint8Array {
  return onnxModel([batch, input.channels, input.height, input.width], [batch, classifier.outputs], (add) => {
    let last = 'x';
    for (const { outputs, inputs, weight, bias, pool } of convs) {
      const operands = [last, add.constant([outputs, inputs, 3, 3], weight), add.constant([outputs], bias)];
      last = add.node('Conv', operands, { kernel_shape: [3, 3], pads: [1, 1, 1, 1], strides: [1, 1] });
      last = add.node('Relu', [last]);
      if (pool) last = add.node('MaxPool', [last], { kernel_shape: [2, 2], strides: [2, 2] });
    }
    last = add.node('AveragePool', [last], { kernel_shape: [2, 2], strides: [2, 2] });
    last = add.node('Flatten', [last], { axis: 1 });
    const { outputs, inputs, weight, bias } = classifier;
    return add.node('Gemm', [last, add.constant([outputs, inputs], weight), add.constant([outputs], bias)], {
      transB: 1,
    });
  });
}

function onnxModel(
  inputDims: readonly number[],
  outputDims: readonly number[],
  build: (add: Builder) => string,
): Uint8Array {
  const graph: Uint8Array[] = [];
  let names = 0;
  const last = build({
    node(op, inputs, attributes = {}) {
      const output = `n${names++}`;
      const parts = [...inputs.map((name) => text(1, name)), text(2, output), text(4, op)];
      for (const [name, value] of Object.entries(attributes)) parts.push(message(5, attribute(name, value)));
      graph.push(message(1, parts));
      return output;
    },
    constant(dims, data) {
      const name = `c${names++}`;
      const raw = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
      graph.push(
        message(5, [
          ...dims.map((size) => integer(1, size)),
          integer(2, FLOAT),
          text(8, name),
          field(9, [raw]),
        ]),
      );
      return name;
    },
  });
  graph.push(message(1, [text(1, last), text(2, 'y'), text(4, 'Identity')]));
  graph.push(text(2, 'model'), message(11, value('x', inputDims)), message(12, value('y', outputDims)));
  const opset = message(8, [text(1, ''), integer(2, OPSET)]);
  return join([integer(1, IR_VERSION), text(2, 'lloyd'), message(7, graph), opset]);
}

/** AttributeProto: an int (type 2) or ints (type 7). */
function attribute(name: string, value: number | readonly number[]): Uint8Array[] {
  if (typeof value === 'number') return [text(1, name), integer(3, value), integer(20, 2)];
  return [text(1, name), ...value.map((each) => integer(8, each)), integer(20, 7)];
}

/** ValueInfoProto of a float tensor. */
function value(name: string, dims: readonly number[]): Uint8Array[] {
  const shape = message(
    2,
    dims.map((size) => message(1, [integer(1, size)])),
  );
  return [text(1, name), message(2, [message(1, [integer(1, FLOAT), shape])])];
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest > 127) {
    bytes.push((rest % 128) | 128);
    rest = Math.floor(rest / 128);
  }
  return [...bytes, rest];
}

const integer = (tag: number, number: number) => Uint8Array.from([...varint(tag * 8), ...varint(number)]);
const text = (tag: number, string: string) => field(tag, [new TextEncoder().encode(string)]);
const message = field;

function field(tag: number, parts: readonly Uint8Array[]): Uint8Array {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  return join([Uint8Array.from([...varint(tag * 8 + 2), ...varint(length)]), ...parts]);
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
