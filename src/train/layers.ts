import { check, LloydError } from '../gpu/errors.ts';
import { type ImageModel, type ImageNode, type ImageShape, inferShapes } from '../model/graph.ts';
import { checkParameters, parameter, requiredParameter } from '../model/parameters.ts';

type Pair = readonly [number, number];
type Pads = readonly [number, number, number, number];

interface LayerBase {
  /** Of the node it begins with; parameters are named by it. */
  name: string;
  /** The tensors it reads. */
  inputs: readonly string[];
  /** What others call the tensor it leaves: the last node that is part of it. */
  tensor: string;
  input: ImageShape;
  shape: ImageShape;
}

/** A convolution or linear layer with the batch norm, bias and activation after it: what is trained together. */
export interface TrainedConv extends LayerBase {
  kind: 'conv';
  /** Its batch norm's node; without one there is a bias. */
  norm: string | null;
  epsilon: number;
  /** Each channel has a filter of its own. */
  depthwise: boolean;
  /** Name of its activation where calibration names them: a 2x2 max-pool right after it is included. */
  output: string;
  kernel: Pair;
  strides: Pair;
  dilations: Pair;
  pads: Pads;
  low: number;
  high: number;
}

/** A pool between layers. */
export interface TrainedPool extends LayerBase {
  kind: 'maxPool' | 'averagePool';
  kernel: Pair;
  strides: Pair;
  pads: Pads;
}

/** A sum of two tensors with the activation after it. */
export interface TrainedAdd extends LayerBase {
  kind: 'add';
  /** Name of its activation where calibration names them. */
  output: string;
  low: number;
  high: number;
}

/** A batch norm that follows no convolution, or one whose output others read too, with the activation after it. */
export interface TrainedNorm extends LayerBase {
  kind: 'norm';
  epsilon: number;
  /** Name of its activation where calibration names them: a 2x2 max-pool right after it is included. */
  output: string;
  low: number;
  high: number;
}

export type TrainedLayer = TrainedConv | TrainedPool | TrainedAdd | TrainedNorm;

/** A layer that scales and shifts each channel: by its batch norm, or a convolution's bias. */
export type AffineLayer = TrainedConv | TrainedNorm;

export const isAffine = (layer: TrainedLayer): layer is AffineLayer =>
  layer.kind === 'conv' || layer.kind === 'norm';

/** The node of a layer's batch norm; null for a convolution that has a bias instead. */
export const normOf = (layer: AffineLayer): string | null =>
  layer.kind === 'norm' ? layer.name : layer.norm;

const LIMIT = 3.4028234663852886e38;
const NO_PADS = [0, 0, 0, 0] as const;

/**
 * A graph as the layers that can be trained, in order; the last one makes the logits.
 *
 * @throws LloydError for a concatenation, a grouped convolution that is not depthwise, an activation that no layer can
 *   take in, an output of more than one pixel, or a parameter that is not what the graph says
 */
export function trainedLayers(model: ImageModel): TrainedLayer[] {
  checkParameters(model);
  const { graph } = model;
  const shapes = inferShapes(graph);
  const aliases = new Map<string, string>();
  const source = (name: string): string => aliases.get(name) ?? name;
  const isAlias = ({ op }: ImageNode) => op === 'flatten' || op === 'identity';
  for (const node of graph.nodes) if (isAlias(node)) aliases.set(node.name, source(node.inputs[0]));
  const readers = new Map<string, number>([[source(graph.output), 1]]);
  for (const node of graph.nodes) {
    if (isAlias(node)) continue;
    for (const name of node.inputs.map(source)) readers.set(name, (readers.get(name) ?? 0) + 1);
  }
  const layers: TrainedLayer[] = [];
  const producers = new Map<string, TrainedLayer>();
  const place = (layer: TrainedLayer) => {
    layers.push(layer);
    producers.set(layer.tensor, layer);
  };
  for (const node of graph.nodes) {
    if (isAlias(node)) continue;
    const inputs = node.inputs.map(source);
    const shape = shapes.get(node.name)!;
    check(readers.has(node.name), `${node.name}: what is trained must lead to the output`, 'nobody reads it');
    const before = producers.get(inputs[0]);
    const sole = readers.get(inputs[0]) === 1;
    if (before && sole && absorb(before, node)) {
      producers.set(node.name, before);
      continue;
    }
    if (node.op === 'add') {
      for (const layer of sums(node.name, inputs, shape)) place(layer);
      continue;
    }
    if (before && isAffine(before) && sole && isHalving(node)) before.output = node.name;
    place(createLayer(node, inputs, shapes.get(node.inputs[0])!, shape, before));
  }
  const last = layers.at(-1);
  check(last?.tensor === source(graph.output), 'the last node must be the output', graph.output);
  check(last.kind === 'conv', 'the last layer must be linear or a convolution', last.name);
  const { height, width } = last.shape;
  check(
    height === 1 && width === 1,
    `${last.name}: the output must be one pixel, whose channels are the logits`,
    `${height} x ${width}`,
    'end with a linear layer or a global average pool before the convolution',
  );
  return layers;
}

/** Takes a batch norm or activation into the layer before it. */
function absorb(layer: TrainedLayer, node: ImageNode): boolean {
  if (!('low' in layer)) return false;
  const open = layer.low === -LIMIT;
  if (node.op === 'batchNorm' && layer.kind === 'conv' && !layer.norm && open) {
    layer.norm = node.name;
    layer.epsilon = node.epsilon ?? 1e-5;
  } else if (node.op === 'relu' || node.op === 'relu6') {
    layer.low = 0;
    if (node.op === 'relu6') layer.high = 6;
  } else return false;
  layer.tensor = node.name;
  layer.output = node.name;
  return true;
}

/** A 2x2 max-pool, which is part of the layer before it where activations are named (lower/fuse.ts). */
function isHalving(node: ImageNode): boolean {
  if (node.op !== 'maxPool') return false;
  const plain = [...node.kernel, ...node.strides].every((n) => n === 2);
  return plain && (node.pads ?? NO_PADS).every((pad) => pad === 0);
}

/** A sum of more than two is the sum of the first two, and so on; named as in lower/fuse.ts. */
function sums(name: string, inputs: readonly string[], shape: ImageShape): TrainedAdd[] {
  const layers: TrainedAdd[] = [];
  let [first] = inputs;
  for (const [i, second] of inputs.slice(1).entries()) {
    const remaining = inputs.length - 2 - i;
    const tensor = remaining > 0 ? `${name} partial ${remaining}` : name;
    const own = { name: tensor, inputs: [first, second], tensor, output: tensor, input: shape, shape };
    layers.push({ kind: 'add', ...own, low: -LIMIT, high: LIMIT });
    first = tensor;
  }
  return layers;
}

function createLayer(
  node: ImageNode,
  inputs: readonly string[],
  input: ImageShape,
  shape: ImageShape,
  before: TrainedLayer | undefined,
): TrainedLayer {
  const base = { name: node.name, inputs, tensor: node.name, input, shape };
  switch (node.op) {
    case 'conv2d':
    case 'linear': {
      const linear = node.op === 'linear';
      const groups = linear ? 1 : (node.groups ?? 1);
      const depthwise = groups > 1;
      check(
        !depthwise || (groups === input.channels && groups === shape.channels),
        `${node.name}: a convolution to be trained has one group, or one for each channel that it reads and writes`,
        `${groups} groups of ${input.channels} to ${shape.channels} channels`,
      );
      return {
        kind: 'conv',
        ...base,
        norm: null,
        epsilon: 1e-5,
        depthwise,
        output: node.name,
        kernel: linear ? [input.height, input.width] : node.kernel,
        strides: linear ? [1, 1] : (node.strides ?? [1, 1]),
        dilations: linear ? [1, 1] : (node.dilations ?? [1, 1]),
        pads: linear ? NO_PADS : (node.pads ?? NO_PADS),
        low: -LIMIT,
        high: LIMIT,
      };
    }
    case 'batchNorm': {
      const own = { epsilon: node.epsilon ?? 1e-5, output: node.name };
      return { kind: 'norm', ...base, ...own, low: -LIMIT, high: LIMIT };
    }
    case 'maxPool':
    case 'averagePool':
    case 'globalAveragePool': {
      const global = node.op === 'globalAveragePool';
      const window = [input.height, input.width] as const;
      return {
        kind: node.op === 'maxPool' ? 'maxPool' : 'averagePool',
        ...base,
        kernel: global ? window : node.kernel,
        strides: global ? window : node.strides,
        pads: global ? NO_PADS : (node.pads ?? NO_PADS),
      };
    }
  }
  throw new LloydError(
    `${node.name}: ${node.op} cannot be trained here`,
    before ? `after ${before.name}` : 'as the first node',
    'training takes convolutions with batch norm or bias, batch norms, ReLU, pools, sums and linear layers',
  );
}

/**
 * gamma and beta, running mean and variance of a layer; without a batch norm ones, the bias, zeros and ones. The mean is
 * of what the convolution sums up: a bias before a batch norm cancels in it, so that neither is added nor trained.
 */
export function normParameters(model: ImageModel, layer: AffineLayer) {
  const { channels } = layer.shape;
  const constant = (value: number) => new Float32Array(channels).fill(value);
  const norm = normOf(layer);
  if (!norm) {
    const beta = parameter(model, `${layer.name}.bias`) ?? constant(0);
    return { gamma: constant(1), beta, mean: constant(0), variance: constant(1) };
  }
  const [gamma, beta, mean, variance] = ['weight', 'bias', 'running_mean', 'running_var'].map((field) =>
    requiredParameter(model, `${norm}.${field}`),
  );
  const bias = biasBeforeNorm(model, layer);
  return { gamma, beta, mean: bias ? mean.map((value, c) => value - bias[c]) : mean, variance };
}

/** The bias of a convolution that has a batch norm as well: the running mean in a file includes it. */
export function biasBeforeNorm(model: ImageModel, layer: AffineLayer): Float32Array | undefined {
  return layer.kind === 'conv' && layer.norm ? parameter(model, `${layer.name}.bias`) : undefined;
}
