import { pruned } from '../graph/concrete.ts';
import type { GraphModel, Node } from '../graph/graph.ts';
import { type OnnxTensor, sizeOf } from '../graph/ops/tensors.ts';
import { fromWords, numbersOf } from '../graph/ops/value.ts';
import type { ActivationQparams, LinearLayer, QuantizedModel } from '../model/quantized-model.ts';
import { type ConvLayer, type FusedGraph, fuseAnyShape, hasWeights, layerSources } from './fuse.ts';
import { int8Values, integerLayers } from './lower-model.ts';

/** Weights that DequantizeLinear makes of constant codes. */
interface CodedWeights {
  codes: OnnxTensor;
  scale: Float32Array;
  /** Along which dimension there are several scales; null of one. */
  axis: number | null;
}

/**
 * A network whose nodes lie between DequantizeLinear and QuantizeLinear, as the linearly quantized network that it is:
 * quantizers become scales and zero points of activations, dequantized codes become weights. Quantizers that the integer
 * kernels don't have (blocks, weights that are not symmetric, 16 bits) stay nodes, computed as ONNX defines them.
 *
 * @returns the model itself where there is nothing of the kind
 */
export function importQdq(model: GraphModel): GraphModel | QuantizedModel {
  const { nodes } = model.graph;
  if (!nodes.some(({ op }) => op === 'DequantizeLinear')) return model;
  // What a subgraph reads keeps its name.
  if (nodes.some(({ subgraphs }) => subgraphs)) return model;
  const weights = decodedWeights(model);
  const kept = new Set<string>();
  for (;;) {
    const { quantized, fused, pairs } = withoutQuantizers(weights, kept);
    if (quantized.layers.size === 0) return model;
    const seen = seenByFloats(fused, quantized);
    const lost = lostInFusion(fused, quantized);
    const dropped = [...pairs].filter(([, value]) => seen.has(fused.root(value)) || lost(value));
    if (dropped.length === 0) return quantized;
    for (const [name] of dropped) kept.add(name);
  }
}

/**
 * Values that floats read and that don't lie in codes: a quantizer there rounds and clamps what they read. It may be all
 * that is left of a Relu.
 */
function seenByFloats(fused: FusedGraph, quantized: QuantizedModel): Set<string> {
  const integers = integerLayers(fused, quantized);
  const lying = int8Values(fused, quantized);
  const floats = fused.layers.filter((layer) => !integers.has(layer));
  const read = [...floats.flatMap(layerSources), ...fused.graph.outputs].map(fused.root);
  return new Set(read.filter((name) => !lying.has(fused.origin(name))));
}

/** What comes out of a grid's numbers on the same grid: nothing is lost if it is rounded after them alone. */
const ON_GRID: readonly string[] = ['Relu', 'Clip', 'MaxPool'];

/** Whether a quantized value is inside a layer that leaves another grid, where it would not be rounded. */
function lostInFusion(fused: FusedGraph, { model, activations }: QuantizedModel): (value: string) => boolean {
  const { nodes } = (model as GraphModel).graph;
  const next = new Map<string, Node>();
  for (const node of nodes) for (const name of node.inputs) if (name !== null) next.set(name, node);
  const made = new Set(
    [
      ...fused.graph.inputs.map(({ name }) => name),
      ...fused.layers.flatMap((layer) => (layer.kind === 'operator' ? layer.node.outputs : [layer.output])),
    ].flatMap((name) => [fused.root(name), fused.origin(name)]),
  );
  // A pass may have made the names that layers' outputs go by: they are known by those of the network, too.
  const isMade = (name: string) => made.has(fused.root(name)) || made.has(fused.origin(name));
  const grid = (name: string) => activations.get(fused.origin(name));
  return (value) => {
    let last = value;
    let isOnGrid = true;
    while (!isMade(last)) {
      const node = next.get(last);
      if (!node) return false;
      isOnGrid &&= ON_GRID.includes(node.op);
      [last] = node.outputs;
    }
    if (last === value) return false;
    const [own, left] = [grid(value), grid(last)];
    return !isOnGrid || own?.scale !== left?.scale || own?.zeroPoint !== left?.zeroPoint;
  };
}

/** A model with the floats that its dequantized constants stand for, and their codes by the names of these. */
function decodedWeights({ graph, parameters: given }: GraphModel) {
  const parameters = new Map(given);
  const coded = new Map<string, CodedWeights>();
  const nodes = graph.nodes.filter((node) => {
    const codes = node.op === 'DequantizeLinear' ? given.get(node.inputs[0]!) : undefined;
    const weights = codes && codedWeights(given, node, codes);
    if (!weights) return true;
    coded.set(node.outputs[0], weights);
    parameters.set(node.outputs[0], decoded(weights));
    return false;
  });
  return { graph: { ...graph, nodes }, parameters, coded };
}

/**
 * The network without its quantizers but those that are to be kept, by what they leave.
 *
 * @returns and the values that stand for what the others left
 */
function withoutQuantizers(
  { graph, parameters, coded }: ReturnType<typeof decodedWeights>,
  kept: ReadonlySet<string>,
) {
  const makers = new Map(graph.nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)));
  const grids = new Map<string, ActivationQparams>();
  const pairs = new Map<string, string>();
  const gone = new Set<Node>();
  for (const node of graph.nodes) {
    if (node.op !== 'DequantizeLinear') continue;
    const [output] = node.outputs;
    const quantizer = makers.get(node.inputs[0]!);
    const grid = quantizer?.op === 'QuantizeLinear' ? gridOf(parameters, quantizer) : null;
    const own = gridOf(parameters, node);
    if (!grid || !own || grid.scale !== own.scale || grid.zeroPoint !== own.zeroPoint) continue;
    const value = pairs.get(quantizer!.inputs[0]!) ?? quantizer!.inputs[0]!;
    grids.set(kept.has(output) ? output : value, grid);
    if (kept.has(output)) continue;
    pairs.set(output, value);
    gone.add(node);
  }
  const nodes: Node[] = [];
  for (const node of graph.nodes) {
    if (gone.has(node)) continue;
    nodes.push({
      ...node,
      inputs: node.inputs.map((name) => (name === null ? null : (pairs.get(name) ?? name))),
    });
  }
  for (const output of graph.outputs) {
    const value = pairs.get(output);
    if (!value) continue;
    nodes.push({
      op: 'Identity',
      name: `${output}/identity`,
      inputs: [value],
      outputs: [output],
      attributes: {},
    });
  }
  const float = pruned({ graph: { ...graph, nodes }, parameters });
  const fused = fuseAnyShape(float);
  const activations = new Map([...grids].map(([value, grid]) => [fused.origin(value), grid]));
  const layers = layersOf(fused, coded, activations);
  const bits = Math.max(...[...layers.values()].map((layer) => layer.bits));
  const quantized: QuantizedModel = {
    ...{ model: float, method: 'linear', bits, layers, activations, requantize: 'ort-f32' },
  };
  return { quantized, fused, pairs };
}

/** Scale and zero point of a quantizer of a whole tensor in 8 bits, as of int8; null of any other. */
function gridOf(parameters: GraphModel['parameters'], { inputs }: Node): ActivationQparams | null {
  const [scale, zero] = [inputs[1], inputs[2]].map((name) => (name ? parameters.get(name) : undefined));
  if (!scale || sizeOf(scale.dims) !== 1 || scale.dtype !== 'float32') return null;
  // Without a zero point the codes are uint8.
  if (inputs[2] && (!zero || sizeOf(zero.dims) !== 1)) return null;
  const dtype = zero?.dtype ?? 'uint8';
  if (dtype !== 'int8' && dtype !== 'uint8') return null;
  const code = zero ? Number(zero.data[0]) : 0;
  return { scale: scale.data[0] as number, zeroPoint: dtype === 'uint8' ? code - 128 : code };
}

function codedWeights(
  parameters: GraphModel['parameters'],
  { inputs, attributes }: Node,
  given: OnnxTensor,
): CodedWeights | null {
  const scale = parameters.get(inputs[1]!);
  const zero = inputs[2] ? parameters.get(inputs[2]) : undefined;
  if (scale?.dtype !== 'float32' || attributes.block_size || (inputs[2] && !zero)) return null;
  const codes = signedCodes(given, zero);
  if (!codes) return null;
  const data = scale.data as Float32Array;
  if (data.length === 1) return { codes, scale: data, axis: null };
  const axis = ((attributes.axis as number | undefined) ?? 1) + codes.dims.length;
  return { codes, scale: data, axis: axis % codes.dims.length };
}

/** The zero points that make codes of a type symmetric ones of its signed type. */
const MIDDLES: Readonly<Record<string, number>> = {
  ...{ int8: 0, int4: 0, int2: 0, int32: 0 },
  ...{ uint8: 128, uint4: 8, uint2: 2 },
};

/** Symmetric codes, as of their signed type and its zero point 0; null of any others. */
function signedCodes(codes: OnnxTensor, zero: OnnxTensor | undefined): OnnxTensor | null {
  const middle = MIDDLES[codes.dtype];
  if (middle === undefined || (zero ? numbersOf(zero) : [0]).some((value) => value !== middle)) return null;
  if (middle === 0) return codes;
  const signed = numbersOf(codes).map((code) => code - middle);
  return fromWords(codes.dtype.slice(1) as 'int8', codes.dims, signed);
}

/** Weights as the floats that their codes stand for. */
function decoded({ codes, scale, axis }: CodedWeights): OnnxTensor {
  const inner = axis === null ? 1 : sizeOf(codes.dims.slice(axis + 1));
  const values = numbersOf(codes).map((code, i) =>
    Math.fround(code * scale[axis === null ? 0 : Math.floor(i / inner) % scale.length]),
  );
  return fromWords('float32', codes.dims, values);
}

/** The layers whose weights are codes with a scale an output channel, and whose input is quantized. */
function layersOf(
  fused: FusedGraph,
  coded: ReadonlyMap<string, CodedWeights>,
  activations: ReadonlyMap<string, ActivationQparams>,
): Map<string, LinearLayer> {
  const layers = new Map<string, LinearLayer>();
  for (const layer of fused.layers.filter(hasWeights)) {
    const weights = coded.get(layer.place!.parameter);
    if (!weights || weights.codes.dtype === 'int32' || !activations.has(fused.origin(layer.input))) continue;
    const own = layerOf(layer, weights);
    if (own) layers.set(layer.name, own);
  }
  return layers;
}

function layerOf(layer: ConvLayer, { codes, scale, axis }: CodedWeights): LinearLayer | null {
  const { place, outputShape, weight } = layer;
  const { channels } = outputShape;
  const outputAxis = place!.inputMajor ? 1 : 0;
  if (axis !== null && (axis !== outputAxis || scale.length !== channels)) return null;
  const row = weight.length / channels;
  const scales = Float32Array.from({ length: channels }, (_, c) => scale[axis === null ? 0 : c]);
  // The layer's weights are in its own order already: a weight over its scale is its code.
  const own = Int8Array.from(weight, (value, i) => Math.round(value / scales[Math.floor(i / row)]));
  // What follows and is folded in may turn a channel's sign.
  const folded = layer.scale.map((factor, c) => Math.abs(factor) * scales[c]);
  if (layer.scale.some((factor) => factor === 0)) return null;
  for (let i = 0; i < own.length; i++) {
    if (layer.scale[Math.floor(i / row)] < 0) {
      if (own[i] === -128) return null;
      own[i] = -own[i];
    }
  }
  const bits = { int8: 8, int4: 4, int2: 2 }[codes.dtype as 'int8'] ?? 8;
  return { method: 'linear', bits, codes: own, scale: folded };
}
