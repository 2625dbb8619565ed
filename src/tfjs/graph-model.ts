import { check, LloydError } from '../gpu/errors.ts';
import type { Model } from '../model/graph.ts';
import { GraphBuilder, type Pads, type Pair } from './graph-builder.ts';

type GraphModel = import('@tensorflow/tfjs').GraphModel;
type TfjsTensor = import('@tensorflow/tfjs').Tensor;

/** A TensorFlow node as tfjs' executor keeps it (tfjs-converter 4.22). */
interface Node {
  name: string;
  op: string;
  inputs: Node[];
  children: Node[];
  attrParams: Record<string, { value?: unknown } | undefined>;
}

const SUPPORTED =
  'Add, AddV2, AvgPool, BiasAdd, ConcatV2, Conv2D, DepthwiseConv2dNative, FusedBatchNorm(V2, V3), ' +
  'FusedDepthwiseConv2dNative, Identity, MatMul, MaxPool, Mean over pixels, Pad, PadV2, Relu, Relu6, Reshape, ' +
  'Softmax, Squeeze, _FusedConv2D, _FusedMatMul';

/**
 * A TensorFlow graph model (`tf.loadGraphModel`) of a convolutional network as our graph with its parameters, ready
 * for `quantizeModel` and `compile`.
 *
 * Weights are reordered as in {@link fromLayersModel}; a softmax at the end is left out: the output are the logits.
 *
 * @param model one image input of fixed size (NHWC, float32), one output of shape [batch, classes]
 * @throws LloydError naming a node that has no counterpart, and its operation
 * @example
 * const model = await fromGraphModel(await tf.loadGraphModel('https://example.org/model.json'));
 * const quantized = await quantizeModel(runtime, model, { method: 'linear', bits: 8, calibration });
 */
export async function fromGraphModel(model: GraphModel): Promise<Model> {
  const { graph } = (model as unknown as { executor: { graph: { outputs: Node[]; placeholders: Node[] } } })
    .executor;
  check(
    graph.placeholders.length === 1 && graph.outputs.length === 1,
    'a network must have one input and one output',
    `${graph.placeholders.length} and ${graph.outputs.length}`,
  );
  const [input] = graph.placeholders;
  const shape = model.inputs.find(({ name }) => name.split(':')[0] === input.name)?.shape ?? [];
  check(shape.length === 4, 'the input must be images: [batch, height, width, channels]', `[${shape}]`);
  const [, height, width, channels] = shape;
  const builder = new GraphBuilder('graph-model', { height, width, channels });
  builder.alias(input.name, 'input');
  const reader = { builder, constant: (node: Node) => model.weights[node.name]?.[0] };
  for (const node of inOrder(graph.outputs[0], reader.constant)) await addNode(reader, node);
  return builder.model(graph.outputs[0].name);
}

interface Reader {
  builder: GraphBuilder;
  constant(node: Node): TfjsTensor | undefined;
}

/** The nodes that the output depends on, each after its inputs; constants and the placeholder left out. */
function inOrder(output: Node, constant: Reader['constant']): Node[] {
  const order: Node[] = [];
  const seen = new Set<Node>();
  const stack: { node: Node; next: number }[] = [{ node: output, next: 0 }];
  seen.add(output);
  while (stack.length > 0) {
    const top = stack.at(-1)!;
    const input = readsOf(top.node)[top.next++];
    if (input && !seen.has(input)) {
      seen.add(input);
      stack.push({ node: input, next: 0 });
    } else if (!input) {
      stack.pop();
      if (!constant(top.node) && top.node.op !== 'Placeholder') order.push(top.node);
    }
  }
  return order;
}

/** Shapes of reshapes may be computed; what is computed there is not of the network. */
const readsOf = ({ op, inputs }: Node) => (op === 'Reshape' ? inputs.slice(0, 1) : inputs);

async function addNode(reader: Reader, node: Node): Promise<void> {
  const { builder, constant } = reader;
  const { name, op, inputs } = node;
  const value = <T>(key: string) => node.attrParams[key]?.value as T;
  const from = inputs[0]?.name ?? '';
  const source = builder.source(from);
  builder.checkPadding(name, from, /Conv/.test(op));
  const format = value<string | undefined>('dataFormat');
  check(!format || format.toUpperCase() === 'NHWC', `${name}: data must be NHWC`, format);
  switch (op) {
    case 'Conv2D':
    case '_FusedConv2D':
    case 'DepthwiseConv2dNative':
    case 'FusedDepthwiseConv2dNative': {
      const { bias, activation } = fusedOf(reader, node);
      await builder.convolution(name, from, source, {
        filter: constantInput(reader, node, 1),
        bias,
        strides: middle(value('strides')),
        dilations: middle(value('dilations') ?? [1, 1, 1, 1]),
        padding: paddingOf(node),
        depthwise: /Depthwise/.test(op),
      });
      builder.activation(name, activation);
      return;
    }
    case 'MatMul':
    case '_FusedMatMul': {
      check(!value<boolean>('transposeA'), `${name}: its input must not be transposed`, 'transpose_a');
      const { bias, activation } = fusedOf(reader, node);
      const matrix = constantInput(reader, node, 1);
      const transposed = value<boolean>('transposeB') === true;
      const kernel = transposed ? matrix.transpose() : matrix;
      await builder.dense(name, source, kernel, bias);
      if (transposed) kernel.dispose();
      builder.activation(name, activation);
      return;
    }
    case 'BiasAdd':
    case 'Add':
    case 'AddV2':
      return add(reader, node);
    case 'FusedBatchNorm':
    case 'FusedBatchNormV2':
    case 'FusedBatchNormV3': {
      const [gamma, beta, mean, variance] = [1, 2, 3, 4].map((index) => constantInput(reader, node, index));
      const epsilon = value<number>('epsilon');
      return builder.batchNorm(name, source, { gamma, beta, mean, variance, epsilon });
    }
    case 'Relu':
    case 'Relu6':
      builder.add({ op: op === 'Relu' ? 'relu' : 'relu6', name, inputs: [source] });
      return;
    case 'MaxPool':
    case 'AvgPool':
      builder.pool(op === 'MaxPool' ? 'maxPool' : 'averagePool', name, source, {
        kernel: middle(value('kernelSize')),
        strides: middle(value('strides')),
        padding: value('pad'),
      });
      return;
    case 'Mean': {
      const axes = [...(await constantInput(reader, node, 1).data())].sort();
      check(`${axes}` === '1,2', `${name}: a mean must be over height and width`, `axes ${axes}`);
      builder.add({ op: 'globalAveragePool', name, inputs: [source] });
      return;
    }
    case 'ConcatV2': {
      const axis = inputs.at(-1)!;
      const [index] = await (constant(axis) ?? missing(node, 'axis')).data();
      check(index === 3 || index === -1, `${name}: images are concatenated along channels`, `axis ${index}`);
      builder.concat(
        name,
        inputs.slice(0, -1).map((each) => builder.source(each.name)),
      );
      return;
    }
    case 'Pad':
    case 'PadV2': {
      const fill = constant(inputs[2] ?? node);
      check(!fill || (await fill.data())[0] === 0, `${name}: padding must be with zeros`, 'another value');
      const [, , top, bottom, left, right, ...rest] = await constantInput(reader, node, 1).data();
      check(!rest[0] && !rest[1], `${name}: only height and width may be padded`, 'channels');
      builder.zeroPadding(name, source, [top, left, bottom, right]);
      return;
    }
    case 'Reshape':
    case 'Squeeze': {
      const { height, width } = builder.shapeOf(source);
      // A pixel's channels are the same row either way; of an image only its flat values, to a dense layer.
      if (height === 1 && width === 1) builder.alias(name, source);
      else {
        const flat = node.children.every((child) => /MatMul|Identity|Reshape/.test(child.op));
        check(flat, `${name}: only a dense layer may read a reshaped image`, op);
        builder.add({ op: 'flatten', name, inputs: [source] });
      }
      return;
    }
    case 'Identity':
    case 'StopGradient':
    case 'Softmax':
      builder.alias(name, source);
      return;
  }
  throw new LloydError(
    `${name}: a node must be one of ${SUPPORTED}`,
    op,
    'convert another part of the network',
  );
}

/** A sum of tensors, or a bias that the convolution or matrix product before it takes over. */
async function add({ builder, constant }: Reader, node: Node): Promise<void> {
  const { name, inputs } = node;
  const at = inputs.findIndex((input) => constant(input));
  if (at < 0) {
    builder.add({ op: 'add', name, inputs: inputs.map((input) => builder.source(input.name)) });
    return;
  }
  const other = inputs[1 - at];
  const source = builder.source(other.name);
  const before = builder.nodes.find((each) => each.name === source);
  const bias = constant(inputs[at])!;
  check(
    (before?.op === 'conv2d' || before?.op === 'linear') &&
      other.children.length === 1 &&
      !builder.hasBias(source),
    `${name}: a constant may be added to a convolution or matrix product without a bias, read once`,
    `${other.name} (${other.op})`,
  );
  const { channels } = builder.shapeOf(source);
  check(bias.size === channels, `${name}: a bias must have ${channels} values`, `[${bias.shape}]`);
  await builder.bias(source, bias);
  builder.alias(name, source);
}

function fusedOf(reader: Reader, node: Node): { bias?: TfjsTensor; activation?: string } {
  const fused = (node.attrParams.fusedOps?.value ?? []) as string[];
  const names = fused.map((name) => name.toLowerCase());
  if (names[0] !== 'biasadd') {
    check(names[0] !== 'fusedbatchnorm', `${node.name}: batch norm must be a node of its own`, names[0]);
    return { activation: names[0] };
  }
  return { bias: constantInput(reader, node, 2), activation: names[1] };
}

function constantInput({ constant }: Reader, node: Node, index: number): TfjsTensor {
  const input = node.inputs[index];
  return (input && constant(input)) ?? missing(node, input?.name ?? `input ${index}`);
}

function missing(node: Node, what: string): never {
  throw new LloydError(
    `${node.name} (${node.op}): all but the image must be constants`,
    what,
    'freeze the model',
  );
}

/** Height and width of an NHWC list. */
const middle = ([, height, width]: readonly number[]): Pair => [height, width];

function paddingOf(node: Node): string | Pads {
  const padding = node.attrParams.pad?.value as string;
  if (padding !== 'explicit') return padding;
  const [, , top, bottom, left, right] = node.attrParams.explicitPaddings!.value as number[];
  return [top, left, bottom, right];
}
