import { type ConcreteGraph, concreteGraph, originOf, VIEWS } from '../graph/concrete.ts';
import type { ConcreteOptions } from '../graph/concrete-inputs.ts';
import type { Node } from '../graph/graph.ts';
import { located } from '../graph/infer-node.ts';
import { sizeOf } from '../graph/ops/tensors.ts';
import { absorbPads } from '../graph/passes/absorb-pads.ts';
import { simplify } from '../graph/passes/simplify.ts';
import { sinkTransposes, throughPermutation } from '../graph/passes/transposes.ts';
import { type ImageShape, isImageModel, type Model } from '../model/graph.ts';
import { imageOf } from '../model/images.ts';
import { toGraphModel } from '../model/translate.ts';
import { channelAxes } from './channel-axes.ts';
import { type ConvFrame, convolutionLayer, productLayer } from './conv-layers.ts';
import { affineOf, boundsOf, floatData, isHalvingPool } from './patterns.ts';
import { poolLayer } from './pool-layers.ts';

interface LayerBase {
  name: string;
  /** What it leaves. */
  output: string;
  /** N of the images that it reads. */
  batch: number;
  /** Which dimension of its output holds the channels. */
  axis: number;
  outputShape: ImageShape;
}

/** A convolution (or a matrix product, as the convolution that it is) with what follows it fused in. */
export interface ConvLayer extends LayerBase {
  kind: 'conv2d';
  /** The convolution's own node; a precision plan names layers by it. */
  name: string;
  /** The activation that it reads: of what it is a view of. */
  input: string;
  /** The same activation in the shape that it is read in. */
  source: string;
  /** Which dimension of the source holds the channels. */
  sourceAxis: number;
  inputShape: ImageShape;
  /** Before pooling. */
  convShape: ImageShape;
  kernel: readonly [number, number];
  strides: readonly [number, number];
  dilations: readonly [number, number];
  pads: readonly [number, number, number, number];
  groups: number;
  /** OIHW. */
  weight: Float32Array;
  /** Folded batch norm and bias: out = conv * scale + shift, per output channel. */
  scale: Float32Array;
  shift: Float32Array;
  /** The batch norms folded into them, in order. */
  norms: string[];
  /** All nodes folded into them, batch norms among them. */
  folded: string[];
  /** Where its weights are among the constants, and in which order; null of a batch norm by itself. */
  place: WeightPlace | null;
  low: number;
  high: number;
  /** A 2x2, stride 2 max-pool follows. */
  pool: boolean;
  /**
   * A batch norm that follows no convolution, as a 1x1 depthwise one whose weights are 1: it has no weights of its own
   * to quantize.
   */
  affine?: boolean;
}

/** Where a layer's weights are kept: a constant of the graph, whose order may be another than the layer's. */
export interface WeightPlace {
  parameter: string;
  /** A matrix of inputs x outputs, not of outputs x inputs. */
  inputMajor: boolean;
  /** Inputs are the pixels of such an image, each with its channels, and not channels with their pixels. */
  pixelMajor: ImageShape | null;
}

/** A layer without weights: `add` has two inputs, `concat` one or more; only these two clamp. */
export interface PlainLayer extends LayerBase {
  kind: 'maxPool' | 'averagePool' | 'add' | 'concat';
  inputs: string[];
  /** The inputs in the shapes that they are read in. */
  sources: string[];
  inputShapes: ImageShape[];
  kernel: readonly [number, number];
  strides: readonly [number, number];
  dilations: readonly [number, number];
  pads: readonly [number, number, number, number];
  /** Whether an average counts padding. */
  includePad: boolean;
  low: number;
  high: number;
}

/** Any other node: computed in floats, or whatever its values are, by its operator's plan. */
export interface OperatorLayer {
  kind: 'operator';
  name: string;
  node: Node;
  /** The activations that it reads: of what they are views of. */
  inputs: string[];
  /** What it leaves first. */
  output: string;
}

/** A node that only gives a value another shape, or its dimensions another order. */
export interface ViewLayer {
  node: Node;
  source: string;
  output: string;
}

export type Layer = ConvLayer | PlainLayer | OperatorLayer;

/** A graph with its nodes fused into what is dispatched. */
export interface FusedGraph {
  graph: ConcreteGraph;
  layers: readonly Layer[];
  views: readonly ViewLayer[];
  /** What a value is only a view of. */
  root(value: string): string;
  /** The network's own value of the same elements: its quantization goes by that name, whichever passes have run. */
  origin(value: string): string;
  /** Which dimension of a value holds channels, where that is known. */
  axes: ReadonlyMap<string, number>;
  /** Values that the network itself brings into another order: an input among them is no image that it takes as such. */
  turned: ReadonlySet<string>;
}

/** True for the layers whose weights a precision plan is about. */
export const hasWeights = (layer: Layer): layer is ConvLayer => layer.kind === 'conv2d' && !layer.affine;

/** The activations that a layer reads, each of what it is a view of. */
export const layerInputs = (layer: Layer): readonly string[] =>
  layer.kind === 'conv2d' ? [layer.input] : layer.inputs;

/**
 * Fuses batch norm, constant factors and summands, activation and 2x2 max-pool into the layer before them: the layers
 * that are dispatched, in order. Nodes on which no output depends are left out.
 *
 * @param options shapes of symbols; `batch` is 1 unless given
 * @throws LloydError for a graph that doesn't hold together, an unknown operator, or a parameter that is missing or of another
 *   shape or dtype than the graph's.
 */
export function fuseGraph(model: Model, options: ConcreteOptions = {}): FusedGraph {
  const given = toGraphModel(model);
  const read = concreteGraph(given, { batch: 1, ...options });
  const graph = simplify(absorbPads(sinkTransposes(simplify(read))));
  const values = new Map(graph.values);
  const axes = channelAxes(graph);
  const roots = new Map<string, string>();
  const root = (name: string): string => roots.get(name) ?? name;
  const origins = new Map(graph.views);
  const readers = new Map<string, number>();
  const count = (name: string | null) => name !== null && readers.set(name, (readers.get(name) ?? 0) + 1);
  for (const name of graph.outputs) count(name);
  for (const { inputs } of graph.nodes) inputs.forEach(count);
  const makers = new Map<string, Node>(
    graph.nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)),
  );

  const layers: Layer[] = [];
  const views: ViewLayer[] = [];
  const producers = new Map<string, Layer>();
  const place = (layer: Layer) => {
    layers.push(layer);
    producers.set(layer.output, layer);
  };
  const frame: ConvFrame = { graph, values, axes, root, makers };
  for (const node of graph.nodes) {
    const varying = node.inputs.filter((name) => name !== null && !graph.values.get(name)!.data) as string[];
    const before = producers.get(varying[0]);
    const { dims } = graph.values.get(node.outputs[0])!;
    // A layer may absorb the node only if nobody else reads what the layer put out before it.
    const sole = varying.length === 1 && readers.get(varying[0]) === 1 && node.outputs.length === 1;
    if (before && sole && before.kind !== 'operator' && absorb(graph, before, node)) {
      producers.delete(before.output);
      before.output = node.outputs[0];
      before.outputShape = imageOf(dims, before.axis);
      producers.set(before.output, before);
      continue;
    }
    if (VIEWS.includes(node.op)) {
      roots.set(node.outputs[0], root(varying[0]));
      views.push({ node, source: varying[0], output: node.outputs[0] });
      continue;
    }
    for (const layer of located(node, () => createLayers(frame, node, varying, views, roots, origins)))
      place(layer);
  }
  const turned = new Set(
    given.graph.nodes.flatMap(({ op, inputs }) => (op === 'Transpose' && inputs[0] ? [inputs[0]] : [])),
  );
  const origin = (name: string) => originOf(origins, root(name));
  return { graph: { ...graph, values }, layers, views, root, origin, axes, turned };
}

/** The values that a layer reads, in the shapes that they are read in. */
export function layerSources(layer: Layer): readonly string[] {
  if (layer.kind === 'operator') return layer.node.inputs.filter((name) => name !== null);
  return layer.kind === 'conv2d' ? [layer.source] : layer.sources;
}

/** Sizes that a symbol may be, tried in turn: a network may be too deep for the smaller ones. */
const ASSUMED = [224, 64, 32, 512, 16, 1];

/**
 * A graph's layers where it doesn't matter which sizes its symbols stand for, only which layers there are.
 *
 * @throws LloydError as {@link fuseGraph}
 */
export function fuseAnyShape(model: Model, options: ConcreteOptions = {}): FusedGraph {
  const symbols = isImageModel(model)
    ? []
    : model.graph.inputs.flatMap(({ shape }) => shape.slice(1).filter((dim) => typeof dim === 'string'));
  if (symbols.length === 0) return fuseGraph(model, options);
  let first: unknown;
  for (const assume of ASSUMED) {
    try {
      return fuseGraph(model, { ...options, assume });
    } catch (error) {
      first ??= error;
    }
  }
  throw first;
}

function absorb(graph: ConcreteGraph, layer: ConvLayer | PlainLayer, node: Node): boolean {
  const activated = layer.low > -Infinity || layer.high < Infinity;
  switch (node.op) {
    case 'BatchNormalization': {
      if (layer.kind !== 'conv2d' || layer.pool || activated || layer.axis !== 1) return false;
      const fields = node.inputs.slice(1).map((name) => floatData(graph, name));
      if (fields.some((data) => !data)) return false;
      const [gamma, beta, mean, variance] = fields as Float32Array[];
      const epsilon = (node.attributes.epsilon as number | undefined) ?? 1e-5;
      for (let c = 0; c < gamma.length; c++) {
        const factor = gamma[c] / Math.sqrt(variance[c] + epsilon);
        layer.shift[c] = beta[c] + (layer.shift[c] - mean[c]) * factor;
        layer.scale[c] *= factor;
      }
      layer.norms.push(node.name);
      layer.folded.push(node.name);
      return true;
    }
    case 'Relu':
    case 'Clip': {
      // Pools have no clamp. A convolution's comes after its fused max-pool, which is the same: both are monotonic.
      if (layer.kind === 'maxPool' || layer.kind === 'averagePool') return false;
      const bounds = boundsOf(graph, node);
      // Lanes past the last channel are zero and must stay so.
      if (!bounds || bounds.low > 0 || bounds.high < 0) return false;
      layer.low = Math.min(Math.max(layer.low, bounds.low), bounds.high);
      layer.high = Math.max(Math.min(layer.high, bounds.high), bounds.low);
      return true;
    }
    case 'MaxPool':
      if (layer.kind !== 'conv2d' || layer.pool || layer.axis !== 1 || !isHalvingPool(node)) return false;
      layer.pool = true;
      return true;
    default: {
      if (layer.kind !== 'conv2d' || layer.pool || activated) return false;
      const affine = affineOf(graph, node, layer.axis);
      if (!affine) return false;
      for (let c = 0; c < layer.scale.length; c++) {
        layer.scale[c] *= affine.scale[c];
        layer.shift[c] = layer.shift[c] * affine.scale[c] + affine.shift[c];
      }
      layer.folded.push(node.name);
      return true;
    }
  }
}

function createLayers(
  frame: ConvFrame,
  node: Node,
  varying: string[],
  views: ViewLayer[],
  roots: Map<string, string>,
  origins: Map<string, string>,
): Layer[] {
  const { root } = frame;
  const made =
    convolutionLayer(frame, node) ??
    productLayer(frame, node) ??
    poolLayer(frame, node) ??
    joinLayers(frame, node);
  if (made) return [made].flat();
  const operator = (own: Node): OperatorLayer => ({
    kind: 'operator',
    name: node.name,
    node: own,
    inputs: own.inputs
      .filter((name) => name !== null && !frame.values.get(name)!.data)
      .map((name) => root(name!)),
    output: own.outputs[0],
  });
  const turned = channelsInnermost(frame, node, varying);
  if (!turned) return [operator(node)];
  // The order that its operands lie in: its transposes are views.
  return turned.flatMap((own) => {
    if (!VIEWS.includes(own.op)) {
      for (const [i, name] of own.outputs.entries()) if (name !== '') origins.set(name, node.outputs[i]);
      return [operator(own)];
    }
    roots.set(own.outputs[0], root(own.inputs[0]!));
    views.push({ node: own, source: own.inputs[0]!, output: own.outputs[0] });
    return [];
  });
}

/** A node whose channels are not its last dimension, with that order round it which images lie in. */
function channelsInnermost(
  { graph, values, axes }: ConvFrame,
  node: Node,
  varying: readonly string[],
): Node[] | null {
  const rank = values.get(node.outputs[0])!.dims.length;
  const [name] = varying
    .filter((each) => values.get(each)!.dims.length >= rank)
    .sort((a, b) => sizeOf(values.get(b)!.dims) - sizeOf(values.get(a)!.dims));
  const axis = name === undefined ? undefined : axes.get(name);
  if (name === undefined || axis === undefined) return null;
  const { dims } = values.get(name)!;
  if (dims.length < 3 || axis === 0 || sizeOf(dims.slice(axis + 1)) === 1) return null;
  const perm = [...dims.map((_, i) => i).filter((i) => i !== axis), axis];
  return throughPermutation(graph, values, node, name, perm);
}

/** Sums and concatenations along channels; an activation that no layer takes in is a concatenation of one. */
function joinLayers({ graph, values, axes, root }: ConvFrame, node: Node): PlainLayer[] | null {
  const [output] = node.outputs;
  const { dims, dtype } = values.get(output)!;
  const axis = axes.get(output);
  if (axis === undefined || dtype !== 'float32' || dims.length < 2 || axis === 0) return null;
  const sources = node.inputs.filter((name) => name !== null);
  const outputShape = imageOf(dims, axis);
  const layer = (
    kind: 'add' | 'concat',
    read: readonly string[],
    name = output,
    { low, high } = { low: -Infinity, high: Infinity },
  ): PlainLayer => ({
    kind,
    name: node.name,
    inputs: read.map(root),
    sources: [...read],
    output: name,
    batch: outputShape.batch,
    axis,
    inputShapes: read.map((each) => imageOf(values.get(each)?.dims ?? dims, axis)),
    outputShape,
    kernel: [1, 1],
    strides: [1, 1],
    dilations: [1, 1],
    pads: [0, 0, 0, 0],
    includePad: false,
    low,
    high,
  });
  if (node.op === 'Relu' || node.op === 'Clip') {
    const bounds = boundsOf(graph, node);
    if (!bounds || bounds.low > 0 || bounds.high < 0) return null;
    return [layer('concat', [sources[0]], output, bounds)];
  }
  const varying = sources.every((name) => !values.get(name)!.data);
  if (!varying) return null;
  if (node.op === 'Add' || node.op === 'Sum') {
    const alike = sources.every((name) => `${values.get(name)!.dims}` === `${dims}`);
    if (!alike) return null;
    if (sources.length === 1) return [layer('concat', sources)];
    // A sum of more than two is the sum of the first two, and so on, as ONNX and TFLite quantize it.
    const layers: PlainLayer[] = [];
    let [first] = sources;
    for (const [i, second] of sources.slice(1).entries()) {
      const remaining = sources.length - 2 - i;
      const name = remaining > 0 ? `${originOf(graph.views, output)} partial ${remaining}` : output;
      values.set(name, { dtype, dims });
      layers.push(layer('add', [first, second], name));
      first = name;
    }
    return layers;
  }
  const along = node.attributes.axis as number;
  if (node.op !== 'Concat' || (along + dims.length) % dims.length !== axis) return null;
  return [layer('concat', sources)];
}
