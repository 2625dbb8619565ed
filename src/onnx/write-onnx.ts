import { check } from '../gpu/errors.ts';
import type { GraphModel } from '../graph/graph.ts';
import { isImageModel, type Model } from '../model/graph.ts';
import { isQuantized, type QuantizedModel } from '../model/quantized-model.ts';
import { toGraphModel } from '../model/translate.ts';
import { encodeModel } from './encode-model.ts';
import { type CodeType, codebookGraph, type QuantizedOnnxOptions, qdqGraph } from './qdq-export.ts';
import { qoperatorGraph } from './qoperator-export.ts';

/** See {@link WriteOnnxOptions.format}. */
export type OnnxFormat = 'float' | 'qdq' | 'qoperator' | 'codebook';

/** What writes a quantized model. */
const FORMATS: Readonly<
  Record<OnnxFormat, (model: QuantizedModel, options: QuantizedOnnxOptions) => GraphModel>
> = {
  float: ({ model }) => toGraphModel(model),
  qdq: qdqGraph,
  qoperator: (model, options) => qoperatorGraph(qdqGraph(model, options)),
  codebook: codebookGraph,
};

export type { CodeType };

const CODE_TYPES: readonly CodeType[] = ['int8', 'uint8'];

/** Options of {@link writeOnnx}. */
export interface WriteOnnxOptions extends QuantizedOnnxOptions {
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
 * On x86 processors without VNNI ONNX Runtime's optimized graph multiplies uint8 by int8 codes with sums of pairs that
 * saturate at 16 bits, int8 activations among them; `activationType` and `weightType` `uint8` are exact there.
 *
 * @param given a graph is written node by node, whatever the operators; 4-bit constants are packed two a byte. A
 *   quantized model as its format says, opset 13 at least, 21 for weights of 4 bits.
 * @returns the file's bytes
 * @throws LloydError for an opset older than the graph's, or one that cannot say what a node means, a tensor or attribute
 *   that ONNX has no place for, types of codes for a format without any, and a file of 2 GiB or more
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
  { format, opset, metadata, activationType, weightType, shapes }: WriteOnnxOptions = {},
): Uint8Array {
  const isFloat = !given || typeof given !== 'object' || !isQuantized(given);
  const form = format ?? (isFloat ? 'float' : given.method === 'linear' ? 'qdq' : 'codebook');
  check(Object.hasOwn(FORMATS, form), `format must be one of ${Object.keys(FORMATS).join(', ')}`, format);
  const types = { activationType, weightType };
  for (const [name, type] of Object.entries(types)) {
    if (type === undefined) continue;
    check(CODE_TYPES.includes(type), `${name} must be one of ${CODE_TYPES.join(', ')}`, type);
    check(
      form === 'qdq' || form === 'qoperator',
      `${name} is of formats qdq and qoperator`,
      form,
      'leave it out',
    );
  }
  check(
    !isFloat || form === 'float',
    `format ${form} takes a quantized model`,
    'one that is not',
    'quantizeModel makes one',
  );
  const model = isFloat ? floatGraph(given) : FORMATS[form](given, { ...types, shapes });
  const own = model?.graph;
  check(
    Array.isArray(own?.nodes) && Array.isArray(own.inputs) && model.parameters instanceof Map,
    'a model must be a graph of ONNX’s operators with its parameters',
    model,
    'use what readOnnx gives',
  );
  return encodeModel(model, opset ?? own.opset, metadata);
}

/** A model that is not quantized, as ONNX has it. */
const floatGraph = (model: Model): GraphModel =>
  model?.graph && isImageModel(model) ? toGraphModel(model) : (model as GraphModel);
