import { check, LloydError } from '../gpu/errors.ts';
import { type GraphNode, type ImageShape, inferShapes, type Model } from '../model/graph.ts';
import { parameter, requiredParameter } from '../model/parameters.ts';

type Pair = readonly [number, number];

/** A convolution or linear layer with the batch norm, bias and activation after it: what is trained together. */
export interface TrainedConv {
  kind: 'conv';
  /** The convolution's node. */
  name: string;
  /** Its batch norm's node; without one there is a bias. */
  norm: string | null;
  epsilon: number;
  /** Name of the tensor it leaves, as calibration names activations: the last node fused into it, its pool included. */
  output: string;
  input: ImageShape;
  shape: ImageShape;
  kernel: Pair;
  strides: Pair;
  dilations: Pair;
  pads: readonly [number, number, number, number];
  low: number;
  high: number;
}

/** A pool between layers. */
export interface TrainedPool {
  kind: 'maxPool' | 'averagePool';
  name: string;
  input: ImageShape;
  shape: ImageShape;
  kernel: Pair;
  strides: Pair;
  pads: readonly [number, number, number, number];
}

export type TrainedLayer = TrainedConv | TrainedPool;

const LIMIT = 3.4028234663852886e38;

/**
 * A graph as the chain of layers that can be trained.
 *
 * @throws LloydError for a branch, a grouped convolution, or a batch norm or activation that follows no convolution
 */
export function trainedLayers({ graph }: Model): TrainedLayer[] {
  const shapes = inferShapes(graph);
  const layers: TrainedLayer[] = [];
  let before = graph.input.name;
  for (const node of graph.nodes) {
    check(
      node.inputs.length === 1 && node.inputs[0] === before,
      'a network to be trained must be a chain: each node reads the one before it',
      `${node.name} (${node.op}) reads ${node.inputs.join(', ')}`,
    );
    before = node.name;
    const input = shapes.get(node.inputs[0])!;
    append(layers, node, input, shapes.get(node.name)!);
  }
  check(before === graph.output, 'the last node must be the output', graph.output);
  check(layers.at(-1)?.kind === 'conv', 'the last layer must be linear or a convolution', before);
  return layers;
}

function append(layers: TrainedLayer[], node: GraphNode, input: ImageShape, shape: ImageShape): void {
  const last = layers.at(-1);
  const noPads = [0, 0, 0, 0] as const;
  switch (node.op) {
    case 'conv2d':
    case 'linear': {
      const linear = node.op === 'linear';
      const groups = linear ? 1 : (node.groups ?? 1);
      check(groups === 1, `${node.name}: a convolution to be trained must have one group`, groups);
      layers.push({
        kind: 'conv',
        name: node.name,
        norm: null,
        epsilon: 1e-5,
        output: node.name,
        input,
        shape,
        kernel: linear ? [input.height, input.width] : node.kernel,
        strides: linear ? [1, 1] : (node.strides ?? [1, 1]),
        dilations: linear ? [1, 1] : (node.dilations ?? [1, 1]),
        pads: linear ? noPads : (node.pads ?? noPads),
        low: -LIMIT,
        high: LIMIT,
      });
      return;
    }
    case 'batchNorm':
      if (last?.kind === 'conv' && !last.norm && last.low === -LIMIT) {
        last.norm = node.name;
        last.epsilon = node.epsilon ?? 1e-5;
        last.output = node.name;
        return;
      }
      break;
    case 'relu':
    case 'relu6':
      if (last?.kind === 'conv') {
        last.low = 0;
        if (node.op === 'relu6') last.high = 6;
        last.output = node.name;
        return;
      }
      break;
    case 'flatten':
    case 'identity':
      return;
    case 'maxPool':
    case 'averagePool':
    case 'globalAveragePool': {
      const global = node.op === 'globalAveragePool';
      const window = [input.height, input.width] as const;
      // A 2x2 max-pool is part of the layer before it where activations are named (model/fuse.ts).
      if (node.op === 'maxPool' && last?.kind === 'conv') {
        const plain = [...node.kernel, ...node.strides].every((n) => n === 2);
        if (plain && (node.pads ?? noPads).every((p) => p === 0)) last.output = node.name;
      }
      layers.push({
        kind: node.op === 'maxPool' ? 'maxPool' : 'averagePool',
        name: node.name,
        input,
        shape,
        kernel: global ? window : node.kernel,
        strides: global ? window : node.strides,
        pads: global ? noPads : (node.pads ?? noPads),
      });
      return;
    }
  }
  throw new LloydError(
    `${node.name}: ${node.op} cannot be trained here`,
    last ? `after ${last.name}` : 'as the first node',
    'training takes chains of convolutions with batch norm or bias, ReLU, pools and linear layers',
  );
}

/** gamma and beta, running mean and variance of a layer; without a batch norm ones, the bias, zeros and ones. */
export function normParameters(model: Model, layer: TrainedConv) {
  const { channels } = layer.shape;
  const constant = (value: number) => new Float32Array(channels).fill(value);
  if (!layer.norm) {
    const beta = parameter(model, `${layer.name}.bias`) ?? constant(0);
    return { gamma: constant(1), beta, mean: constant(0), variance: constant(1) };
  }
  const [gamma, beta, mean, variance] = ['weight', 'bias', 'running_mean', 'running_var'].map((field) =>
    requiredParameter(model, `${layer.norm}.${field}`),
  );
  return { gamma, beta, mean, variance };
}
