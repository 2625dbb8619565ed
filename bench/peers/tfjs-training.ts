import { type Tensor as FileTensor, toFloat32 } from '../../src/io/tensor.ts';
import { firstLosses, STEP, stepData, stepOperations } from '../cases/training-step.ts';
import { macsPerImage } from '../cases/vgg.ts';
import type { BenchContext, Opened, Subject } from '../types.ts';
import { toFloats, toHwio } from './folded.ts';
import { startWebgpu } from './tfjs.ts';

type Tensor4D = import('@tensorflow/tfjs').Tensor4D;
type Variable = import('@tensorflow/tfjs').Variable;

/** A step of training our VGG by tfjs' own operators and gradients, `tf.train.momentum` its optimizer. */
export function tfjsTrainingStep(batch: number): Subject {
  return {
    implementation: 'tfjs-webgpu',
    precision: 'fp32',
    batch,
    open: (context) => openStep(context, batch),
  };
}

async function openStep(context: BenchContext, batch: number): Promise<Opened> {
  const tf = await startWebgpu(context);
  const { graph, parameters } = await context.model();
  const { images, labels } = await stepData(context, batch);
  const { height, width, channels } = graph.input;
  const variables = new Map<string, Variable>();
  for (const [name, parameter] of parameters) {
    if (/running|num_batches/.test(name)) continue;
    const { dims } = parameter;
    const values = toFloat32(parameter as FileTensor);
    const [outputs, inputs, kernel = 1] = dims;
    const tensor =
      dims.length === 1
        ? tf.tensor1d(values)
        : tf.tensor(
            toHwio(values, outputs, inputs, kernel),
            dims.length === 2 ? [inputs, outputs] : [kernel, kernel, inputs, outputs],
          );
    variables.set(name, tf.variable(tensor));
    tensor.dispose();
  }
  const own = (name: string) => variables.get(name)!;
  const x = tf.tensor4d(toFloats(images), [batch, height, width, channels]);
  const y = tf.oneHot(tf.tensor1d(labels, 'int32'), own('classifier.bias').size);
  const optimizer = tf.train.momentum(STEP.rate, STEP.momentum);
  const loss = () => {
    let last: Tensor4D = x;
    for (const node of graph.nodes) {
      const { op, name } = node;
      if (op === 'conv2d') last = tf.conv2d(last, own(`${name}.weight`) as unknown as Tensor4D, 1, 'same');
      else if (op === 'batchNorm') {
        const { mean, variance } = tf.moments(last, [0, 1, 2]);
        last = tf.batchNorm(
          last,
          mean,
          variance,
          own(`${name}.bias`),
          own(`${name}.weight`),
          1e-5,
        ) as Tensor4D;
      } else if (op === 'relu') last = tf.relu(last);
      else if (op === 'maxPool') last = tf.maxPool(last, 2, 2, 'valid');
      else if (op === 'averagePool') last = tf.avgPool(last, 2, 2, 'valid');
    }
    const flat = tf.reshape(last, [batch, own('classifier.weight').shape[0]!]);
    const logits = tf.add(tf.matMul(flat, own('classifier.weight') as never), own('classifier.bias'));
    return tf.losses.softmaxCrossEntropy(y, logits) as import('@tensorflow/tfjs').Scalar;
  };
  const step = async () => {
    const value = optimizer.minimize(loss, true)!;
    const [number] = await value.data();
    value.dispose();
    return number;
  };
  return {
    work: { amount: batch, unit: 'images/s' },
    bound: { ceiling: 'f32GFlops', amount: stepOperations(macsPerImage({ graph, parameters }), batch) },
    before: () => tf.setBackend('webgpu'),
    run: step,
    logits: () => firstLosses(step),
    note: 'no running statistics; images already floats on the GPU',
    close() {
      tf.dispose([x, y, ...variables.values()]);
      optimizer.dispose();
    },
  };
}
