import { check } from '../gpu/errors.ts';
import { whyUnknown } from '../graph/concrete.ts';
import type { Graph, GraphModel, Node, ValueInfo } from '../graph/graph.ts';
import { OPSETS } from '../graph/ops/operator.ts';
import { isImageModel, type Model } from '../model/graph.ts';
import { isQuantized, type QuantizedModel } from '../model/quantized-model.ts';
import { toGraphModel } from '../model/translate.ts';
import { outputInfos } from './output-infos.ts';
import { bytesField, type Chunk, integerField, joined, lengthOf, textField } from './proto/write.ts';
import { codebookGraph, qdqGraph } from './qdq-export.ts';
import { qoperatorGraph } from './qoperator-export.ts';
import { raiseOpset } from './raise-opset.ts';
import { attributeChunks } from './write-attributes.ts';
import { TYPE_NUMBERS, tensorChunks } from './write-tensor.ts';

/** See {@link WriteOnnxOptions.format}. */
export type OnnxFormat = 'float' | 'qdq' | 'qoperator' | 'codebook';

const FORMATS: readonly OnnxFormat[] = ['float', 'qdq', 'qoperator', 'codebook'];

/** Options of {@link writeOnnx}. */
export interface WriteOnnxOptions {
  /**
   * How the model's values are written. `float` is the graph as it is; of a linearly quantized model `qdq` puts
   * QuantizeLinear and DequantizeLinear round what computes in integers, `qoperator` has operators on codes (QLinearConv,
   * ...; some are ONNX Runtime's own, of com.microsoft); of one quantized by k-means `codebook` gathers weights from
   * codebooks. Unless given: what the model is.
   */
  format?: OnnxFormat;
  /** The opset of ONNX's operators, the graph's own unless given; a newer one has its nodes in that one's terms. */
  opset?: number;
  /** The file's `metadata_props`. */
  metadata?: Readonly<Record<string, string>>;
}

/** The first version of the format that has an opset: a reader of an older one refuses the file. */
const IR_VERSIONS: readonly (readonly [opset: number, version: number])[] = [
  ...([
    [23, 11],
    [21, 10],
    [19, 9],
    [15, 8],
    [12, 7],
    [11, 6],
    [10, 5],
    [9, 4],
  ] as const),
];
/** The first version that has 2-bit integers. */
const TWO_BIT_VERSION = 13;
/** What protobuf can frame. */
const MOST_BYTES = 2 ** 31 - 1;

/**
 * Writes a model as an ONNX file, its constants as initializers. `readOnnx` reads the same model from it: names,
 * attributes and bits.
 *
 * @param given a graph is written node by node, whatever the operators; 4-bit constants are packed two a byte. A
 *   quantized model as its format says, opset 13 at least, 21 for weights of 4 bits.
 * @returns the file's bytes
 * @throws LloydError for an opset older than the graph's, or one that cannot say what a node means, a tensor or attribute
 *   that ONNX has no place for, and a file of 2 GiB or more
 * @example
 * const graph: Graph = {
 *   name: 'relu',
 *   opset: 17,
 *   inputs: [{ name: 'x', dtype: 'float32', shape: ['batch', 10] }],
 *   outputs: ['y'],
 *   nodes: [{ op: 'Relu', name: 'relu', inputs: ['x'], outputs: ['y'], attributes: {} }],
 * };
 * const bytes = writeOnnx({ graph, parameters: new Map() });
 * console.log(readOnnx(bytes).graph.nodes[0].op); // Relu
 */
export function writeOnnx(
  given: Model | QuantizedModel,
  { format, opset: asked, metadata = {} }: WriteOnnxOptions = {},
): Uint8Array {
  check(
    format === undefined || FORMATS.includes(format),
    `format must be one of ${FORMATS.join(', ')}`,
    format,
  );
  const model = formatted(given, format);
  const own = model?.graph;
  const opset = asked ?? own?.opset;
  check(
    Array.isArray(own?.nodes) && Array.isArray(own.inputs) && model.parameters instanceof Map,
    'a model must be a graph of ONNX’s operators with its parameters',
    model,
    'use what readOnnx gives',
  );
  for (const each of [own.opset, opset]) {
    check(
      Number.isInteger(each) && each >= OPSETS.oldest && each <= OPSETS.newest,
      `opset must be an integer from ${OPSETS.oldest} to ${OPSETS.newest}`,
      each,
    );
  }
  const raised = raiseOpset(model, opset, (node) => whyUnknown(node, own.opset) === null);
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

/** The graph that a format writes. */
function formatted(model: Model | QuantizedModel, format: OnnxFormat | undefined): GraphModel {
  if (!model || typeof model !== 'object' || !isQuantized(model)) {
    check(
      format === undefined || format === 'float',
      `format ${format} takes a quantized model`,
      'one that is not',
      'quantizeModel makes one',
    );
    return model?.graph && isImageModel(model) ? toGraphModel(model) : (model as GraphModel);
  }
  const own = format ?? (model.method === 'linear' ? 'qdq' : 'codebook');
  switch (own) {
    case 'codebook':
      return codebookGraph(model);
    case 'qdq':
      return qdqGraph(model);
    case 'qoperator':
      return qoperatorGraph(qdqGraph(model));
    default:
      return toGraphModel(model.model);
  }
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
