import { check } from '../gpu/errors.ts';
import { pruned, VIEWS } from '../graph/concrete.ts';
import type { GraphModel, Node, ShapeOptions } from '../graph/graph.ts';
import { GraphWriter } from '../graph/graph-writer.ts';
import type { OnnxTensor } from '../graph/ops/tensors.ts';
import { fromWords } from '../graph/ops/value.ts';
import { inPlaceOrder } from '../lower/conv-layers.ts';
import { type ConvLayer, type FusedGraph, fuseAnyShape, type PlainLayer } from '../lower/fuse.ts';
import { fitCodes } from '../lower/layer-codes.ts';
import { int8Values, integerLayers, qparamsIn } from '../lower/lower-model.ts';
import type { CodebookLayer, LinearLayer, QuantizedModel } from '../model/quantized-model.ts';
import { toGraphModel } from '../model/translate.ts';
import { roundHalfToEven } from '../reference/round.ts';
import { castToFloat16, float32Graph, hasFloat16 } from './float32-graph.ts';
import { atLeastOpset } from './raise-opset.ts';

/** Signed or unsigned codes of 8 bits: the same integers, whose zero point is 128 higher where they are unsigned. */
export type CodeType = 'int8' | 'uint8';

/** How a quantized network is written. */
export interface QuantizedOnnxOptions {
  /** Which integers activations are, int8 unless given. */
  activationType?: CodeType;
  /** Which integers weights of 8 bits are, int8 unless given; those of 4 bits are int4. */
  weightType?: CodeType;
  /** Sizes of symbols, as `quantizeModel` takes them, where a network is none with just any. */
  shapes?: ShapeOptions;
}

/** int8 codes as a tensor of either type. */
function codesAs(type: CodeType | undefined, dims: number[], codes: Int8Array): OnnxTensor {
  if (type !== 'uint8') return { dtype: 'int8', dims, data: codes };
  return { dtype: type, dims, data: Uint8Array.from(codes, (code) => code + 128) };
}

/** A graph that is being written with quantizers in it. */
class Exported extends GraphWriter {
  private readonly renamed = new Map<string, string>();
  private readonly read = new Map<string, string>();

  constructor(
    private readonly source: GraphModel,
    readonly options: QuantizedOnnxOptions = {},
  ) {
    super(source.graph.name, source.graph.opset, source);
  }

  /** What a value is called now. */
  name(value: string): string {
    return this.renamed.get(value) ?? value;
  }

  alias(value: string, to: string): void {
    this.renamed.set(value, this.name(to));
  }

  /** A value through QuantizeLinear and DequantizeLinear, as what computes in integers reads it. */
  quantized(value: string, scale: number, zeroPoint: number): string {
    const from = this.name(value);
    const known = this.read.get(from);
    if (known) return known;
    const by = [
      this.scalar(`${from}/scale`, scale),
      this.constant(`${from}/zero_point`, codesAs(this.options.activationType, [], Int8Array.of(zeroPoint))),
    ];
    const codes = this.node('QuantizeLinear', `${from}/quantized`, [from, ...by]);
    const made = this.node('DequantizeLinear', `${from}/dequantized`, [codes, ...by]);
    this.read.set(from, made);
    return made;
  }

  /** @param finals values that outputs are copies of */
  finish(finals: ReadonlyMap<string, string> = new Map()): GraphModel {
    const { graph } = this.source;
    const nodes = this.nodes.map((node) => ({ ...node }));
    for (const output of graph.outputs) {
      const made = finals.get(output) ?? this.name(output);
      if (made === output) continue;
      const own = this.unique(`${output}/float`);
      for (const node of nodes) {
        node.inputs = node.inputs.map((name) => (name === output ? own : name));
        node.outputs = node.outputs.map((name) => (name === output ? own : name));
      }
      // An output keeps its name, whatever node it was folded into.
      nodes.push({
        op: 'Identity',
        name: this.unique(`${output}/output`),
        inputs: [made],
        outputs: [output],
        attributes: {},
      });
    }
    return pruned({ graph: { ...graph, nodes }, parameters: this.parameters });
  }
}

/** TensorProto.DataType of it. */
const INT32 = 6;
/** The oldest opset with per-channel DequantizeLinear, and with 4-bit codes. */
const PER_CHANNEL = 13;
const FOUR_BITS = 21;

/**
 * A linearly quantized network with QuantizeLinear and DequantizeLinear round what computes in integers, as ONNX Runtime
 * writes it: activations and weights of 8 bits in the types that are asked for, or int4 weights, with a scale an output
 * channel, int32 biases with scale `input scale * weight scale`. Batch norms and constants that quantization folded into
 * weights are in them.
 *
 * @throws LloydError for weights of a width that ONNX has no type for, or a network that isn't quantized linearly
 */
export function qdqGraph(quantized: QuantizedModel, options: QuantizedOnnxOptions = {}): GraphModel {
  check(quantized.method === 'linear', 'QDQ takes a linearly quantized network', quantized.method);
  const model = toGraphModel(quantized.model);
  if (!hasFloat16(model)) return floatQdqGraph(quantized, model, options);
  // Quantizers of float16 have scales of float16, which give other codes.
  const { values } = fuseAnyShape(model, { shapes: options.shapes }).graph;
  const halves = new Set([...values].filter(([, { dtype }]) => dtype === 'float16').map(([name]) => name));
  return castToFloat16(floatQdqGraph(quantized, float32Graph(model), options), halves);
}

function floatQdqGraph(given: QuantizedModel, model: GraphModel, options: QuantizedOnnxOptions): GraphModel {
  const narrow = [...given.layers.values()].some(({ bits }) => bits === 4);
  // In the terms of the opset that it is written for: quantizers of channels are newer than many a network.
  const source = atLeastOpset(model, narrow ? FOUR_BITS : PER_CHANNEL);
  const fused = fuseAnyShape(source, { shapes: options.shapes });
  // A newer opset may make views of what was one node.
  const activations = new Map([...given.activations].map(([name, own]) => [fused.origin(name), own]));
  const quantized = { ...given, activations };
  const integers = integerLayers(fused, quantized);
  const out = new Exported(source, options);
  const layers = new Map<string, ConvLayer | PlainLayer>();
  const folded = new Set<string>();
  for (const layer of fused.layers) {
    if (layer.kind === 'operator' || !integers.has(layer)) continue;
    layers.set(layer.name, layer);
    if (layer.kind === 'conv2d' && !layer.affine) for (const name of layer.folded) folded.add(name);
  }
  const qparams = qparamsIn(fused, quantized);
  const lying = int8Values(fused, quantized);
  /** What lies in int8 is read from there by floats too; views are only passed. */
  const seen = (node: Node | null, name: string) => {
    if (!lying.has(fused.origin(name)) || (node && VIEWS.includes(node.op))) return out.name(name);
    const { scale, zeroPoint } = qparams(name);
    return out.quantized(name, scale, zeroPoint);
  };
  for (const node of source.graph.nodes) {
    const isConstant = (name: string | null) => name === null || constantIn(fused, source, name);
    if (folded.has(node.name)) {
      out.alias(node.outputs[0], node.inputs.find((name) => !isConstant(name))!);
      continue;
    }
    const layer = layers.get(node.name);
    if (!layer) {
      out.nodes.push({
        ...node,
        inputs: node.inputs.map((name) => (name === null ? null : seen(node, name))),
      });
      continue;
    }
    const read = (name: string | null, key: string) => {
      const { scale, zeroPoint } = qparams(key);
      return out.quantized(name!, scale, zeroPoint);
    };
    if (layer.kind === 'conv2d' && layer.affine) {
      const own = node.inputs.map((name) =>
        isConstant(name) ? name && out.name(name) : read(name, layer.input),
      );
      out.nodes.push({ ...node, inputs: own });
      continue;
    }
    if (layer.kind !== 'conv2d') {
      // What a pool reads past its own padding stays between floats: an infinity is no code.
      const isPadded = (name: string) => layer.kind === 'maxPool' && !activations.has(fused.origin(name));
      const own = node.inputs.map((name) =>
        isConstant(name) || isPadded(name!) ? out.name(name!) : read(name, name!),
      );
      if (layer.kind === 'add' && own.length > 2) {
        // Added up as it runs: two at a time, each sum quantized.
        let [sum] = own;
        for (const [i, next] of own.slice(1, -1).entries()) {
          const name = `${node.outputs[0]} partial ${own.length - 2 - i}`;
          sum = read(out.node('Add', name, [sum, next]), name);
        }
        out.nodes.push({ ...node, op: 'Add', inputs: [sum, own.at(-1)!] });
      } else out.nodes.push({ ...node, inputs: own });
      continue;
    }
    const input = qparams(layer.input);
    const coded = fitCodes(quantized.layers.get(layer.name) as LinearLayer, layer, input);
    check(
      coded.bits === 8 || coded.bits === 4,
      'ONNX has types for weights of 8 and 4 bits',
      `${coded.bits} bits in ${layer.name}`,
      'quantize that layer to 4 or 8 bits',
    );
    const rank = fused.graph.values.get(node.inputs[0]!)?.dims.length;
    product(out, node, layer, coded, read(node.inputs[0], layer.input), input.scale, rank);
  }
  const finals = new Map(source.graph.outputs.map((name) => [name, seen(null, name)]));
  return out.finish(finals);
}

/** A convolution or matrix product of dequantized codes. */
function product(
  out: Exported,
  node: Node,
  layer: ConvLayer,
  { codes, scale, bits }: LinearLayer,
  input: string,
  inputScale: number,
  rank: number | undefined,
): void {
  const { name } = node;
  const place = layer.place!;
  const dims = [...out.parameters.get(place.parameter)!.dims];
  const axis = place.inputMajor ? 1 : 0;
  const placed = inPlaceOrder(codes, scale.length, place);
  const { weightType } = out.options;
  const read = [
    out.constant(
      `${name}/weight/codes`,
      bits === 4 ? { dtype: 'int4', dims, data: placed } : codesAs(weightType, dims, placed),
    ),
    out.floats(`${name}/weight/scale`, scale),
  ];
  if (bits === 8 && weightType === 'uint8') {
    const zeros = codesAs(weightType, [scale.length], new Int8Array(scale.length));
    read.push(out.constant(`${name}/weight/zero_point`, zeros));
  }
  const weights = out.node('DequantizeLinear', `${name}/weight`, read, { axis });
  const steps = scale.map((own) => Math.fround(Math.fround(inputScale) * own));
  const bias = Int32Array.from(layer.shift, (shift, c) => roundHalfToEven(shift / steps[c]));
  const shift = out.node(
    'DequantizeLinear',
    `${name}/bias`,
    [
      out.constant(`${name}/bias/codes`, { dtype: 'int32', dims: [bias.length], data: bias }),
      out.floats(`${name}/bias/scale`, steps),
    ],
    { axis: 0 },
  );
  if (node.op === 'MatMul' && bias.every((value) => value === 0)) {
    out.nodes.push({ ...node, inputs: [input, weights] });
    return;
  }
  // A product of matrices has its bias in it, so that ONNX Runtime computes both in integers.
  if (node.op === 'MatMul' && rank !== 2) {
    const made = out.unique(`${name}/product`);
    out.nodes.push(
      { ...node, inputs: [input, weights], outputs: [made] },
      { ...node, op: 'Add', name: out.unique(`${name}/sum`), inputs: [made, shift] },
    );
    return;
  }
  const { alpha: _, beta: __, ...attributes } = node.attributes;
  const op = node.op === 'MatMul' ? 'Gemm' : node.op;
  out.nodes.push({ ...node, op, inputs: [input, weights, shift], attributes });
}

/** Whether a value of the graph as it is written is known beforehand. */
function constantIn({ graph }: FusedGraph, source: GraphModel, name: string): boolean {
  return source.parameters.has(name) || graph.values.get(name)?.data !== undefined;
}

/**
 * A network in codebooks as ONNX has it: each weight gathered from its codebook, `Gather(codebook, codes)`, where several
 * codebooks follow one another in one list.
 *
 * @throws LloydError for a network that isn't quantized by k-means
 */
export function codebookGraph(quantized: QuantizedModel, { shapes }: QuantizedOnnxOptions = {}): GraphModel {
  check(quantized.method === 'kmeans', 'codebooks are what k-means quantizes to', quantized.method);
  const source = toGraphModel(quantized.model);
  const fused = fuseAnyShape(source, { shapes });
  const out = new Exported(source);
  const weights = new Map<string, string>();
  for (const layer of fused.layers) {
    if (layer.kind !== 'conv2d' || !layer.place) continue;
    const coded = quantized.layers.get(layer.name) as CodebookLayer | undefined;
    if (!coded) continue;
    const { parameter } = layer.place;
    const { codebook, groups = 1, groupStride = 1 } = coded;
    const clusters = codebook.length / groups;
    const indices = Float32Array.from(coded.codes, (code, i) =>
      groups === 1 ? code : (Math.floor(i / groupStride) % groups) * clusters + code,
    );
    const placed = inPlaceOrder(indices, layer.outputShape.channels, layer.place);
    const { dims } = source.parameters.get(parameter)!;
    const { name } = layer;
    // A byte a code, where Gather would have four or eight.
    const dtype = codebook.length > 256 ? 'int32' : 'uint8';
    const codes = out.constant(`${name}/codes`, fromWords(dtype, dims, placed));
    const made = out.node('Gather', `${name}/weight`, [
      out.floats(`${name}/codebook`, codebook),
      out.node('Cast', `${name}/indices`, [codes], { to: INT32 }),
    ]);
    weights.set(name, made);
  }
  for (const node of source.graph.nodes) {
    const own = weights.get(node.name);
    out.nodes.push(own ? { ...node, inputs: node.inputs.map((name, i) => (i === 1 ? own : name)) } : node);
  }
  return out.finish();
}
