import { describe, expect, test } from 'vitest';
import { type Attributes, type OnnxTensor, runOperator } from '../../src/onnx/index.ts';
import { expectPeer, type PeerCase, randomTensor } from '../support/planned.ts';
import { sampled, seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

/** A seeded convolution of 1 to 3 dimensions with any of its attributes. */
function convCase(seed: number, transposed: boolean): PeerCase {
  const random = seeded(seed);
  // ONNX Runtime has no 3-D transposed convolution in groups; 1 and 2 dimensions come up most.
  const spatial = random.pick(transposed ? [1, 2, 2] : [1, 2, 2, 2, 3]);
  const each = (low: number, high: number) =>
    Array.from({ length: spatial }, () => random.integer(low, high));
  const group = random.pick([1, 1, 2, 3]);
  const depthwise = seed % 4 === 0;
  const groups = depthwise ? random.pick([5, 6]) : group;
  const perGroup = depthwise ? 1 : random.integer(1, 5);
  const groupOutputs = depthwise ? random.pick([1, 1, 2]) : random.integer(1, 6);
  const kernel = each(1, 3);
  const channels = groups * perGroup;
  const outputs = groups * groupOutputs;
  const dilations = each(1, 2);
  const strides = each(1, 3);
  const size = kernel.map((k, i) => (k - 1) * dilations[i] + random.integer(1, 7));
  const attributes: Attributes = { group: groups, strides, dilations, kernel_shape: kernel };
  const padding = random.pick(['pads', 'pads', 'SAME_UPPER', 'SAME_LOWER', 'VALID', 'none']);
  if (padding === 'pads') attributes.pads = [...each(0, 2), ...each(0, 2)];
  else if (padding !== 'none') {
    attributes.auto_pad = padding;
    // ONNX Runtime refuses SAME with dilations, and transposed makes less than size * stride where the kernel is smaller.
    if (padding.startsWith('SAME')) attributes.dilations = kernel.map(() => 1);
    if (transposed && padding.startsWith('SAME'))
      attributes.strides = strides.map((s, i) => Math.min(s, kernel[i]));
  }
  if (transposed && !padding.startsWith('SAME')) {
    const pads = kernel.map((k, i) =>
      random.integer(0, Math.min(2, Math.floor(((k - 1) * dilations[i]) / 2))),
    );
    if (padding === 'pads') attributes.pads = [...pads, ...pads];
    if (random.next() < 0.5) attributes.output_padding = strides.map((s) => random.integer(0, s - 1));
    else if (padding === 'none' && random.next() < 0.6) {
      attributes.output_shape = size.map(
        (own, i) => (own - 1) * strides[i] + (kernel[i] - 1) * dilations[i] + 1 - random.integer(0, 1),
      );
    }
  }
  const dims = transposed ? [channels, groupOutputs, ...kernel] : [outputs, perGroup, ...kernel];
  const bias = random.next() < 0.5 ? [randomTensor(random, 'float32', [outputs], 1)] : [];
  return {
    operator: transposed ? 'ConvTranspose' : 'Conv',
    inputs: [
      randomTensor(random, 'float32', [random.integer(1, 3), channels, ...size], 1),
      randomTensor(random, 'float32', dims, 0.5),
      ...bias,
    ],
    attributes,
    options: { opset: random.pick([9, 11, 22]) },
  };
}

describe('against ONNX Runtime', () => {
  test('Conv with every attribute, depthwise among them', async () => {
    const cases = Array.from({ length: 160 }, (_, i) => convCase(i, false));
    await expectPeer(gpu.runtime, sampled('Conv', cases, 60), 1e-5);
  });

  test('Conv by points is a product of matrices', async () => {
    const random = seeded(2);
    const x = (...dims: number[]) => randomTensor(random, 'float32', dims, 1);
    await expectPeer(
      gpu.runtime,
      [
        { operator: 'Conv', inputs: [x(2, 37, 5, 9), x(41, 37, 1, 1), x(41)] },
        { operator: 'Conv', inputs: [x(1, 5, 70), x(3, 5, 1)] },
        { operator: 'Conv', inputs: [x(0, 5, 7), x(3, 5, 1)] },
        { operator: 'Conv', inputs: [x(2, 3, 2), x(4, 3, 1)], attributes: { strides: [3] } },
      ],
      1e-5,
    );
  });

  test('ConvTranspose with every attribute', async () => {
    const cases = Array.from({ length: 120 }, (_, i) => convCase(1000 + i, true));
    await expectPeer(gpu.runtime, sampled('ConvTranspose', cases, 50), 1e-5);
  });
});

test('a transposed convolution with SAME padding has size * stride outputs, whatever the kernel', async () => {
  const x: OnnxTensor = { dtype: 'float32', dims: [1, 1, 3], data: Float32Array.of(1, 2, 3) };
  const w: OnnxTensor = { dtype: 'float32', dims: [1, 1, 1], data: Float32Array.of(2) };
  const [y] = await runOperator(gpu.runtime, 'ConvTranspose', [x, w], {
    strides: [2],
    auto_pad: 'SAME_UPPER',
  });
  expect(y).toEqual({ dtype: 'float32', dims: [1, 1, 6], data: Float32Array.of(2, 0, 4, 0, 6, 0) });
});
