import { describe, expect, test } from 'vitest';
import { logitSqnrDb } from '../../src/model/metrics.ts';
import { quantizeModel } from '../../src/model/precision.ts';
import { compile } from '../../src/model/session.ts';
import { fromGraphModel, shareDevice } from '../../src/tfjs/index.ts';
import { relativeL2 } from '../support/gradients.ts';
import { graphDef } from '../support/graph-def.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

type Builder = ReturnType<typeof graphDef>;

const gpu = useRuntime();
const random = seeded(6);
const size = (shape: number[]) => shape.reduce((a, b) => a * b, 1);
const floats = (g: Builder, name: string, shape: number[], scale = 0.3) =>
  g.constant(name, shape, random.floats(size(shape), scale));
const integers = (g: Builder, name: string, values: number[]) =>
  g.constant(name, [values.length], Int32Array.from(values));

const convAttributes = (stride: number, padding = 'SAME') => ({
  strides: [1, stride, stride, 1],
  dilations: [1, 1, 1, 1],
  padding,
  data_format: 'NHWC',
});
const fused = (activation?: string) => ({
  fused_ops: activation ? ['BiasAdd', activation] : ['BiasAdd'],
  num_args: 1,
  epsilon: { float: 0 },
});
const window = (kernel: number, stride: number, padding: string) => ({
  ksize: [1, kernel, kernel, 1],
  strides: [1, stride, stride, 1],
  padding,
  data_format: 'NHWC',
});

const matmul = { transpose_a: false, transpose_b: false };
const rows = (g: Builder, name: string, values: number[]) =>
  g.constant(name, [values.length / 2, 2], Int32Array.from(values));

/** Runs the graph in tfjs and the network it becomes in ours, on the same two images. */
async function compareWithTfjs(g: Builder, shape: [number, number, number], integers = false) {
  const { runtime } = gpu;
  const shared = await shareDevice(runtime);
  const graphModel = await g.load(shared);
  const pixels = Float32Array.from({ length: 2 * size(shape) }, () => random.next());
  const x = shared.tf.tensor4d(pixels, [2, ...shape]);
  const want = (await (graphModel.predict(x) as import('@tensorflow/tfjs').Tensor).data()) as Float32Array;
  const model = await fromGraphModel(graphModel);
  const session = await compile(runtime, model, { batch: 2 });
  const got = await session.run(pixels);
  session.destroy();
  expect(Math.hypot(...want)).toBeGreaterThan(0.1);
  expect(got).toHaveLength(want.length);
  expect(relativeL2(got, want)).toBeLessThan(1e-5);
  if (integers) {
    const options = { method: 'linear', bits: 8, calibration: pixels } as const;
    const int8 = await compile(runtime, await quantizeModel(runtime, model, options), { batch: 2 });
    expect(logitSqnrDb(await int8.run(pixels), want)).toBeGreaterThan(20);
    int8.destroy();
  }
  return model.graph.nodes.map(({ op }) => op);
}

describe('fromGraphModel', () => {
  test('a residual network with batch norm, depthwise and pools computes what tfjs computes', async () => {
    const g = graphDef('image', [-1, 12, 10, 3]);
    const channels = (name: string, count: number) => floats(g, name, [count]);
    let x = g.node('Conv2D', 'c0', ['image', floats(g, 'c0/w', [3, 3, 3, 8])], convAttributes(2));
    const variance = g.constant(
      'v',
      [8],
      Float32Array.from({ length: 8 }, () => 0.3 + random.next()),
    );
    x = g.node(
      'FusedBatchNormV3',
      'bn',
      [x, channels('s', 8), channels('o', 8), channels('m', 8), variance],
      {
        epsilon: { float: 1e-3 },
        data_format: 'NHWC',
        is_training: false,
      },
    );
    const root = g.node('Relu6', 'r6', [x]);
    x = g.node('DepthwiseConv2dNative', 'dw', [root, floats(g, 'dw/w', [3, 3, 8, 1])], convAttributes(1));
    x = g.node('BiasAdd', 'dw/b', [x, channels('dw/bias', 8)]);
    x = g.node('Relu', 'dw/r', [x]);
    x = g.node('Conv2D', 'pw', [x, floats(g, 'pw/w', [1, 1, 8, 8])], convAttributes(1, 'VALID'));
    x = g.node('AddV2', 'residual', [x, root]);
    x = g.node('MaxPool', 'mp', [x], window(3, 2, 'SAME'));
    x = g.node('AvgPool', 'ap', [x], window(2, 1, 'VALID'));
    x = g.node('Reshape', 'flat', [x, integers(g, 'flat/shape', [-1, 2 * 2 * 8])]);
    x = g.node('MatMul', 'fc', [x, floats(g, 'fc/w', [32, 5])], { transpose_a: false, transpose_b: false });
    x = g.node('AddV2', 'fc/b', [x, channels('fc/bias', 5)]);
    g.node('Identity', 'logits', [x]);
    const ops = await compareWithTfjs(g, [12, 10, 3]);
    expect(ops).toContain('add');
    expect(ops.at(-1)).toBe('linear');
  });

  test('fused nodes, explicit padding, concatenation and a mean over pixels', async () => {
    const g = graphDef('image', [-1, 9, 9, 4]);
    const rows = [0, 0, 1, 0, 0, 2, 0, 0];
    let x = g.node('Pad', 'pad', ['image', g.constant('pads', [4, 2], Int32Array.from(rows))]);
    x = g.node('_FusedConv2D', 'c0', [x, floats(g, 'c0/w', [3, 3, 4, 4]), floats(g, 'c0/b', [4])], {
      ...convAttributes(1, 'VALID'),
      ...fused('Relu'),
    });
    const depthwise = g.node(
      'FusedDepthwiseConv2dNative',
      'dw',
      [x, floats(g, 'dw/w', [3, 3, 4, 1]), floats(g, 'dw/b', [4])],
      { ...convAttributes(1), ...fused('Relu6') },
    );
    x = g.node('ConcatV2', 'join', [x, depthwise, g.constant('axis', [], Int32Array.of(3))]);
    x = g.node('_FusedConv2D', 'c1', [x, floats(g, 'c1/w', [2, 2, 8, 6]), floats(g, 'c1/b', [6])], {
      ...convAttributes(2, 'EXPLICIT'),
      explicit_paddings: [0, 0, 1, 0, 0, 1, 0, 0],
      ...fused(),
    });
    x = g.node('Mean', 'gap', [x, integers(g, 'axes', [1, 2])], { keep_dims: true });
    x = g.node('Squeeze', 'squeeze', [x], { squeeze_dims: [1, 2] });
    x = g.node('_FusedMatMul', 'fc0', [x, floats(g, 'fc0/w', [6, 7]), floats(g, 'fc0/b', [7])], {
      transpose_a: false,
      transpose_b: false,
      ...fused('Relu'),
    });
    g.node('MatMul', 'fc1', [x, floats(g, 'fc1/w', [3, 7])], { transpose_a: false, transpose_b: true });
    const ops = await compareWithTfjs(g, [9, 9, 4]);
    expect(ops.filter((op) => op === 'linear')).toHaveLength(2);
  });

  test('constants: an image normalized, biases in any form, what follows an activation, what two nodes read', async () => {
    const g = graphDef('input', [-1, 7, 6, 3]);
    const scalar = (name: string, x: number) => g.constant(name, [], Float32Array.of(x));
    let x = g.node('Mul', 'twice', ['input', scalar('two', 2)]);
    x = g.node('Sub', 'centred', [x, floats(g, 'mean', [1, 1, 1, 3])]);
    x = g.node('Conv2D', 'c0', [x, floats(g, 'c0/w', [3, 3, 3, 6])], convAttributes(1));
    x = g.node('RealDiv', 'c0/d', [
      x,
      g.constant(
        'd',
        [6],
        random.floats(6, 0.1).map((v) => v + 1),
      ),
    ]);
    x = g.node('AddV2', 'c0/b', [floats(g, 'c0/bias', [1, 1, 1, 6]), x]);
    x = g.node('Sub', 'c0/s', [scalar('half', 0.5), x]);
    x = g.node('Relu', 'c0/r', [x]);
    x = g.node('Mul', 'after', [x, floats(g, 'after/k', [6], 1)]);
    x = g.node('AddV2', 'after/b', [x, floats(g, 'after/c', [6], 1)]);
    const shared = g.node('Conv2D', 'c1', [x, floats(g, 'c1/w', [3, 3, 6, 4])], convAttributes(2));
    const moved = g.node('BiasAdd', 'c1/b', [shared, floats(g, 'c1/bias', [4])]);
    x = g.node('AddN', 'sum', [shared, g.node('Relu6', 'r', [shared]), moved]);
    x = g.node('Max', 'peak', [x, integers(g, 'axes', [2, 1])], { keep_dims: false });
    x = g.node('MatMul', 'fc', [x, floats(g, 'fc/w', [4, 5])], matmul);
    x = g.node('Mul', 'fc/k', [x, scalar('three', 3)]);
    g.node('BiasAdd', 'fc/b', [x, floats(g, 'fc/bias', [5])]);
    const ops = await compareWithTfjs(g, [7, 6, 3]);
    // Two of the image, two after the ReLU, one of what two nodes read; the others are in the weights.
    expect(ops.filter((op) => op === 'batchNorm')).toHaveLength(5);
    expect(ops.at(-1)).toBe('linear');
  });

  test('constants and norms of a flattened image go into the matrix product', async () => {
    const g = graphDef('image', [-1, 3, 4, 2]);
    let x = g.node('Reshape', 'flat', ['image', integers(g, 'to', [-1, 24])]);
    x = g.node('Mul', 'k', [x, floats(g, 'scale', [24], 1)]);
    x = g.node('Identity', 'same', [x]);
    x = g.node('AddV2', 'b', [x, floats(g, 'shift', [1, 24], 1)]);
    g.node('MatMul', 'fc', [x, floats(g, 'fc/w', [24, 5])], matmul);
    expect(await compareWithTfjs(g, [3, 4, 2])).toEqual(['flatten', 'linear']);
  });

  test('bounds of 0 and 6 in every form', async () => {
    const g = graphDef('image', [-1, 4, 4, 2]);
    const bound = (name: string, x: number) => g.constant(name, [], Float32Array.of(x));
    const big = g.node('Mul', 'big', ['image', g.constant('k', [2], Float32Array.of(20, -20))]);
    const a = g.node('Maximum', 'a', [g.node('Minimum', 'a6', [big, bound('six', 6)]), bound('zero', 0)]);
    const b = g.node('Minimum', 'b', [g.node('Maximum', 'b0', [bound('z', 0), big]), bound('s', 6)]);
    const c = g.node('ClipByValue', 'c', [big, bound('low', 0), bound('high', 6)]);
    const d = g.node('Maximum', 'd', [g.node('Relu', 'r', [big]), bound('none', 0)]);
    g.node('ConcatV2', 'all', [a, b, c, d, g.constant('axis', [], Int32Array.of(-1))], { N: 4 });
    const ops = await compareWithTfjs(g, [4, 4, 2]);
    expect(ops.filter((op) => op === 'relu6')).toHaveLength(3);
  });

  test('padding before pools, of channels, and last', async () => {
    const g = graphDef('image', [-1, 6, 5, 3]);
    let x = g.node('Conv2D', 'c', ['image', floats(g, 'w', [3, 3, 3, 4])], convAttributes(1));
    const low = g.node('Pad', 'p0', [x, rows(g, 'p0/n', [0, 0, 1, 1, 0, 2, 0, 0])]);
    x = g.node('MaxPool', 'm0', [low], window(3, 2, 'VALID'));
    const relu = g.node('Relu', 'r', ['c']);
    const positive = g.node('Pad', 'p1', [relu, rows(g, 'p1/n', [0, 0, 1, 1, 0, 2, 0, 0])]);
    const other = g.node('MaxPool', 'm1', [positive], window(3, 2, 'VALID'));
    const mean = g.node('AvgPool', 'm2', [positive], window(3, 2, 'VALID'));
    x = g.node('AddN', 'sum', [x, other, mean]);
    g.node('Pad', 'p2', [x, rows(g, 'p2/n', [0, 0, 1, 0, 0, 0, 2, 1])]);
    await compareWithTfjs(g, [6, 5, 3], true);
  });

  test('a dilated convolution as batches of space, what is cropped being padding', async () => {
    const g = graphDef('image', [-1, 7, 6, 4]);
    let x = g.node('SpaceToBatchND', 'sb', [
      'image',
      integers(g, 'b0', [2, 3]),
      rows(g, 'pads', [2, 3, 3, 3]),
    ]);
    x = g.node('Conv2D', 'c', [x, floats(g, 'w', [3, 3, 4, 5])], convAttributes(1, 'VALID'));
    x = g.node('BatchToSpaceND', 'bs', [x, integers(g, 'b1', [2, 3]), rows(g, 'crops', [0, 1, 1, 0])]);
    x = g.node('BiasAdd', 'bias', [x, floats(g, 'bias/b', [5])]);
    g.node('Relu', 'r', [x]);
    expect(await compareWithTfjs(g, [7, 6, 4])).toEqual(['conv2d', 'relu']);
  });

  test('reshapes by a computed batch, squeezes and rows as input', async () => {
    const g = graphDef('input', [-1, 5]);
    let x = g.node('MatMul', 'fc', ['input', floats(g, 'w', [5, 6])], matmul);
    const sizes = [1, 1, 6].map((n, i) => g.constant(`n${i}`, [], Int32Array.of(n)));
    const shape = g.node('Shape', 'shape', [x]);
    const batch = g.node(
      'StridedSlice',
      'batch',
      [shape, integers(g, 'from', [0]), integers(g, 'to', [1]), integers(g, 'by', [1])],
      {
        begin_mask: 0,
        end_mask: 0,
        ellipsis_mask: 0,
        new_axis_mask: 0,
        shrink_axis_mask: 1,
      },
    );
    x = g.node('Reshape', 'pixel', [x, g.node('Pack', 'pack', [batch, ...sizes], { axis: 0, N: 4 })]);
    x = g.node('Conv2D', 'c', [x, floats(g, 'c/w', [1, 1, 6, 4])], convAttributes(1));
    g.node('Squeeze', 'squeeze', [x], { squeeze_dims: [1, 2] });
    const { runtime } = gpu;
    const shared = await shareDevice(runtime);
    // The shape is read synchronously, which tfjs' WebGPU backend does in browsers only.
    await shared.tf.setBackend('cpu');
    const model = await g.load(shared);
    const rowsIn = random.floats(15, 0.5);
    const predicted = model.predict(shared.tf.tensor2d(rowsIn, [3, 5])) as import('@tensorflow/tfjs').Tensor;
    const want = predicted.dataSync() as Float32Array;
    const session = await compile(runtime, await fromGraphModel(model), { batch: 2 });
    await shared.tf.setBackend('webgpu');
    expect(relativeL2(await session.run(rowsIn), want)).toBeLessThan(1e-5);
    session.destroy();
  });

  test('a softmax at the end is left out', async () => {
    const shared = await shareDevice(gpu.runtime);
    const g = graphDef('image', [-1, 4, 4, 1]);
    const mean = g.node('Mean', 'gap', ['image', integers(g, 'axes', [1, 2])], { keep_dims: false });
    const fc = g.node('MatMul', 'fc', [mean, floats(g, 'w', [1, 3])], {
      transpose_a: false,
      transpose_b: false,
    });
    g.node('Softmax', 'probabilities', [fc]);
    const { graph } = await fromGraphModel(await g.load(shared));
    expect(graph.nodes.map(({ op }) => op)).toEqual(['globalAveragePool', 'linear']);
    expect(graph.output).toBe('fc');
  });

  test.each<[RegExp, (g: Builder) => string]>([
    [
      /up: a node must be one of .*received .ResizeBilinear/,
      (g) => g.node('ResizeBilinear', 'up', ['image', integers(g, 'to', [8, 8])]),
    ],
    [
      /c \(Conv2D\): all but the image must be constants.*image/,
      (g) => g.node('Conv2D', 'c', ['image', 'image'], convAttributes(1)),
    ],
    [
      /gap: a mean must be over height and width.*axes 3/,
      (g) => g.node('Mean', 'gap', ['image', integers(g, 'axes', [3])], { keep_dims: false }),
    ],
    [
      /shift: a constant must have one value, or 2, one a feature.*\[1,4,4,1\]/,
      (g) => g.node('AddV2', 'shift', ['image', floats(g, 'b', [1, 4, 4, 1])]),
    ],
    [
      /shift: a constant must have one value, or 2, one a feature.*\[1,1,1,1,2\]/,
      (g) => g.node('Mul', 'shift', ['image', floats(g, 'b', [1, 1, 1, 1, 2])]),
    ],
    [
      /gate: Mul takes a constant; received "two tensors"/,
      (g) => g.node('Mul', 'gate', ['image', g.node('Relu', 'r', ['image'])]),
    ],
    [
      /inverse: a constant must not be divided by a tensor/,
      (g) => g.node('RealDiv', 'inverse', [floats(g, 'one', []), 'image']),
    ],
    [
      /low: a Minimum must be of 6; received 0.5/,
      (g) => g.node('Minimum', 'low', ['image', g.constant('half', [], Float32Array.of(0.5))]),
    ],
    [
      /the output: a minimum of 6 must be followed by a maximum of 0; received "low"/,
      (g) => g.node('Minimum', 'low', ['image', g.constant('six', [], Float32Array.of(6))]),
    ],
    [
      /after: a softmax may only be the last.*"probabilities"/,
      (g) => g.node('Relu', 'after', [g.node('Softmax', 'probabilities', ['image'])]),
    ],
    [
      /square: a reshape may only.*\[2,4,4\] of 4 x 4 x 2/,
      (g) => g.node('Reshape', 'square', ['image', integers(g, 'to', [-1, 2, 4, 4])]),
    ],
    [
      /pixels: a reshape may only.*\[2\] of 4 x 4 x 2/,
      (g) => g.node('Reshape', 'pixels', ['image', integers(g, 'to', [-1, 2])]),
    ],
    [
      /image27: a reshape may only put.*\[3,3,2\] of 1 x 1 x 18/,
      (g) => {
        const mean = g.node('Mean', 'gap', ['image', integers(g, 'axes', [1, 2])], { keep_dims: false });
        const rows = g.node('MatMul', 'fc', [mean, floats(g, 'w', [2, 18])], matmul);
        return g.node('Reshape', 'image27', [rows, integers(g, 'to', [-1, 3, 3, 2])]);
      },
    ],
    [
      /c: its filter must have height, width and the input's 2 channels; received "\[1,1,3,2\]"/,
      (g) => g.node('Conv2D', 'c', ['image', floats(g, 'w', [1, 1, 3, 2])], convAttributes(1)),
    ],
    [
      /r: between SpaceToBatchND and BatchToSpaceND there may be one convolution/,
      (g) =>
        g.node('Relu', 'r', [
          g.node('SpaceToBatchND', 'sb', [
            'image',
            integers(g, 'block', [2, 2]),
            rows(g, 'pads', [0, 0, 0, 0]),
          ]),
        ]),
    ],
    [
      /bs: it must undo a SpaceToBatchND after one convolution/,
      (g) =>
        g.node('BatchToSpaceND', 'bs', [
          'image',
          integers(g, 'block', [2, 2]),
          rows(g, 'crops', [0, 0, 0, 0]),
        ]),
    ],
    [
      /c: data must be NHWC.*NCHW/i,
      (g) =>
        g.node('Conv2D', 'c', ['image', floats(g, 'w', [1, 1, 2, 2])], {
          ...convAttributes(1),
          data_format: 'NCHW',
        }),
    ],
    [
      /c: a window must have four sizes/,
      (g) => g.node('Conv2D', 'c', ['image', floats(g, 'w', [3, 3, 2, 4])], { padding: 'SAME' }),
    ],
    [
      /c: a window must have four sizes/,
      (g) =>
        g.node('Conv2D', 'c', ['image', floats(g, 'w', [3, 3, 2, 4])], {
          ...convAttributes(1),
          strides: [1, 1],
        }),
    ],
    [
      /c: padding must be SAME, VALID or EXPLICIT/,
      (g) => g.node('Conv2D', 'c', ['image', floats(g, 'w', [3, 3, 2, 4])], { strides: [1, 1, 1, 1] }),
    ],
    [
      /c: explicit paddings must be eight sizes/,
      (g) => g.node('Conv2D', 'c', ['image', floats(g, 'w', [3, 3, 2, 4])], convAttributes(1, 'EXPLICIT')),
    ],
  ])('refuses, saying %s', async (rule, build) => {
    const shared = await shareDevice(gpu.runtime);
    const g = graphDef('image', [-1, 4, 4, 2]);
    build(g);
    const model = await g.load(shared);
    await expect(fromGraphModel(model)).rejects.toThrow(rule);
  });
});
