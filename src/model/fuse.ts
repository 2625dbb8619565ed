import { check } from '../gpu/errors.ts';
import { type Graph, type GraphNode, type ImageShape, inferShapes, type Model } from './graph.ts';
import { checkParameters, parameter, requiredParameter } from './parameters.ts';

/** A convolution (or a linear layer, as the convolution that covers its whole input) with what follows it fused in. */
export interface ConvLayer {
  kind: 'conv2d';
  /** The convolution's own node; a precision plan names layers by it. */
  name: string;
  input: string;
  output: string;
  inputShape: ImageShape;
  /** Before pooling. */
  convShape: ImageShape;
  outputShape: ImageShape;
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

/** A layer without weights: `add` has two inputs, `concat` one or more; only these two clamp. */
export interface PlainLayer {
  kind: 'maxPool' | 'averagePool' | 'add' | 'concat';
  name: string;
  inputs: string[];
  output: string;
  inputShapes: ImageShape[];
  outputShape: ImageShape;
  kernel: readonly [number, number];
  strides: readonly [number, number];
  pads: readonly [number, number, number, number];
  low: number;
  high: number;
}

export type Layer = ConvLayer | PlainLayer;

/** True for the layers whose weights a precision plan is about. */
export const hasWeights = (layer: Layer): layer is ConvLayer => layer.kind === 'conv2d' && !layer.affine;

/** The activations that a layer reads. */
export const layerInputs = (layer: Layer): readonly string[] =>
  layer.kind === 'conv2d' ? [layer.input] : layer.inputs;

/**
 * Fuses batch norm, activation and 2x2 max-pool into the layer before them: the layers that are dispatched, the one
 * that computes the graph's output last. Nodes on which the output doesn't depend are left out.
 *
 * @throws LloydError for a graph that doesn't hold together, an unknown operator, or a parameter that is missing or of another
 *   shape or dtype than the graph's.
 */
export function fuseGraph(model: Model): Layer[] {
  checkParameters(model);
  const { graph } = model;
  const shapes = inferShapes(graph);
  const nodes = neededNodes(graph);
  const alias = new Map<string, string>();
  const source = (name: string): string => alias.get(name) ?? name;
  for (const { op, name, inputs } of nodes) if (isAlias(op)) alias.set(name, source(inputs[0]));
  const readers = new Map<string, number>([[source(graph.output), 1]]);
  for (const { op, inputs } of nodes) {
    if (isAlias(op)) continue;
    for (const name of inputs.map(source)) readers.set(name, (readers.get(name) ?? 0) + 1);
  }
  const layers: Layer[] = [];
  const producers = new Map<string, Layer>();
  const place = (layer: Layer) => {
    layers.push(layer);
    producers.set(layer.output, layer);
  };

  for (const node of nodes) {
    if (isAlias(node.op)) continue;
    const inputs = node.inputs.map(source);
    const before = producers.get(inputs[0]);
    // A layer may absorb the node only if nobody else reads what the layer put out before it.
    const sole = inputs.length === 1 && readers.get(inputs[0]) === 1;
    if (before && sole && absorb(model, before, node)) {
      producers.delete(before.output);
      before.output = node.name;
      before.outputShape = shapes.get(node.name)!;
      producers.set(node.name, before);
      continue;
    }
    const inputShapes = node.inputs.map((name) => shapes.get(name)!);
    const outputShape = shapes.get(node.name)!;
    // A sum of more than two is the sum of the first two, and so on, as ONNX and TFLite quantize it.
    while (node.op === 'add' && inputs.length > 2) {
      const output = `${node.name} partial ${inputs.length - 2}`;
      place({
        ...createLayer(model, node, inputs.splice(0, 2), inputShapes.splice(0, 2), outputShape),
        output,
      });
      inputs.unshift(output);
      inputShapes.unshift(outputShape);
    }
    place(createLayer(model, node, inputs, inputShapes, outputShape));
  }
  check(
    producers.has(source(graph.output)),
    `${graph.name}: the output must be computed by a layer`,
    graph.output,
  );
  return layers;
}

/** Nodes that only name a tensor anew. */
const isAlias = (op: GraphNode['op']) => op === 'flatten' || op === 'identity';

function neededNodes(graph: Graph): GraphNode[] {
  const needed = new Set([graph.output]);
  for (const { name, inputs } of [...graph.nodes].reverse()) {
    if (needed.has(name)) for (const input of inputs) needed.add(input);
  }
  return graph.nodes.filter(({ name }) => needed.has(name));
}

function absorb(model: Model, layer: Layer, node: GraphNode): boolean {
  const activated = layer.low > -Infinity || layer.high < Infinity;
  switch (node.op) {
    case 'batchNorm': {
      if (layer.kind !== 'conv2d' || layer.pool || activated) return false;
      const read = (field: string) => requiredParameter(model, `${node.name}.${field}`);
      const [gamma, beta, mean, variance] = ['weight', 'bias', 'running_mean', 'running_var'].map(read);
      for (let c = 0; c < gamma.length; c++) {
        const factor = gamma[c] / Math.sqrt(variance[c] + (node.epsilon ?? 1e-5));
        layer.shift[c] = beta[c] + (layer.shift[c] - mean[c]) * factor;
        layer.scale[c] *= factor;
      }
      layer.norms.push(node.name);
      return true;
    }
    case 'relu':
    case 'relu6':
      // Pools have no clamp. A convolution's comes after its fused max-pool, which is the same: both are monotonic.
      if (layer.kind === 'maxPool' || layer.kind === 'averagePool') return false;
      layer.low = Math.max(layer.low, 0);
      if (node.op === 'relu6') layer.high = Math.min(layer.high, 6);
      return true;
    case 'maxPool': {
      if (layer.kind !== 'conv2d' || layer.pool) return false;
      const plain =
        [...node.kernel, ...node.strides].every((n) => n === 2) && (node.pads ?? []).every((p) => p === 0);
      if (plain) layer.pool = true;
      return plain;
    }
    default:
      return false;
  }
}

function createLayer(
  model: Model,
  node: GraphNode,
  inputs: string[],
  inputShapes: ImageShape[],
  outputShape: ImageShape,
): Layer {
  const [inputShape] = inputShapes;
  const open = { low: -Infinity, high: Infinity };
  const noPads = [0, 0, 0, 0] as const;
  switch (node.op) {
    case 'batchNorm': {
      const { channels } = inputShape;
      const layer: ConvLayer = {
        kind: 'conv2d',
        name: node.name,
        input: inputs[0],
        output: node.name,
        inputShape,
        convShape: outputShape,
        outputShape,
        kernel: [1, 1],
        strides: [1, 1],
        dilations: [1, 1],
        pads: noPads,
        groups: channels,
        weight: new Float32Array(channels).fill(1),
        scale: new Float32Array(channels).fill(1),
        shift: new Float32Array(channels),
        norms: [],
        ...open,
        pool: false,
        affine: true,
      };
      absorb(model, layer, node);
      return layer;
    }
    case 'conv2d':
    case 'linear': {
      const linear = node.op === 'linear';
      const bias = parameter(model, `${node.name}.bias`);
      const outChannels = outputShape.channels;
      return {
        kind: 'conv2d',
        name: node.name,
        input: inputs[0],
        output: node.name,
        inputShape,
        convShape: outputShape,
        outputShape,
        kernel: linear ? [inputShape.height, inputShape.width] : node.kernel,
        strides: linear ? [1, 1] : (node.strides ?? [1, 1]),
        dilations: linear ? [1, 1] : (node.dilations ?? [1, 1]),
        pads: linear ? noPads : (node.pads ?? noPads),
        groups: linear ? 1 : (node.groups ?? 1),
        // A linear layer's row is C x H x W of the image it flattens, which is OIHW of the covering convolution.
        weight: requiredParameter(model, `${node.name}.weight`),
        scale: new Float32Array(outChannels).fill(1),
        shift: bias ? bias.slice() : new Float32Array(outChannels),
        norms: [],
        ...open,
        pool: false,
      };
    }
    case 'maxPool':
    case 'averagePool':
    case 'globalAveragePool': {
      const global = node.op === 'globalAveragePool';
      const window = [inputShape.height, inputShape.width] as const;
      return {
        kind: node.op === 'maxPool' ? 'maxPool' : 'averagePool',
        name: node.name,
        inputs,
        output: node.name,
        inputShapes,
        outputShape,
        kernel: global ? window : node.kernel,
        strides: global ? window : node.strides,
        pads: global ? noPads : (node.pads ?? noPads),
        ...open,
      };
    }
    default:
      return {
        // An activation whose input others read too, or which follows a pool, is a concatenation of one.
        kind: node.op === 'add' ? 'add' : 'concat',
        name: node.name,
        inputs,
        output: node.name,
        inputShapes,
        outputShape,
        kernel: [1, 1],
        strides: [1, 1],
        pads: noPads,
        low: node.op.startsWith('relu') ? 0 : -Infinity,
        high: node.op === 'relu6' ? 6 : Infinity,
      };
  }
}
