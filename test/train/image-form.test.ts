// Graphs of ONNX's operators are trained as the layers that they are.
import { describe, expect, test } from 'vitest';
import type { GraphModel } from '../../src/graph/graph.ts';
import { GraphWriter } from '../../src/graph/graph-writer.ts';
import type { OnnxTensor } from '../../src/graph/ops/tensors.ts';
import { quantizeModel } from '../../src/run/precision.ts';
import { compile } from '../../src/run/session.ts';
import { finetune, train } from '../../src/tfjs/index.ts';
import { imageForm, quantizedImageForm } from '../../src/train/image-form.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();
const random = seeded(21);
const floats = (dims: number[], scale: number): OnnxTensor => ({
  dtype: 'float32',
  dims,
  data: random.floats(
    dims.reduce((a, b) => a * b, 1),
    scale,
  ),
});

/** As a converter writes it: channels last, sums with constants for biases, a residual, and a softmax if asked for. */
function network(softmax: boolean, extra?: (w: GraphWriter, logits: string) => string): GraphModel {
  const w = new GraphWriter('converted', 17);
  const x = w.input({ name: 'image', dtype: 'float32', shape: ['batch', 8, 8, 3] });
  const conv = (name: string, from: string, inputs: number, outputs: number) => {
    const turned = w.node('Transpose', `${name}/nchw`, [from], { perm: [0, 3, 1, 2] });
    const weight = w.constant(`${name}/w`, floats([outputs, inputs, 3, 3], 0.3));
    const made = w.node('Conv', name, [turned, weight], { pads: [1, 1, 1, 1] });
    const back = w.node('Transpose', `${name}/nhwc`, [made], { perm: [0, 2, 3, 1] });
    return w.node('Add', `${name}/bias`, [back, w.constant(`${name}/b`, floats([outputs], 0.2))]);
  };
  const a = w.node('Relu', 'a', [conv('first', x, 3, 8)]);
  const b = w.node('Relu', 'b', [w.node('Add', 'sum', [a, conv('second', a, 8, 8)])]);
  const turned = w.node('Transpose', 'pool/nchw', [b], { perm: [0, 3, 1, 2] });
  const pooled = w.node('MaxPool', 'pool', [turned], { kernel_shape: [2, 2], strides: [2, 2] });
  const back = w.node('Transpose', 'pool/nhwc', [pooled], { perm: [0, 2, 3, 1] });
  const rows = w.node('Reshape', 'rows', [back, w.integers('rows/shape', [-1, 128])]);
  const dense = w.node('MatMul', 'dense', [rows, w.constant('dense/w', floats([128, 4], 0.1))]);
  const logits = w.node('Add', 'logits', [dense, w.constant('dense/b', floats([4], 0.1))]);
  const end = extra?.(w, logits) ?? logits;
  return w.model([softmax ? w.node('Softmax', 'probabilities', [end], { axis: -1 }) : end]);
}

const images = Uint8Array.from({ length: 24 * 192 }, () => random.integer(0, 255));
const labels = Uint8Array.from({ length: 24 }, (_, i) => i % 4);

async function output(model: Parameters<typeof compile>[1]) {
  const session = await compile(gpu.runtime, model, { batch: 24 });
  try {
    return await session.run(images);
  } finally {
    session.destroy();
  }
}

function apart(a: Float32Array, b: Float32Array): number {
  expect(a.length).toBe(b.length);
  const largest = Math.max(...b.map(Math.abs));
  return Math.max(...a.map((value, i) => Math.abs(value - b[i]))) / largest;
}

describe('a graph of ONNX’s operators', () => {
  const plain = network(false);

  test('has one form that is trained, of the same logits at every precision', async () => {
    expect(apart(await output(imageForm(plain).model), await output(plain))).toBeLessThan(1e-6);
    for (const settings of [
      { method: 'kmeans', bits: 4 } as const,
      { method: 'linear', bits: 8, calibration: images } as const,
    ]) {
      const quantized = await quantizeModel(gpu.runtime, plain, settings);
      expect(apart(await output(quantizedImageForm(quantized)), await output(quantized))).toBeLessThan(1e-6);
    }
  });

  test('learns, in floats, codebooks and integers; its softmax is left out', async () => {
    const model = network(true);
    const data = { images, labels };
    const options = { steps: 4, batch: 8, augment: false, rate: 0.01 };
    const { log } = await train(gpu.runtime, model, data, options);
    expect(log.length).toBe(4);
    for (const settings of [
      { method: 'kmeans', bits: 3 } as const,
      { method: 'linear', bits: 4, calibration: images } as const,
    ]) {
      const quantized = await quantizeModel(gpu.runtime, model, settings);
      const { model: tuned } = await finetune(gpu.runtime, quantized, data, options);
      const [before, after] = [await output(quantizedImageForm(quantized)), await output(tuned)];
      expect(after.every(Number.isFinite)).toBe(true);
      expect(apart(after, before)).toBeGreaterThan(1e-4);
    }
  });

  test('what has no gradient is named, all at once', async () => {
    const odd = network(false, (w, logits) => w.node('Sigmoid', 'gate', [w.node('Tanh', 'bend', [logits])]));
    await expect(train(gpu.runtime, odd, { images, labels }, { steps: 1 })).rejects.toThrow(
      /bend \(Tanh\): it has no gradient here/,
    );
    const two = network(false);
    const wide = { ...two, graph: { ...two.graph, outputs: ['logits', 'a'] } };
    expect(() => imageForm(wide)).toThrow(/one input and one output; received "1 and 2"/);
  });
});
