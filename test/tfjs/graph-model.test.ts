import { describe, expect, test } from 'vitest';
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

/** Runs the graph in tfjs and the network it becomes in ours, on the same two images. */
async function compareWithTfjs(g: Builder, shape: [number, number, number]) {
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
  expect(relativeL2(got, want)).toBeLessThan(1e-5);
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
      /shift: a constant may be added to a convolution/,
      (g) => g.node('AddV2', 'shift', ['image', floats(g, 'b', [2])]),
    ],
    [
      /c: data must be NHWC.*NCHW/i,
      (g) =>
        g.node('Conv2D', 'c', ['image', floats(g, 'w', [1, 1, 2, 2])], {
          ...convAttributes(1),
          data_format: 'NCHW',
        }),
    ],
  ])('refuses, saying %s', async (rule, build) => {
    const shared = await shareDevice(gpu.runtime);
    const g = graphDef('image', [-1, 4, 4, 2]);
    build(g);
    const model = await g.load(shared);
    await expect(fromGraphModel(model)).rejects.toThrow(rule);
  });
});
