// The gradients of a whole network by tfjs' own differentiation, on its CPU backend: nothing of ours computes them.
import type { Tensor2D, Tensor4D, Variable } from '@tensorflow/tfjs';
import type { ImageModel, ImageNode } from '../../src/model/graph.ts';
import { inferShapes } from '../../src/model/graph.ts';

/** How a batch is normalized: by its own statistics, or by the running ones. */
export type Statistics = 'batch' | 'running';

/** The mean loss of a batch, and its gradient by every parameter that is trained, in the parameters' own order. */
export async function tfjsGradients(
  model: ImageModel,
  images: Uint8Array,
  labels: Uint8Array,
  { smoothing = 0, statistics = 'batch' as Statistics } = {},
): Promise<{ loss: number; gradients: Map<string, Float32Array> }> {
  const tf = await import('@tensorflow/tfjs');
  await tf.setBackend('cpu');
  const { graph, parameters } = model;
  const shapes = inferShapes(graph);
  const { height, width, channels } = graph.input;
  const variables = new Map<string, Variable>();
  for (const [name, { dims, data }] of parameters) {
    const values = tf.tensor(Float32Array.from(data as Float32Array), [...dims]);
    variables.set(name, tf.variable(values, !name.includes('.running_')));
  }
  const pad = (x: Tensor4D, [top, left, bottom, right]: readonly number[], value = 0) =>
    tf.pad(
      x,
      [
        [0, 0],
        [top, bottom],
        [left, right],
        [0, 0],
      ],
      value,
    );
  const own = (node: ImageNode, field: string) => variables.get(`${node.name}.${field}`);
  const compute = (node: ImageNode, inputs: Tensor4D[]): Tensor4D => {
    const [x] = inputs;
    switch (node.op) {
      case 'conv2d': {
        const weight = own(node, 'weight') as unknown as Tensor4D;
        const padded = pad(x, node.pads ?? [0, 0, 0, 0]);
        const deep = (node.groups ?? 1) > 1;
        const filter = tf.transpose(weight, deep ? [2, 3, 0, 1] : [2, 3, 1, 0]) as Tensor4D;
        const strides = [...(node.strides ?? [1, 1])] as [number, number];
        const sums = deep
          ? tf.depthwiseConv2d(padded, filter, strides, 'valid')
          : tf.conv2d(padded, filter, strides, 'valid', 'NHWC', [...(node.dilations ?? [1, 1])] as never);
        const bias = own(node, 'bias');
        return bias ? tf.add(sums, bias) : sums;
      }
      case 'linear': {
        const rows = tf.reshape(tf.transpose(x, [0, 3, 1, 2]), [labels.length, -1]) as Tensor2D;
        const product = tf.matMul(rows, own(node, 'weight') as unknown as Tensor2D, false, true);
        return tf.reshape(tf.add(product, own(node, 'bias')!), [labels.length, 1, 1, node.outFeatures]);
      }
      case 'batchNorm': {
        const batch = tf.moments(x, [0, 1, 2]);
        const [mean, variance] =
          statistics === 'batch'
            ? [batch.mean, batch.variance]
            : [own(node, 'running_mean')!, own(node, 'running_var')!];
        const deviation = tf.sqrt(tf.add(variance, node.epsilon ?? 1e-5));
        const normal = tf.div(tf.sub(x, mean), deviation);
        return tf.add(tf.mul(normal, own(node, 'weight')!), own(node, 'bias')!);
      }
      case 'relu':
        return tf.relu(x);
      case 'relu6':
        return tf.relu6(x);
      case 'add':
        return tf.addN(inputs);
      case 'concat':
        return tf.concat(inputs, 3);
      case 'maxPool':
        return tf.maxPool(pad(x, node.pads ?? [0, 0, 0, 0], -1e30), [...node.kernel], [...node.strides], 0);
      case 'averagePool':
        return tf.avgPool(x, [...node.kernel], [...node.strides], 'valid');
      case 'globalAveragePool':
        return tf.mean(x, [1, 2], true);
      default:
        return x;
    }
  };
  const lossOf = () => {
    const pixels = tf.tensor4d(Float32Array.from(images), [labels.length, height, width, channels]);
    const tensors = new Map([[graph.input.name, tf.div(pixels, 255) as Tensor4D]]);
    for (const node of graph.nodes) {
      tensors.set(
        node.name,
        compute(
          node,
          node.inputs.map((name) => tensors.get(name)!),
        ),
      );
    }
    const classes = shapes.get(graph.output)!.channels;
    const logits = tf.reshape(tensors.get(graph.output)!, [labels.length, classes]);
    const wanted = tf.oneHot(tf.tensor1d([...labels], 'int32'), classes);
    return tf.losses.softmaxCrossEntropy(wanted, logits, undefined, smoothing) as never;
  };
  const trained = [...variables].filter(([name]) => !name.includes('.running_'));
  const { value, grads } = tf.variableGrads(
    lossOf,
    trained.map(([, variable]) => variable),
  );
  const gradients = new Map<string, Float32Array>();
  for (const [name, variable] of trained) {
    gradients.set(name, Float32Array.from(await grads[variable.name].data()));
  }
  const [loss] = await value.data();
  tf.dispose([value, ...Object.values(grads), ...variables.values()]);
  return { loss, gradients };
}
