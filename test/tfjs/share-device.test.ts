import { describe, expect, test } from 'vitest';
import { LloydError } from '../../src/gpu/errors.ts';
import { compile } from '../../src/run/session.ts';
import { bufferToTensor, fromLayersModel, shareDevice, tensorToBuffer } from '../../src/tfjs/index.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

describe('one device for tfjs and us', () => {
  test('a tensor is our buffer and our buffer a tensor, without a copy', async () => {
    const { runtime } = gpu;
    const shared = await shareDevice(runtime);
    const { tf } = shared;
    expect(shared.backend.device).toBe(runtime.device);
    const doubled = tf.mul(tf.tensor1d([1, 2, 3, 4]), 2);
    const buffer = tensorToBuffer(shared, doubled);
    expect([...new Float32Array(await runtime.read(buffer, 16))]).toEqual([2, 4, 6, 8]);
    // The same memory: what we write, the tensor holds.
    runtime.device.queue.writeBuffer(buffer, 0, new Float32Array([5, 6, 7, 8]));
    expect([...(await doubled.data())]).toEqual([5, 6, 7, 8]);

    const own = runtime.upload(new Float32Array([1, 2, 3, 4, 5, 6]));
    const tensor = bufferToTensor(shared, own, [2, 3]);
    expect([...(await tf.sum(tensor, 1).data())]).toEqual([6, 15]);
    expect(tensorToBuffer(shared, tensor)).toBe(own);
    tensor.dispose();
    own.destroy();
  });

  test('refuses what cannot be shared, naming it', async () => {
    const shared = await shareDevice(gpu.runtime);
    const gone = shared.tf.tensor1d([1]);
    gone.dispose();
    expect(() => tensorToBuffer(shared, gone)).toThrow(LloydError);
    expect(() => tensorToBuffer(shared, shared.tf.tensor1d([true], 'bool'))).toThrow(
      /float32 or int32.*bool/,
    );
    expect(() => bufferToTensor(shared, gpu.runtime.empty(8), [3])).toThrow(/12 bytes.*8/);
  });
});

describe('sessions of layers models on the shared device', () => {
  test('a network of convolutions, pools and dense layers computes what tfjs computes', async () => {
    const { runtime } = gpu;
    const { tf } = await shareDevice(runtime);
    const { layers } = tf;
    const image = tf.input({ shape: [12, 10, 3] });
    let x = layers
      .conv2d({ filters: 8, kernelSize: 3, strides: 2, padding: 'same', useBias: false })
      .apply(image) as never;
    x = layers.batchNormalization().apply(x) as never;
    x = layers.reLU({ maxValue: 6 }).apply(x) as never;
    let y = layers.depthwiseConv2d({ kernelSize: 3, padding: 'same', activation: 'relu' }).apply(x) as never;
    y = layers.conv2d({ filters: 8, kernelSize: 1 }).apply(y) as never;
    x = y;
    x = layers
      .zeroPadding2d({
        padding: [
          [0, 1],
          [1, 0],
        ],
      })
      .apply(x) as never;
    x = layers.conv2d({ filters: 5, kernelSize: 2, activation: 'relu' }).apply(x) as never;
    x = layers.maxPooling2d({ poolSize: 2, strides: 1 }).apply(x) as never;
    x = layers.dropout({ rate: 0.5 }).apply(x) as never;
    x = layers.flatten().apply(x) as never;
    x = layers.dense({ units: 7, activation: 'relu' }).apply(x) as never;
    x = layers.dense({ units: 4 }).apply(x) as never;
    const network = tf.model({ inputs: image, outputs: x });
    const random = seeded(5);
    const drawn = network.weights.map(({ name, shape }) => {
      const size = shape.reduce((a, b) => a! * b!, 1)!;
      const lowest = name.includes('variance') ? 0.3 : -0.3;
      return tf.tensor(
        Float32Array.from({ length: size }, () => lowest + random.next()),
        shape as number[],
      );
    });
    network.setWeights(drawn);
    const pixels = Float32Array.from({ length: 2 * 12 * 10 * 3 }, () => random.next());
    const want = await (
      network.predict(tf.tensor4d(pixels, [2, 12, 10, 3])) as import('@tensorflow/tfjs').Tensor
    ).data();
    const model = await fromLayersModel(network);
    const session = await compile(runtime, model, { batch: 2 });
    const got = await session.run(pixels);
    session.destroy();
    const scale = Math.max(...want.map(Math.abs));
    expect(scale).toBeGreaterThan(0.1);
    for (const [i, value] of want.entries()) expect(Math.abs(got[i] - value)).toBeLessThan(1e-5 * scale);
  });
});

describe('fromLayersModel of tensors on the GPU', () => {
  test('a sequential network that ends in softmax gives its logits', async () => {
    const { tf } = await shareDevice(gpu.runtime);
    const network = tf.sequential({
      layers: [
        tf.layers.conv2d({ inputShape: [6, 6, 1], filters: 4, kernelSize: 3 }),
        tf.layers.globalAveragePooling2d({}),
        tf.layers.dense({ units: 3, activation: 'softmax' }),
      ],
    });
    const { graph, parameters } = await fromLayersModel(network, { logits: true });
    const ops = graph.nodes.map(({ op }) => op);
    expect(ops).toEqual(['Transpose', 'Conv', 'Transpose', 'ReduceMean', 'Squeeze', 'MatMul', 'Add']);
    const kernel = network.layers.at(-1)!.getWeights()[0];
    const { inputs } = graph.nodes.find(({ op }) => op === 'MatMul')!;
    expect(parameters.get(inputs[1]!)!.data).toEqual(await kernel.data());
  });

  test('a residual network becomes a graph with its add', async () => {
    const { tf } = await shareDevice(gpu.runtime);
    const image = tf.input({ shape: [6, 6, 2] });
    const conv = tf.layers.conv2d({ filters: 2, kernelSize: 1, name: 'conv' }).apply(image);
    const sum = tf.layers.add({ name: 'sum' }).apply([image, conv] as never);
    const network = tf.model({ inputs: image, outputs: sum as never });
    const { graph } = await fromLayersModel(network);
    const [input] = graph.inputs;
    expect(graph.nodes.at(-1)).toMatchObject({ op: 'Add', name: 'sum', outputs: ['sum'] });
    expect(graph.nodes.at(-1)!.inputs).toEqual([input.name, 'conv/nhwc']);
  });

  test('names a layer that has no counterpart', async () => {
    const { tf } = await shareDevice(gpu.runtime);
    const network = tf.sequential({
      layers: [tf.layers.rnn({ inputShape: [6, 1], cell: tf.layers.gruCell({ units: 2 }), name: 'kept' })],
    });
    await expect(fromLayersModel(network)).rejects.toThrow(/kept \(RNN\): a recurrent layer/);
  });
});
