// tfjs networks written as ONNX give tfjs's answers in ONNX Runtime with all of its own optimizations, as people run them.
import * as tf from '@tensorflow/tfjs';
import { beforeAll, expect, test } from 'vitest';
import { openOrt } from '../../bench/networks/open.ts';
import { writeOnnx } from '../../src/onnx/write-onnx.ts';
import { fromLayersModel } from '../../src/tfjs/index.ts';
import { seeded } from '../support/runtime.ts';

const L = tf.layers;

beforeAll(async () => {
  await tf.setBackend('cpu');
});

test.each([
  [
    'a padding between convolutions',
    L.zeroPadding2d({
      padding: [
        [0, 1],
        [2, 0],
      ],
    }),
  ],
  ['a pool that is padded', L.maxPooling2d({ poolSize: 3, strides: 2, padding: 'same' })],
  [
    'a cropping',
    L.cropping2D({
      cropping: [
        [1, 0],
        [0, 2],
      ],
    }),
  ],
  ['an upsampling', L.upSampling2d({ size: [2, 2], interpolation: 'bilinear' })],
  ['a transposed convolution', L.conv2dTranspose({ filters: 3, kernelSize: 3, strides: 2, padding: 'same' })],
])('%s', async (_, between) => {
  const conv = (more: object) => L.conv2d({ filters: 4, kernelSize: 3, strides: 2, ...more });
  const network = tf.sequential({
    layers: [conv({ inputShape: [12, 11, 3] }), between, L.reLU(), conv({ kernelSize: 2, padding: 'same' })],
  });
  const image = Float32Array.from(seeded(3).floats(12 * 11 * 3, 1));
  const expected = network.predict(tf.tensor(image, [1, 12, 11, 3])) as tf.Tensor;
  const model = await fromLayersModel(network);
  const session = await openOrt(writeOnnx(model), 'cpu');
  const [input] = model.graph.inputs;
  const outputs = await session.run({
    [input.name]: { dtype: 'float32', dims: [1, 12, 11, 3], data: image },
  });
  await session.close();
  const { dims, data } = outputs[model.graph.outputs[0]];
  expect(dims).toEqual(expected.shape);
  const want = (await expected.data()) as Float32Array;
  const furthest = want.reduce((most, value, i) => Math.max(most, Math.abs(value - Number(data[i]))), 0);
  expect(furthest).toBeLessThan(1e-4 * Math.max(...want.map(Math.abs)));
});
