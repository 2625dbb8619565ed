import { check } from '../gpu/errors.ts';
import type { GraphModel } from '../graph/graph.ts';
import { isImageModel, type Model } from '../model/graph.ts';
import { isQuantized, type QuantizedModel } from '../model/quantized-model.ts';
import { toGraphModel } from '../model/translate.ts';
import { encodeModel } from './encode-model.ts';
import { codebookGraph, qdqGraph } from './qdq-export.ts';
import { qoperatorGraph } from './qoperator-export.ts';

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
  { format, opset, metadata }: WriteOnnxOptions = {},
): Uint8Array {
  check(
    format === undefined || FORMATS.includes(format),
    `format must be one of ${FORMATS.join(', ')}`,
    format,
  );
  const model = formatted(given, format);
  const own = model?.graph;
  check(
    Array.isArray(own?.nodes) && Array.isArray(own.inputs) && model.parameters instanceof Map,
    'a model must be a graph of ONNX’s operators with its parameters',
    model,
    'use what readOnnx gives',
  );
  return encodeModel(model, opset ?? own.opset, metadata);
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
