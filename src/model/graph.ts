import { check } from '../gpu/errors.ts';
import type { Tensor } from '../gpu/tensor.ts';
import { checkCoordinates } from '../gpu/window.ts';
import type { GraphModel } from '../graph/graph.ts';

/** Height, width and channels of one image's activation; activations are NHWC everywhere. */
export interface ImageShape {
  height: number;
  width: number;
  channels: number;
}

/** What nodes of every kind have. */
export interface NodeBase {
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
export type ImageNode = NodeBase &
  (
    | ({ op: 'conv2d' } & Conv2dAttributes)
    | { op: 'linear'; outFeatures: number }
    | { op: 'batchNorm'; epsilon?: number }
    | { op: 'relu' | 'relu6' | 'add' | 'concat' | 'flatten' | 'identity' }
    | ({ op: 'maxPool' | 'averagePool' } & PoolAttributes)
    | { op: 'globalAveragePool' }
  );

/** A feed-forward network on images as it is written in code, in topological order: one input, one output. */
export interface ImageGraph {
  name: string;
  input: ImageShape & { name: string };
  nodes: readonly ImageNode[];
  /** The node whose output are the logits. */
  output: string;
}

/** An image graph with its parameters: weights OIHW (`linear`: out x in), as PyTorch names and stores them. */
export interface ImageModel {
  graph: ImageGraph;
  parameters: ReadonlyMap<string, Tensor>;
}

/** A network: one written in code, or any other in ONNX's operators, as `readOnnx` and the tfjs readers make it. */
export type Model = ImageModel | GraphModel;

/**
 * An image graph's model, where nothing else will do.
 *
 * @param what needs it, for the message
 * @throws LloydError for any other model
 */
export function imageModel(model: Model, what: string): ImageModel {
  check(
    isImageModel(model),
    `${what} takes networks of { graph: { input, nodes, output }, parameters }`,
    `${model.graph.name}, a graph of ONNX's operators`,
  );
  return model;
}

/**
 * True for a network that is written in code, `{ graph: { name, input, nodes, output }, parameters }`, or made by `vgg`.
 *
 * @example
 * if (isImageModel(model)) console.log(model.graph.input.height);
 */
export const isImageModel = (model: Model): model is ImageModel => 'input' in model.graph;

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

const OPS: readonly string[] = [
  'conv2d',
  'linear',
  'batchNorm',
  'relu',
  'relu6',
  'add',
  'concat',
  'flatten',
  'identity',
  'maxPool',
  'averagePool',
  'globalAveragePool',
] satisfies ImageNode['op'][];

const isSize = (n: unknown): n is number => Number.isInteger(n) && (n as number) >= 1;

/**
 * The shape of every node's output, by name (the graph's input included).
 *
 * @throws LloydError for an unknown input or operator, an attribute out of range, a shape that doesn't fit, what would
 *   read the pixels of a flattened image, or a duplicate name.
 * @example
 * inferShapes(vgg().graph).get('backbone.pool3'); // { height: 2, width: 2, channels: 512 }
 */
export function inferShapes(graph: ImageGraph): Map<string, ImageShape> {
  const { input } = graph;
  check(
    [input?.height, input?.width, input?.channels].every(isSize) && typeof input.name === 'string',
    `${graph.name}: the input must have a name and a height, width and channels of 1 or more`,
    input && [input.name, input.height, input.width, input.channels],
  );
  check(Array.isArray(graph.nodes), `${graph.name}: nodes must be an array`, graph.nodes);
  const shapes = new Map<string, ImageShape>([[input.name, input]]);
  const flat = new Set<string>();
  for (const node of graph.nodes) {
    check(
      OPS.includes(node?.op),
      `${graph.name}: a node's op must be one that a graph has`,
      `${String(node?.op)} (${String(node?.name)})`,
      `build the graph of ${OPS.join(', ')}`,
    );
    check(
      typeof node.name === 'string' && !shapes.has(node.name),
      `${graph.name}: node names must be unique strings`,
      node.name,
      'rename one of them',
    );
    check(Array.isArray(node.inputs), `${node.name}: inputs must be an array of names`, node.inputs);
    const names: readonly string[] = node.inputs;
    const inputs = names.map((name) => {
      const shape = shapes.get(name);
      check(shape, `${node.name}: an input must be the graph's input or an earlier node`, name);
      return shape;
    });
    check(
      node.op === 'add' || node.op === 'concat' ? inputs.length >= 2 : inputs.length === 1,
      `${node.name}: ${node.op} takes ${node.op === 'add' || node.op === 'concat' ? 'two inputs or more' : 'one input'}`,
      inputs.length,
    );
    const shape = nodeShape(node, inputs);
    shapes.set(node.name, shape);
    if (node.op === 'linear') continue;
    if (names.some((name) => flat.has(name))) {
      checkFlat(node, inputs[0]);
      flat.add(node.name);
    } else if (node.op === 'flatten' && shape.height * shape.width > 1) flat.add(node.name);
  }
  check(shapes.has(graph.output), `${graph.name}: the output must be one of the nodes`, graph.output);
  return shapes;
}

/** Of a flattened image each value is a feature of its own; only what treats all alike may still take it for pixels. */
function checkFlat({ op, name }: ImageNode, { height, width, channels }: ImageShape): void {
  check(
    op !== 'batchNorm',
    `${name}: batch norm over a flattened image has a parameter a pixel and channel, which no layer here has`,
    `${height} x ${width} x ${channels} values`,
    'multiply it into the linear layer that follows, or normalize before flattening',
  );
  check(
    ['relu', 'relu6', 'add', 'concat', 'flatten', 'identity'].includes(op),
    `${name}: ${op} takes images, which a flattened one no longer is`,
    `${height} x ${width} x ${channels} values in a row`,
    'put it before the flatten',
  );
}

/** Checks a window's sizes: of a convolution or a pool. */
function checkWindow(node: ImageNode & { kernel: readonly [number, number] }): void {
  const pair = (value: unknown) => Array.isArray(value) && value.length === 2 && value.every(isSize);
  const { name, op, kernel } = node;
  check(pair(kernel), `${name}: kernel must be [height, width] of 1 or more`, kernel ?? 'none');
  const { strides = op === 'conv2d' ? [1, 1] : undefined, pads = [0, 0, 0, 0] } = node as Conv2dAttributes;
  check(pair(strides), `${name}: strides must be [height, width] of 1 or more`, strides ?? 'none');
  check(
    Array.isArray(pads) && pads.length === 4 && pads.every((n) => Number.isInteger(n) && n >= 0),
    `${name}: pads must be [top, left, bottom, right] of 0 or more`,
    pads,
  );
  if (op !== 'conv2d') {
    check(
      pads.every((pad, side) => pad < kernel[side % 2]),
      `${name}: a pool's pads must be smaller than its kernel of ${kernel.join(' x ')}`,
      pads,
      'a window of padding alone has no value',
    );
    return;
  }
  const { dilations = [1, 1], groups = 1, outChannels } = node;
  check(pair(dilations), `${name}: dilations must be [height, width] of 1 or more`, dilations);
  check(isSize(groups), `${name}: groups must be an integer of 1 or more`, groups);
  check(isSize(outChannels), `${name}: outChannels must be an integer of 1 or more`, outChannels ?? 'none');
}

/** The shape that a node leaves of inputs of these. */
export function nodeShape(node: ImageNode, inputs: readonly ImageShape[]): ImageShape {
  const [input] = inputs;
  switch (node.op) {
    case 'conv2d':
    case 'maxPool':
    case 'averagePool': {
      checkWindow(node);
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
      const window = { kernel: node.kernel[0], stride: sy, dilation: dy };
      checkCoordinates(`${node.name}: the window's height`, {
        ...window,
        output: height,
        before: top,
        end: input.height + bottom,
      });
      const across = { kernel: node.kernel[1], stride: sx, dilation: dx };
      checkCoordinates(`${node.name}: the window's width`, {
        ...across,
        output: width,
        before: left,
        end: input.width + right,
      });
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
      check(
        isSize(node.outFeatures),
        `${node.name}: outFeatures must be an integer of 1 or more`,
        node.outFeatures ?? 'none',
      );
      return { height: 1, width: 1, channels: node.outFeatures };
    case 'batchNorm': {
      const { epsilon = 1e-5 } = node;
      check(
        Number.isFinite(epsilon) && epsilon >= 0,
        `${node.name}: epsilon must be a number of 0 or more`,
        epsilon,
      );
      return input;
    }
    case 'flatten':
      return input; // a reshape: linear reads the image it came from (lower/fuse.ts)
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
