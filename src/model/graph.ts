import { check } from '../gpu/errors.ts';
import type { Tensor } from '../gpu/tensor.ts';

/** Height, width and channels of one image's activation; activations are NHWC everywhere. */
export interface ImageShape {
  height: number;
  width: number;
  channels: number;
}

interface NodeBase {
  name: string;
  inputs: readonly string[];
}

/** Attributes of a 2-D convolution; `pads` are top, left, bottom, right as in ONNX. */
export interface Conv2dAttributes {
  kernel: readonly [number, number];
  outChannels: number;
  strides?: readonly [number, number];
  dilations?: readonly [number, number];
  pads?: readonly [number, number, number, number];
  groups?: number;
}

/** Attributes of a pooling window; no dilation, output size floors. */
export interface PoolAttributes {
  kernel: readonly [number, number];
  strides: readonly [number, number];
  pads?: readonly [number, number, number, number];
}

/** One node of a graph. Parameters are found by name: `<node>.weight`, `<node>.bias`, `<node>.running_mean`, ... */
export type GraphNode = NodeBase &
  (
    | ({ op: 'conv2d' } & Conv2dAttributes)
    | { op: 'linear'; outFeatures: number }
    | { op: 'batchNorm'; epsilon?: number }
    | { op: 'relu' | 'relu6' | 'add' | 'concat' | 'flatten' | 'identity' }
    | ({ op: 'maxPool' | 'averagePool' } & PoolAttributes)
    | { op: 'globalAveragePool' }
  );

/** A feed-forward network on images, in topological order. */
export interface Graph {
  name: string;
  input: ImageShape & { name: string };
  nodes: readonly GraphNode[];
  /** The node whose output are the logits. */
  output: string;
}

/** A graph with its parameters: weights OIHW (`linear`: out x in), as PyTorch names and stores them. */
export interface Model {
  graph: Graph;
  parameters: ReadonlyMap<string, Tensor>;
}

/** Output size of a window over `size` pixels, floored; 0 or less when the window doesn't fit. */
export function windowOutput(
  size: number,
  kernel: number,
  stride: number,
  before: number,
  after: number,
  dilation = 1,
) {
  return Math.floor((size + before + after - ((kernel - 1) * dilation + 1)) / stride) + 1;
}

/**
 * The shape of every node's output, by name (the graph's input included).
 *
 * @throws LloydError for an unknown input, a shape that doesn't fit, or a duplicate name.
 * @example
 * inferShapes(vgg().graph).get('backbone.pool3'); // { height: 2, width: 2, channels: 512 }
 */
export function inferShapes(graph: Graph): Map<string, ImageShape> {
  const shapes = new Map<string, ImageShape>([[graph.input.name, graph.input]]);
  for (const node of graph.nodes) {
    check(
      !shapes.has(node.name),
      `${graph.name}: node names must be unique`,
      node.name,
      'rename one of them',
    );
    const inputs = node.inputs.map((name) => {
      const shape = shapes.get(name);
      check(shape, `${node.name}: an input must be the graph's input or an earlier node`, name);
      return shape;
    });
    check(
      node.op === 'add' || node.op === 'concat' ? inputs.length >= 2 : inputs.length === 1,
      `${node.name}: ${node.op} takes ${node.op === 'add' || node.op === 'concat' ? 'two inputs or more' : 'one input'}`,
      inputs.length,
    );
    shapes.set(node.name, outputShape(node, inputs));
  }
  check(shapes.has(graph.output), `${graph.name}: the output must be one of the nodes`, graph.output);
  return shapes;
}

function outputShape(node: GraphNode, inputs: readonly ImageShape[]): ImageShape {
  const [input] = inputs;
  switch (node.op) {
    case 'conv2d':
    case 'maxPool':
    case 'averagePool': {
      const [top, left, bottom, right] = node.pads ?? [0, 0, 0, 0];
      const [sy, sx] = node.strides ?? [1, 1];
      const [dy, dx] = node.op === 'conv2d' ? (node.dilations ?? [1, 1]) : [1, 1];
      const height = windowOutput(input.height, node.kernel[0], sy, top, bottom, dy);
      const width = windowOutput(input.width, node.kernel[1], sx, left, right, dx);
      check(
        height > 0 && width > 0,
        `${node.name}: the window must fit its padded input of ${input.height} x ${input.width}`,
        node.kernel,
      );
      const groups = node.op === 'conv2d' ? (node.groups ?? 1) : 1;
      const channels = node.op === 'conv2d' ? node.outChannels : input.channels;
      check(
        input.channels % groups === 0 && channels % groups === 0,
        `${node.name}: groups must divide ${input.channels} input and ${channels} output channels`,
        groups,
      );
      return { height, width, channels };
    }
    case 'linear':
      return { height: 1, width: 1, channels: node.outFeatures };
    case 'flatten':
      return input; // a reshape: linear reads the image it came from (model/fuse.ts)
    case 'globalAveragePool':
      return { height: 1, width: 1, channels: input.channels };
    case 'add':
      for (const other of inputs) {
        check(
          other.height === input.height && other.width === input.width && other.channels === input.channels,
          `${node.name}: add takes equal shapes`,
          inputs.map((s) => `${s.height}x${s.width}x${s.channels}`),
        );
      }
      return input;
    case 'concat':
      for (const other of inputs) {
        check(
          other.height === input.height && other.width === input.width,
          `${node.name}: concat takes equal heights and widths`,
          inputs.map((s) => `${s.height}x${s.width}`),
        );
      }
      return { ...input, channels: inputs.reduce((sum, shape) => sum + shape.channels, 0) };
    default:
      return input;
  }
}
