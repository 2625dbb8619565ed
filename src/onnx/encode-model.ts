import { check } from '../gpu/errors.ts';
import { whyUnknown } from '../graph/concrete.ts';
import type { Graph, GraphModel, Node, ValueInfo } from '../graph/graph.ts';
import { OPSETS } from '../graph/ops/operator.ts';
import { outputInfos } from './output-infos.ts';
import { bytesField, type Chunk, integerField, joined, lengthOf, textField } from './proto/write.ts';
import { raiseOpset } from './raise-opset.ts';
import { attributeChunks } from './write-attributes.ts';
import { TYPE_NUMBERS, tensorChunks } from './write-tensor.ts';

/** The first version of the format that has an opset: a reader of an older one refuses the file. */
const IR_VERSIONS: readonly (readonly [opset: number, version: number])[] = [
  ...([
    [25, 13],
    [24, 12],
    [23, 11],
    [21, 10],
    [19, 9],
    [15, 8],
    [12, 7],
    [11, 6],
    [10, 5],
    // Of opsets 7 and 8 it is 3, in which every initializer must be an input, too.
    [7, 4],
  ] as const),
];
/** The first version that has 2-bit integers. */
const TWO_BIT_VERSION = 13;
/** What protobuf can frame. */
const MOST_BYTES = 2 ** 31 - 1;

/** The bytes of a graph's ONNX file, in the terms of an opset: {@link writeOnnx} without its formats. */
export function encodeModel(
  model: GraphModel,
  opset: number,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  for (const each of [model.graph.opset, opset]) {
    check(
      Number.isInteger(each) && each >= OPSETS.oldest && each <= OPSETS.newest,
      `opset must be an integer from ${OPSETS.oldest} to ${OPSETS.newest}`,
      each,
    );
  }
  const raised = raiseOpset(model, opset, (node) => whyUnknown(node, model.graph.opset) === null);
  const { graph, parameters } = raised;
  const infos = outputInfos(raised);
  const body: Chunk[] = [
    ...graph.nodes.flatMap((node) => bytesField(1, nodeChunks(node))),
    textField(2, graph.name),
    ...[...parameters].flatMap(([name, tensor]) => bytesField(5, tensorChunks(name, name, tensor))),
    ...graph.inputs.flatMap((info) => bytesField(11, infoChunks(info.name, info))),
    ...graph.outputs.flatMap((name) => bytesField(12, infoChunks(name, infos.get(name)))),
  ];
  const file = [
    integerField(1, irVersion(opset, parameters)),
    textField(2, 'lloyd'),
    ...bytesField(7, body),
    ...opsetImports(graph, opset).flatMap(([domain, version]) =>
      bytesField(8, [...(domain ? [textField(1, domain)] : []), integerField(2, version)]),
    ),
    ...Object.entries(metadata).flatMap(([key, value]) =>
      bytesField(14, [textField(1, key), textField(2, value)]),
    ),
  ];
  check(
    lengthOf(file) <= MOST_BYTES,
    `${graph.name}: an ONNX file must have at most ${MOST_BYTES} bytes`,
    lengthOf(file),
    'quantize it first',
  );
  return joined(file);
}

function nodeChunks({ op, domain = '', name, inputs, outputs, attributes }: Node): Chunk[] {
  return [
    ...inputs.map((input) => textField(1, input ?? '')),
    ...outputs.map((output) => textField(2, output)),
    textField(3, name),
    textField(4, op),
    ...Object.entries(attributes).flatMap(([key, value]) =>
      value === undefined ? [] : bytesField(5, attributeChunks(`${name} (${op}): ${key}`, op, key, value)),
    ),
    ...(domain ? [textField(7, domain)] : []),
  ];
}

/** A ValueInfoProto; without a dtype a name only. */
function infoChunks(name: string, info?: Pick<ValueInfo, 'dtype' | 'shape'>): Chunk[] {
  const own = textField(1, name);
  if (!info) return [own];
  const type = TYPE_NUMBERS[info.dtype];
  check(type !== undefined, `${name} must have a dtype that ONNX has`, info.dtype);
  const dims = info.shape.flatMap((dim) =>
    bytesField(1, [typeof dim === 'number' ? integerField(1, dim) : textField(2, dim)]),
  );
  return [own, ...bytesField(2, bytesField(1, [integerField(1, type), ...bytesField(2, dims)]))];
}

/** Every domain that the nodes use: ONNX's own with the graph's opset, others in their first version. */
function opsetImports({ nodes }: Graph, opset: number): [domain: string, version: number][] {
  const others = new Set(nodes.map(({ domain = '' }) => domain).filter((domain) => domain !== ''));
  return [['', opset], ...[...others].map((domain): [string, number] => [domain, 1])];
}

function irVersion(opset: number, parameters: GraphModel['parameters']): number {
  const two = [...parameters.values()].some(({ dtype }) => dtype === 'int2' || dtype === 'uint2');
  return two ? TWO_BIT_VERSION : IR_VERSIONS.find(([since]) => opset >= since)![1];
}
