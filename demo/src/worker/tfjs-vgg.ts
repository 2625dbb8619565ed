import type { Tensor1D, Tensor4D } from '@tensorflow/tfjs';
import { compile } from 'lloyd';
import { CIFAR10_IMAGE_BYTES, type Tensor, toFloat32 } from 'lloyd/io';
import type { Tfjs } from 'lloyd/tfjs';
import type { BenchRow } from '../protocol.ts';
import { median } from './median.ts';
import type { State } from './state.ts';

/** The fp32 network by both: tfjs with `fused.conv2d` and batch norm folded in, as ours has it. */
export async function vggForward({ runtime, model, test }: State, tf: Tfjs): Promise<BenchRow> {
  const batch = runtime.adapter.profile === 'cpu' ? 1 : 32;
  const pixels = new Uint8Array(batch * CIFAR10_IMAGE_BYTES);
  pixels.set(test.images.subarray(0, pixels.length));
  const session = await compile(runtime, model, { batch });
  const lloydMs = await median(() => session.run(pixels));
  session.destroy();

  const parameter = (name: string) => toFloat32(model.parameters.get(name) as Tensor);
  const filters = new Map<string, { filter: Tensor4D; bias: Tensor1D }>();
  for (const node of model.graph.nodes) {
    if (node.op !== 'conv2d') continue;
    const bn = node.name.replace('conv', 'bn');
    const [gamma, beta, mean, variance] = ['weight', 'bias', 'running_mean', 'running_var'].map((part) =>
      parameter(`${bn}.${part}`),
    );
    const [outputs, inputs] = model.parameters.get(`${node.name}.weight`)!.dims;
    const factor = gamma.map((g, o) => g / Math.sqrt(variance[o] + 1e-5));
    filters.set(node.name, {
      filter: tf.tidy(() => {
        const weight = tf.tensor4d(parameter(`${node.name}.weight`), [outputs, inputs, 3, 3]);
        return tf.mul(tf.transpose(weight, [2, 3, 1, 0]), tf.tensor1d(factor)) as Tensor4D;
      }),
      bias: tf.tensor1d(beta.map((b, o) => b - mean[o] * factor[o])),
    });
  }
  const matrix = tf.tensor2d(parameter('classifier.weight'), [10, 512]);
  const offset = tf.tensor1d(parameter('classifier.bias'));
  const floats = Float32Array.from(pixels, (p) => p / 255);
  const tfjsMs = await median(async () => {
    const logits = tf.tidy(() => {
      let x = tf.tensor4d(floats, [batch, 32, 32, 3]);
      for (const node of model.graph.nodes) {
        if (node.op === 'conv2d') {
          x = tf.fused.conv2d({ x, strides: 1, pad: 'same', activation: 'relu', ...filters.get(node.name)! });
        } else if (node.op === 'maxPool') x = tf.maxPool(x, 2, 2, 'valid');
      }
      const features = tf.reshape(tf.avgPool(x, 2, 2, 'valid'), [batch, -1]);
      return tf.add(tf.matMul(features, matrix, false, true), offset);
    });
    await logits.data();
    logits.dispose();
  });
  for (const { filter, bias } of filters.values()) tf.dispose([filter, bias]);
  tf.dispose([matrix, offset]);
  return {
    name: `VGG forward, fp32, ${batch} image${batch > 1 ? 's' : ''}`,
    note: 'logits read back',
    lloydMs,
    tfjsMs,
  };
}
