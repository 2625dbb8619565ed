// One device for lloyd and a tfjs model: its activations are quantized where they lie, without a copy.
import { createRuntime, kernels } from 'lloyd';
import { bufferToTensor, shareDevice, tensorToBuffer } from 'lloyd/tfjs';

/** What a tfjs layer computes, and the same after a round trip through int8. */
export async function quantizeActivations(): Promise<{ before: Float32Array; after: Float32Array }> {
  const runtime = await createRuntime();
  const shared = await shareDevice(runtime);
  const { tf } = shared;
  const model = tf.sequential({
    layers: [tf.layers.dense({ units: 3, inputShape: [2], useBias: false, kernelInitializer: 'ones' })],
  });
  const activations = model.predict(
    tf.tensor2d([0.3, 0.4, 1.1, 1.2], [2, 2]),
  ) as import('@tensorflow/tfjs').Tensor;

  const count = activations.size;
  const params = { count, axisSize: 1, axisStride: count };
  const scale = runtime.upload(Float32Array.of(0.5));
  const zeroPoint = runtime.empty(4);
  const codes = runtime.empty(count);
  const output = runtime.empty(count * 4);
  const input = tensorToBuffer(shared, activations);
  const quantize = await kernels.quantizeLinear.create(runtime.device);
  const dequantize = await kernels.dequantizeLinear.create(runtime.device);
  runtime.submit([
    quantize.bind({ input, scale, zeroPoint, output: codes }, params),
    dequantize.bind({ input: codes, scale, zeroPoint, output }, params),
  ]);

  // Back in tfjs: any op may follow.
  const restored = bufferToTensor(shared, output, activations.shape);
  const before = (await activations.data()) as Float32Array;
  const after = (await restored.data()) as Float32Array;
  runtime.destroy();
  return { before, after };
}
