// A model written for a newer opset means what it meant: by the interpreter, and by ONNX Runtime on both files.
import { describe, expect, test } from 'vitest';
import type { GraphModel } from '../../src/graph/graph.ts';
import { GraphWriter } from '../../src/graph/graph-writer.ts';
import type { Attributes, OnnxTensor } from '../../src/graph/ops/tensors.ts';
import { readOnnx } from '../../src/onnx/read-onnx.ts';
import { writeOnnx } from '../../src/onnx/write-onnx.ts';
import { interpretGraph } from '../support/interpret-graph.ts';
import { float, floats, of, runOnOrt } from '../support/onnx-models.ts';

type Make = [op: string, attributes: Attributes, opset?: number, outputs?: number, inputs?: OnnxTensor[]];

const scales = of('float32', [4], Float32Array.of(1, 1, 2, 1.5));
const vector = (seed: number) =>
  of(
    'float32',
    [3],
    (floats(seed, 3).data as Float32Array).map((v) => v * v + 0.1),
  );

/** One node on an input of 2 x 3 x 4 x 6. */
const CASES: Make[] = [
  ['Clip', { min: -0.5, max: 0.25 }],
  ['Clip', { max: 0.25 }],
  ['Clip', {}],
  ['Pad', { pads: [0, 1, 0, 0, 0, 0, 2, 1], value: 3, mode: 'constant' }],
  ['Pad', { pads: [0, 0, 1, 1, 0, 0, 0, 2], mode: 'reflect' }],
  ['Slice', { starts: [1, -3], ends: [3, 2 ** 31], axes: [1, 3] }],
  ['Slice', { starts: [0, 1], ends: [1, 2] }],
  ['Split', { axis: 3, split: [1, 5] }, 9, 2],
  ['Split', { axis: 3 }, 11, 3],
  ['ReduceMean', { axes: [1, 3], keepdims: 0 }],
  ['ReduceMean', {}],
  ['ReduceMax', { axes: [-1] }, 12],
  ['ReduceSum', { axes: [2] }],
  ['Softmax', {}],
  ['Softmax', { axis: 2 }],
  ['Softmax', { axis: -1 }, 11],
  ['LogSoftmax', { axis: 3 }],
  ['Unsqueeze', { axes: [0, 4] }],
  ['Dropout', { ratio: 0.25 }],
  ['BatchNormalization', { epsilon: 0.25 }, 9, 1, [vector(1), vector(2), vector(3), vector(4)]],
  ['BatchNormalization', { epsilon: 0.25, spatial: 1 }, 7, 1, [vector(1), vector(2), vector(3), vector(4)]],
  ['Upsample', { mode: 'linear', scales: Float32Array.of(1, 1, 2, 1.5) }, 7],
  ['Upsample', { mode: 'nearest', scales: Float32Array.of(1, 1, 1, 3) }, 8],
  ['Upsample', { mode: 'nearest' }, 9, 1, [scales]],
  ['Upsample', { mode: 'linear' }, 9, 1, [scales]],
  ['Resize', { mode: 'nearest' }, 10, 1, [scales]],
  ['Relu', {}],
];

function single([op, attributes, opset = 9, outputs = 1, constants = []]: Make): GraphModel {
  const w = new GraphWriter('single', opset);
  const inputs = [
    w.input(float('x', 2, 3, 4, 6)),
    ...constants.map((tensor, i) => w.constant(`c${i}`, tensor)),
  ];
  return w.model(w.several(op, 'y', inputs, attributes, outputs));
}

const feeds = { x: floats(5, 2, 3, 4, 6) };

describe.each(CASES)('%s %o', (...args) => {
  const model = single(args);
  const { opset } = model.graph;
  const before = interpretGraph(model, feeds);

  test('means the same under every newer opset', () => {
    for (let next = opset; next <= 27; next++) {
      const raised = readOnnx(writeOnnx(model, { opset: next }));
      expect(raised.graph.opset).toBe(next);
      const after = interpretGraph(raised, feeds);
      for (const name of model.graph.outputs) expect(after[name]).toEqual(before[name]);
    }
  });

  test('gives ONNX Runtime the same under 13 and 21', async () => {
    const expected = await runOnOrt(writeOnnx(model), feeds);
    for (const next of [13, 21]) {
      const outputs = await runOnOrt(writeOnnx(model, { opset: next }), feeds);
      for (const name of model.graph.outputs) {
        expect(outputs[name].dims).toEqual(expected[name].dims);
        const values = [...(outputs[name].data as Float32Array)];
        for (const [i, value] of values.entries()) {
          expect(value).toBeCloseTo(Number(expected[name].data[i]), 5);
        }
      }
    }
  });
});

describe('is refused, with every node that is in the way,', () => {
  test('for operators that nothing is known of', () => {
    const w = new GraphWriter('g', 9);
    const x = w.input(float('x', 4));
    const model = w.model([
      w.node('Mystery', 'a', [x]),
      w.node('NonMaxSuppression', 'b', [x]),
      w.node('Relu', 'c', [x]),
    ]);
    expect(() => writeOnnx(model, { opset: 13 })).toThrow(
      /opset 13 must be able.*a \(Mystery\).*b \(NonMaxSuppression\)/,
    );
  });

  test('for numbers that may have to be float16', () => {
    const w = new GraphWriter('g', 9);
    const x = w.input({ name: 'x', dtype: 'float16', shape: [4] });
    expect(() => writeOnnx(w.model([w.node('Clip', 'a', [x], { min: 0 })]), { opset: 11 })).toThrow(
      /a \(Clip\): which dtype/,
    );
  });

  test('for what the newer opset has no more', () => {
    const w = new GraphWriter('g', 9);
    const x = w.input(float('x', 4));
    const model = w.model(w.several('Dropout', 'a', [x], {}, 2));
    expect(() => writeOnnx(model, { opset: 13 })).toThrow(/a \(Dropout\): its mask/);
  });
});
