import { check, LloydError } from '../gpu/errors.ts';
import type { ImageModel } from '../model/graph.ts';
import { arithmetic, bound } from './graph-arithmetic.ts';
import { GraphBuilder, type Value } from './graph-builder.ts';
import { batchToSpace, convolution, fusedOf, spaceToBatch } from './graph-convolution.ts';
import {
  constantInput,
  middle,
  missing,
  type Node,
  paddingOf,
  type Reader,
  read,
  scalar,
} from './graph-node.ts';
import type { TfjsTensor } from './tensorflow.ts';

type GraphModel = import('@tensorflow/tfjs').GraphModel;

const SUPPORTED =
  'Add, AddN, AddV2, AvgPool, BatchToSpaceND, BiasAdd, ClipByValue of 0 and 6, ConcatV2, Conv2D, ' +
  'DepthwiseConv2dNative, Div, FusedBatchNorm(V2, V3), FusedDepthwiseConv2dNative, Identity, MatMul, Max over pixels, ' +
  'Maximum of 0, MaxPool, Mean over pixels, Minimum of 6, Mul, Pad, PadV2, RealDiv, Relu, Relu6, Reshape, Softmax, ' +
  'SpaceToBatchND, Squeeze, StopGradient, Sub, _FusedConv2D, _FusedMatMul';

/**
 * A TensorFlow graph model (`tf.loadGraphModel`) of a convolutional network as our graph with its parameters, ready
 * for `quantizeModel` and `compile`.
 *
 * Weights are reordered as in {@link fromLayersModel}; sums, products and quotients with constants are multiplied into
 * the layer before, or become batch norms. A softmax at the end is left out: the output are the logits.
 *
 * @param model one input of fixed size, images (NHWC, float32) or rows; one output
 * @throws LloydError naming a node that has no counterpart, and its operation; or a softmax that is not last
 * @example
 * const model = await fromGraphModel(await tf.loadGraphModel('https://example.org/model.json'));
 * const quantized = await quantizeModel(runtime, model, { method: 'linear', bits: 8, calibration });
 */
export async function fromGraphModel(model: GraphModel): Promise<ImageModel> {
  const { executor } = (model ?? {}) as unknown as {
    executor?: { graph: { outputs: Node[]; placeholders: Node[] } };
  };
  check(
    executor?.graph,
    'fromGraphModel takes what tf.loadGraphModel loads',
    model,
    'fromLayersModel takes a LayersModel',
  );
  const { placeholders, outputs } = executor.graph;
  check(
    placeholders.length === 1 && outputs.length === 1,
    'a network must have one input and one output',
    `${placeholders.length} and ${outputs.length}`,
  );
  const [input] = placeholders;
  const shape = model.inputs.find(({ name }) => name.split(':')[0] === input.name)?.shape ?? [];
  const constant = (node: Node): TfjsTensor | undefined => {
    const source = node.op === 'Identity' && node.inputs.length === 1 ? node.inputs[0] : node;
    return model.weights[source.name]?.[0];
  };
  const order = inOrder(outputs[0], constant);
  const builder = new GraphBuilder('graph-model', shape.slice(1), new Set(order.map(({ name }) => name)));
  const reader: Reader = {
    builder,
    constant,
    values: new Map([[input.name, builder.input]]),
    products: new Set(),
    batched: new Map(),
  };
  for (const node of order) await readNode(reader, node);
  return builder.model(read(reader, outputs[0], outputs[0]));
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

async function readNode(reader: Reader, node: Node): Promise<void> {
  for (const [i, from] of node.inputNames.entries()) {
    check(
      !/:[1-9]\d*$/.test(from) || reader.constant(node.inputs[i]),
      `${node.name}: only a node's first output may be read`,
      from,
    );
  }
  const value = await addNode(reader, node);
  if (!value) return;
  reader.values.set(node.name, value);
  const made = reader.builder.nodes.at(-1);
  const isProduct = made?.name === value.node && (made.op === 'conv2d' || made.op === 'linear');
  if (isProduct && /Conv|MatMul|BatchToSpace/.test(node.op)) reader.products.add(node.name);
}

async function addNode(reader: Reader, node: Node): Promise<Value | undefined> {
  const { builder, constant } = reader;
  const { name, op, inputs } = node;
  const attribute = <T>(key: string) => node.attrParams[key]?.value as T;
  const format = attribute<string | undefined>('dataFormat');
  check(!format || format.toUpperCase() === 'NHWC', `${name}: data must be NHWC`, format);
  const value = () => read(reader, node, inputs[0]);
  switch (op) {
    case 'Conv2D':
    case '_FusedConv2D':
    case 'DepthwiseConv2dNative':
    case 'FusedDepthwiseConv2dNative':
      return convolution(reader, node);
    case 'MatMul':
    case '_FusedMatMul': {
      check(!attribute<boolean>('transposeA'), `${name}: its input must not be transposed`, 'transpose_a');
      const { bias, activation } = fusedOf(reader, node);
      const matrix = constantInput(reader, node, 1);
      const transposed = attribute<boolean>('transposeB') === true;
      const kernel = transposed ? matrix.transpose() : matrix;
      const dense = await builder.dense(name, value(), kernel, bias);
      if (transposed) kernel.dispose();
      return builder.activation(name, dense, activation);
    }
    case 'Add':
    case 'AddV2':
    case 'BiasAdd':
    case 'Div':
    case 'Mul':
    case 'RealDiv':
    case 'Sub':
      return arithmetic(reader, node);
    case 'AddN':
      return builder.join(
        'add',
        name,
        inputs.map((each) => read(reader, node, each)),
      );
    case 'ClipByValue':
    case 'Maximum':
    case 'Minimum':
      return bound(reader, node);
    case 'FusedBatchNorm':
    case 'FusedBatchNormV2':
    case 'FusedBatchNormV3': {
      const [gamma, beta, mean, variance] = [1, 2, 3, 4].map((index) => constantInput(reader, node, index));
      const epsilon = attribute<number>('epsilon');
      return builder.batchNorm(name, value(), { gamma, beta, mean, variance, epsilon });
    }
    case 'Relu':
    case 'Relu6':
    case 'Softmax':
      return builder.activation(name, value(), op.toLowerCase(), name);
    case 'MaxPool':
    case 'AvgPool':
      return builder.pool(op === 'MaxPool' ? 'maxPool' : 'averagePool', name, value(), {
        kernel: middle(name, attribute('kernelSize')),
        strides: middle(name, attribute('strides')),
        padding: paddingOf(node),
      });
    case 'Max':
    case 'Mean': {
      const axes = [...(await constantInput(reader, node, 1).data())].map((axis) =>
        axis < 0 ? axis + 4 : axis,
      );
      check(
        `${axes.sort()}` === '1,2',
        `${name}: a ${op.toLowerCase()} must be over height and width`,
        `axes ${axes}`,
      );
      const rank = attribute<boolean>('keepDims') ? 4 : 2;
      return builder.globalPool(op === 'Max' ? 'maxPool' : 'averagePool', name, value(), rank);
    }
    case 'ConcatV2': {
      const axis = inputs.at(-1)!;
      const [index] = await (constant(axis) ?? missing(node, 'axis')).data();
      const values = inputs.slice(0, -1).map((each) => read(reader, node, each));
      check(
        index === values[0].rank - 1 || index === -1,
        `${name}: images are concatenated along channels`,
        `axis ${index}`,
      );
      return builder.join('concat', name, values);
    }
    case 'Pad':
    case 'PadV2': {
      const fill =
        op === 'PadV2' ? await scalar(constantInput(reader, node, 2)) : attribute<number>('constantValue');
      check(!fill, `${name}: padding must be with zeros`, fill);
      const [first, last, top, bottom, left, right, ...channels] = await constantInput(
        reader,
        node,
        1,
      ).data();
      check(!first && !last, `${name}: only height, width and channels may be padded`, 'the batch');
      return builder.zeroPadding(
        name,
        value(),
        [top, left, bottom, right],
        [channels[0] ?? 0, channels[1] ?? 0],
      );
    }
    case 'SpaceToBatchND':
      return spaceToBatch(reader, node);
    case 'BatchToSpaceND':
      return batchToSpace(reader, node);
    case 'Reshape':
      return builder.reshape(name, value(), await targetOf(reader, node));
    case 'Squeeze': {
      const axes = [...(attribute<number[]>('axis') ?? [])]
        .map((axis) => (axis < 0 ? axis + 4 : axis))
        .sort();
      check(`${axes}` === '1,2', `${name}: height and width are what is squeezed`, `axes ${axes}`);
      return builder.reshape(name, value(), [builder.features(value())]);
    }
    case 'Identity':
    case 'StopGradient':
      if (reader.batched.has(inputs[0].name)) reader.batched.set(name, reader.batched.get(inputs[0].name)!);
      return reader.batched.has(name) ? undefined : value();
  }
  throw new LloydError(
    `${name}: a node must be one of ${SUPPORTED}`,
    op,
    'convert another part of the network',
  );
}

/** What a reshape leaves of an image, without the batch. */
async function targetOf({ constant }: Reader, node: Node): Promise<number[]> {
  const shape = node.inputs[1];
  const known = shape && constant(shape);
  if (known) return [...(await known.data())].slice(1);
  // A shape computed from the batch's size: what is not constant in it is that.
  if (shape?.op === 'Pack') {
    const sizes = await Promise.all(
      shape.inputs.map(async (size) => constant(size) && scalar(constant(size)!)),
    );
    const target = sizes.slice(1);
    check(
      target.every((size) => size !== undefined),
      `${node.name}: a reshape may compute only the batch's size`,
      shape.name,
    );
    return target as number[];
  }
  // A matrix product reads rows, so that it can only be those.
  check(
    node.children.length > 0 && node.children.every((child) => /MatMul/.test(child.op)),
    `${node.name}: a reshape's shape must be constant`,
    shape?.op,
  );
  return [-1];
}
