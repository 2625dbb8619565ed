// TensorFlow graphs by hand, held to what tfjs computes of them on its CPU backend.
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, test } from 'vitest';
import { LloydError } from '../../src/gpu/errors.ts';
import { logitSqnrDb } from '../../src/run/metrics.ts';
import { quantizeModel } from '../../src/run/precision.ts';
import { compile } from '../../src/run/session.ts';
import { fromGraphModel } from '../../src/tfjs/index.ts';
import { relativeL2 } from '../support/gradients.ts';
import { graphDef } from '../support/graph-def.ts';
import { seeded, useRuntime } from '../support/runtime.ts';
import { graphAsTfjs, operatorsOf } from '../support/tfjs-witness.ts';

type Builder = ReturnType<typeof graphDef>;

const random = seeded(6);

beforeAll(async () => {
  await tf.setBackend('cpu');
});

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

/** What a graph is made of, and what it must compute. */
interface Network {
  /** The placeholder is called `image` unless told. */
  input?: string;
  shape: number[];
  build(g: Builder): unknown;
  /** Held to tfjs in integers, too. */
  integers?: boolean;
}

const networks: Record<string, Network> = {
  'a residual network with batch norm, depthwise and pools computes what tfjs computes': {
    shape: [-1, 12, 10, 3],
    build(g) {
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
    },
  },
  'fused nodes, explicit padding, concatenation and a mean over pixels': {
    shape: [-1, 9, 9, 4],
    build(g) {
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
    },
  },
  'constants: an image normalized, biases in any form, what follows an activation, what two nodes read': {
    input: 'input',
    shape: [-1, 7, 6, 3],
    build(g) {
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
    },
  },
  'constants and norms of a flattened image go into the matrix product': {
    shape: [-1, 3, 4, 2],
    build(g) {
      let x = g.node('Reshape', 'flat', ['image', integers(g, 'to', [-1, 24])]);
      x = g.node('Mul', 'k', [x, floats(g, 'scale', [24], 1)]);
      x = g.node('Identity', 'same', [x]);
      x = g.node('AddV2', 'b', [x, floats(g, 'shift', [1, 24], 1)]);
      g.node('MatMul', 'fc', [x, floats(g, 'fc/w', [24, 5])], matmul);
    },
  },
  'bounds of 0 and 6 in every form': {
    shape: [-1, 4, 4, 2],
    build(g) {
      const bound = (name: string, x: number) => g.constant(name, [], Float32Array.of(x));
      const big = g.node('Mul', 'big', ['image', g.constant('k', [2], Float32Array.of(20, -20))]);
      const a = g.node('Maximum', 'a', [g.node('Minimum', 'a6', [big, bound('six', 6)]), bound('zero', 0)]);
      const b = g.node('Minimum', 'b', [g.node('Maximum', 'b0', [bound('z', 0), big]), bound('s', 6)]);
      const c = g.node('ClipByValue', 'c', [big, bound('low', 0), bound('high', 6)]);
      const d = g.node('Maximum', 'd', [g.node('Relu', 'r', [big]), bound('none', 0)]);
      g.node('ConcatV2', 'all', [a, b, c, d, g.constant('axis', [], Int32Array.of(-1))], { N: 4 });
    },
  },
  'padding before pools, of channels, and last': {
    shape: [-1, 6, 5, 3],
    integers: true,
    build(g) {
      let x = g.node('Conv2D', 'c', ['image', floats(g, 'w', [3, 3, 3, 4])], convAttributes(1));
      const low = g.node('Pad', 'p0', [x, rows(g, 'p0/n', [0, 0, 1, 1, 0, 2, 0, 0])]);
      x = g.node('MaxPool', 'm0', [low], window(3, 2, 'VALID'));
      const relu = g.node('Relu', 'r', ['c']);
      const positive = g.node('Pad', 'p1', [relu, rows(g, 'p1/n', [0, 0, 1, 1, 0, 2, 0, 0])]);
      const other = g.node('MaxPool', 'm1', [positive], window(3, 2, 'VALID'));
      const mean = g.node('AvgPool', 'm2', [positive], window(3, 2, 'VALID'));
      x = g.node('AddN', 'sum', [x, other, mean]);
      g.node('Pad', 'p2', [x, rows(g, 'p2/n', [0, 0, 1, 0, 0, 0, 2, 1])]);
    },
  },
  'a dilated convolution as batches of space, what is cropped being padding': {
    shape: [-1, 7, 6, 4],
    build(g) {
      let x = g.node('SpaceToBatchND', 'sb', [
        'image',
        integers(g, 'b0', [2, 3]),
        rows(g, 'pads', [2, 3, 3, 3]),
      ]);
      x = g.node('Conv2D', 'c', [x, floats(g, 'w', [3, 3, 4, 5])], convAttributes(1, 'VALID'));
      x = g.node('BatchToSpaceND', 'bs', [x, integers(g, 'b1', [2, 3]), rows(g, 'crops', [0, 1, 1, 0])]);
      x = g.node('BiasAdd', 'bias', [x, floats(g, 'bias/b', [5])]);
      g.node('Relu', 'r', [x]);
    },
  },
  'reshapes by a computed batch, squeezes and rows as input': {
    input: 'input',
    shape: [-1, 5],
    build(g) {
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
    },
  },
};

/** One node on images of 4 x 4 x 2, or few. */
const small: Record<string, (g: Builder) => unknown> = {
  'a mean over channels': (g) =>
    g.node('Mean', 'gap', ['image', integers(g, 'axes', [3])], { keep_dims: false }),
  'a sum with a constant of every pixel': (g) =>
    g.node('AddV2', 'shift', ['image', floats(g, 'b', [1, 4, 4, 1])]),
  'a product with a constant of higher rank': (g) =>
    g.node('Mul', 'shift', ['image', floats(g, 'b', [1, 1, 1, 1, 2])]),
  'a product of two tensors': (g) => g.node('Mul', 'gate', ['image', g.node('Relu', 'r', ['image'])]),
  'a constant divided by a tensor': (g) =>
    g.node('RealDiv', 'inverse', [
      floats(g, 'one', []),
      g.node('AddV2', 'away', ['image', g.constant('k', [], Float32Array.of(1))]),
    ]),
  'a minimum of a half': (g) =>
    g.node('Minimum', 'low', ['image', g.constant('half', [], Float32Array.of(0.5))]),
  'a minimum of 6 alone': (g) =>
    g.node('Minimum', 'low', ['image', g.constant('six', [], Float32Array.of(6))]),
  'a ReLU of a softmax': (g) => g.node('Relu', 'after', [g.node('Softmax', 'probabilities', ['image'])]),
  'a reshape to other sizes': (g) => g.node('Reshape', 'square', ['image', integers(g, 'to', [-1, 2, 4, 4])]),
  'a reshape into pixels': (g) => g.node('Reshape', 'pixels', ['image', integers(g, 'to', [-1, 2])]),
  'a reshape of features to an image': (g) => {
    const mean = g.node('Mean', 'gap', ['image', integers(g, 'axes', [1, 2])], { keep_dims: false });
    const features = g.node('MatMul', 'fc', [mean, floats(g, 'w', [2, 18])], matmul);
    return g.node('Reshape', 'image27', [features, integers(g, 'to', [-1, 3, 3, 2])]);
  },
  'batches of space and back, a ReLU between': (g) => {
    const block = integers(g, 'block', [2, 2]);
    const batches = g.node('SpaceToBatchND', 'sb', ['image', block, rows(g, 'pads', [1, 1, 0, 2])]);
    const r = g.node('Relu', 'r', [batches]);
    return g.node('BatchToSpaceND', 'bs', [r, block, rows(g, 'crops', [1, 0, 1, 2])]);
  },
  'batches of space of a convolution that pads itself': (g) => {
    const block = integers(g, 'block', [2, 1]);
    const batches = g.node('SpaceToBatchND', 'sb', ['image', block, rows(g, 'pads', [0, 0, 1, 0])]);
    const c = g.node('Conv2D', 'c', [batches, floats(g, 'w', [3, 3, 2, 3])], convAttributes(1));
    return g.node('BatchToSpaceND', 'bs', [c, block, rows(g, 'crops', [0, 1, 0, 0])]);
  },
  'batches of space that two nodes read': (g) => {
    const block = integers(g, 'block', [2, 2]);
    const batches = g.node('SpaceToBatchND', 'sb', ['image', block, rows(g, 'pads', [1, 1, 1, 1])]);
    const c = g.node('Conv2D', 'c', [batches, floats(g, 'w', [1, 1, 2, 2])], convAttributes(1, 'VALID'));
    const sum = g.node('AddV2', 'sum', [c, batches]);
    return g.node('BatchToSpaceND', 'bs', [sum, block, rows(g, 'crops', [1, 1, 1, 1])]);
  },
  'the image itself': (g) => g.node('Identity', 'same', ['image']),
};

describe('what tfjs computes', () => {
  for (const [name, { input = 'image', shape, build }] of Object.entries(networks)) {
    test(name, async () => {
      const g = graphDef(input, shape);
      build(g);
      const { want } = await graphAsTfjs(await g.load({ tf }));
      expect(Math.hypot(...want[0].dataSync())).toBeGreaterThan(0.1);
    });
  }
  test.each(Object.keys(small))('%s', async (name) => {
    const g = graphDef('image', [-1, 4, 4, 2]);
    small[name](g);
    await graphAsTfjs(await g.load({ tf }), { draw: (own) => own.next() * 2 - 0.5 });
  });

  test('a dilated convolution is one convolution', async () => {
    const { shape, build } =
      networks['a dilated convolution as batches of space, what is cropped being padding'];
    const g = graphDef('image', shape);
    build(g);
    const { model } = await graphAsTfjs(await g.load({ tf }));
    const ops = operatorsOf(model);
    expect(ops.filter((op) => op !== 'Transpose')).toEqual(['Conv', 'Add', 'Relu']);
    const conv = model.graph.nodes.find(({ op }) => op === 'Conv')!;
    expect(conv).toMatchObject({ name: 'c', attributes: { dilations: [2, 3], pads: [2, 2, 2, 3] } });
  });

  test('a convolution of channels first stands between no Transposes', async () => {
    const g = graphDef('image', [-1, 2, 5, 4]);
    g.node('Conv2D', 'c', ['image', floats(g, 'w', [3, 3, 2, 3])], {
      ...convAttributes(1),
      data_format: 'NCHW',
    });
    const model = await fromGraphModel(await g.load({ tf }));
    expect(operatorsOf(model)).toEqual(['Conv']);
  });
});

describe('names, inputs and outputs', () => {
  test('any number of inputs and outputs, of any shape, by their own names', async () => {
    const g = graphDef('image', [-1, 5, 4, 2]);
    const gain = g.input('gain', [-1, 1, 1, 2]);
    const count = g.input('count', [3], 'DT_INT32');
    const c = g.node(
      'Conv2D',
      'heads/c',
      [g.node('Mul', 'm', ['image', gain]), floats(g, 'w', [3, 3, 2, 4])],
      convAttributes(1),
    );
    g.node('Identity', 'scores', [g.node('Sigmoid', 'heads/s', [c])]);
    const axis = g.constant('axis', [], Int32Array.of(3));
    g.node('Split', 'halves', [axis, c], { num_split: 2 });
    g.node('Identity', 'second', ['halves:1']);
    g.node('AddV2', 'more', [count, g.constant('one', [], Int32Array.of(1))]);
    const model = await g.load({ tf });
    const { model: read } = await graphAsTfjs(model);
    expect(read.graph.inputs).toEqual([
      { name: 'image', dtype: 'float32', shape: ['batch', 5, 4, 2] },
      { name: 'gain', dtype: 'float32', shape: ['batch', 1, 1, 2] },
      { name: 'count', dtype: 'int32', shape: [3] },
    ]);
    expect(read.graph.outputs).toEqual(model.outputs.map(({ name }) => name));
    expect(read.graph.nodes.find(({ op }) => op === 'Conv')!.name).toBe('heads/c');
  });

  test('a signature may name a tensor that is not the first of its node', async () => {
    const g = graphDef('image', [-1, 4, 4, 2]);
    g.node('Split', 'halves', [g.constant('axis', [], Int32Array.of(3)), 'image'], { num_split: 2 });
    g.outputs({ right: 'halves:1' });
    const { model } = await graphAsTfjs(await g.load({ tf }));
    expect(model.graph.outputs).toEqual(['halves:1']);
  });

  test('tensors to end in, before what has no counterpart', async () => {
    const g = graphDef('image', [-1, 8]);
    g.node('Split', 'halves', [g.constant('axis', [], Int32Array.of(1)), 'image'], { num_split: 2 });
    const r = g.node('Relu', 'r', ['halves:1']);
    g.node('UniqueV2', 'best', [r, g.constant('k', [], Int32Array.of(0))]);
    const model = await g.load({ tf });
    await expect(fromGraphModel(model)).rejects.toThrow(/UniqueV2.*name tensors before them as outputs/);
    const { graph } = await fromGraphModel(model, { outputs: ['r', 'halves:1', 'halves'] });
    expect(graph.outputs).toEqual(['r', 'halves:1', 'halves']);
    expect(graph.nodes.map(({ op }) => op)).toEqual(['Split', 'Relu']);
    await expect(fromGraphModel(model, { outputs: ['none'] })).rejects.toThrow(/must be a node of the model/);
    await expect(fromGraphModel(model, { outputs: [] })).rejects.toThrow(/outputs must be names of tensors/);
    await expect(fromGraphModel(model, { outputs: ['halves:2'] })).rejects.toThrow(LloydError);
  });

  test('inputs that no output depends on are none', async () => {
    const g = graphDef('image', [-1, 4]);
    const other = g.input('other', [-1, 7]);
    g.node('Relu', 'unused', [other]);
    g.node('Relu', 'r', ['image']);
    g.outputs({ out: 'r' });
    const { graph } = await fromGraphModel(await g.load({ tf }));
    expect(graph.inputs.map(({ name }) => name)).toEqual(['image']);
  });

  test('height and width that the model leaves open', async () => {
    const g = graphDef('image', [-1, -1, -1, 3]);
    const c = g.node('Conv2D', 'c', ['image', floats(g, 'w', [3, 3, 3, 4])], convAttributes(2));
    const shape = g.node('Shape', 'shape', [c]);
    const size = g.node(
      'StridedSlice',
      'size',
      [shape, integers(g, 'from', [1]), integers(g, 'to', [3]), integers(g, 'by', [1])],
      { begin_mask: 0, end_mask: 0, ellipsis_mask: 0, new_axis_mask: 0, shrink_axis_mask: 0 },
    );
    const twice = g.node('Mul', 'twice', [size, g.constant('two', [], Int32Array.of(2))]);
    g.node('ResizeBilinear', 'up', [c, twice], { align_corners: false, half_pixel_centers: true });
    const model = await g.load({ tf });
    for (const dims of [
      [1, 5, 9, 3],
      [2, 8, 6, 3],
    ]) {
      const { model: read } = await graphAsTfjs(model, { shapes: { image: dims } });
      expect(read.graph.inputs[0].shape).toEqual(['batch', 'image:1', 'image:2', 3]);
    }
  });

  test('transposed convolutions whose size is computed', async () => {
    for (const [padding, factor, kernel] of [
      ['SAME', 2, 3],
      ['SAME', 3, 2],
      ['SAME', 2, 1],
    ] as const) {
      const g = graphDef('image', [-1, -1, -1, 2]);
      const shape = g.node('Shape', 'shape', ['image']);
      const scale = g.constant('scale', [4], Int32Array.of(1, factor, factor, 1));
      const sum = g.constant('sum', [4], Int32Array.of(0, 0, 0, 1));
      const size = g.node('AddV2', 'size', [g.node('Mul', 'm', [shape, scale]), sum]);
      g.node(
        'Conv2DBackpropInput',
        't',
        [size, floats(g, 'w', [kernel, kernel, 3, 2]), 'image'],
        convAttributes(factor, padding),
      );
      await graphAsTfjs(await g.load({ tf }), { shapes: { image: [1, 3, 4, 2] } });
    }
  });
});

describe('a softmax at the end', () => {
  const logits = (g: Builder) => {
    const mean = g.node('Mean', 'gap', ['image', integers(g, 'axes', [1, 2])], { keep_dims: false });
    return g.node('MatMul', 'fc', [mean, floats(g, 'w', [2, 3], 2)], matmul);
  };
  const build = (after: (g: Builder, probabilities: string) => unknown) => {
    const g = graphDef('image', [-1, 4, 4, 2]);
    after(g, g.node('Softmax', 'probabilities', [logits(g)]));
    return g.load({ tf });
  };
  test('is computed', async () => {
    const { model, want } = await graphAsTfjs(await build(() => {}));
    expect(model.graph.outputs).toEqual(['probabilities']);
    expect(want[0].sum().dataSync()[0]).toBeCloseTo(2, 4);
  });
  test('is left out where logits are asked for, whatever names the tensor anew after it', async () => {
    for (const after of [() => {}, (g: Builder, p: string) => g.node('Identity', 'again', [p])]) {
      const { model } = await graphAsTfjs(await build(after), { logits: true });
      expect(model.graph.outputs).toEqual(['fc']);
      expect(operatorsOf(model)).toEqual(['ReduceMean', 'Squeeze', 'MatMul']);
    }
  });
  test('is left out before a reshape, which stays', async () => {
    const model = await build((g, p) => g.node('Reshape', 'shaped', [p, integers(g, 'to', [-1, 1, 3])]));
    const read = await fromGraphModel(model, { logits: true });
    expect(read.graph.outputs).toEqual(['shaped']);
    expect(operatorsOf(read)).toEqual(['ReduceMean', 'Squeeze', 'MatMul', 'Reshape']);
  });
  test('stays where something else reads it', async () => {
    const model = await build((g, p) =>
      g.node('Mul', 'twice', [p, g.constant('two', [], Float32Array.of(2))]),
    );
    const { model: read } = await graphAsTfjs(model, { logits: true });
    expect(operatorsOf(read)).toContain('Softmax');
  });
});

describe('what has no counterpart', () => {
  test('is listed whole, with nodes, operations and reasons', async () => {
    const g = graphDef('image', [-1, 4, 4, 2]);
    const flat = g.node('Reshape', 'flat', ['image', integers(g, 'to', [-1])]);
    g.node('UniqueV2', 'best', [flat, g.constant('k', [], Int32Array.of(0))]);
    g.node('Where', 'where', [flat]);
    g.node('Relu', 'after', [g.node('LowerBound', 'sums', [flat, g.constant('axis', [], Int32Array.of(0))])]);
    g.node('LookupTableFindV2', 'table', [flat, flat, flat]);
    g.node('StringToHashBucketFast', 'hash', [flat]);
    g.node('TensorListStack', 'list', [flat, flat]);
    g.node('Conv2D', 'c', ['image', floats(g, 'w', [1, 1, 2, 2])], { strides: [1, 1, 1, 1] });
    const error = await fromGraphModel(await g.load({ tf })).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(LloydError);
    for (const text of [
      /7 of \d+ have none/,
      /best \(UniqueV2\): how many elements/,
      /where \(Where\): how many elements/,
      /sums \(LowerBound\): there is no such operation/,
      /table \(LookupTableFindV2\): tables/,
      /hash \(StringToHashBucketFast\): there are no strings/,
      /list \(TensorListStack\): a list of tensors/,
      /c \(Conv2D\): its padding must be SAME, VALID or EXPLICIT/,
    ]) {
      expect((error as LloydError).message).toMatch(text);
    }
    expect((error as LloydError).message).not.toMatch(/after/);
  });

  test.each<[RegExp, (g: Builder) => string]>([
    [
      /c \(Conv2D\): X must have W.dims\[1\] \* group = 3 channels; received 2/,
      (g) => g.node('Conv2D', 'c', ['image', floats(g, 'w', [1, 1, 3, 2])], convAttributes(1)),
    ],
    [
      /c \(Conv2D\): its filter must have sizes that the inputs/,
      (g) => g.node('Conv2D', 'c', ['image', g.input('filter', [-1, 1, 2, 2])], convAttributes(1)),
    ],
    [
      /c \(Conv2D\): its strides must have sizes for batch, space and channels/,
      (g) => g.node('Conv2D', 'c', ['image', floats(g, 'w', [3, 3, 2, 4])], { padding: 'SAME' }),
    ],
    [
      /c \(Conv2D\): its strides must have sizes for batch, space and channels/,
      (g) =>
        g.node('Conv2D', 'c', ['image', floats(g, 'w', [3, 3, 2, 4])], {
          ...convAttributes(1),
          strides: [1, 1],
        }),
    ],
    [
      /c \(Conv2D\): its strides must be 1 over batch and channels/,
      (g) =>
        g.node('Conv2D', 'c', ['image', floats(g, 'w', [3, 3, 2, 4])], {
          ...convAttributes(1),
          strides: [1, 1, 1, 2],
        }),
    ],
    [
      /c \(Conv2D\): its padding must be SAME, VALID or EXPLICIT/,
      (g) => g.node('Conv2D', 'c', ['image', floats(g, 'w', [3, 3, 2, 4])], { strides: [1, 1, 1, 1] }),
    ],
    [
      /c \(Conv2D\): its explicit paddings must be two sizes for every dimension/,
      (g) => g.node('Conv2D', 'c', ['image', floats(g, 'w', [3, 3, 2, 4])], convAttributes(1, 'EXPLICIT')),
    ],
    [
      /up \(ResizeBilinear\): its size must be height and width/,
      (g) => g.node('ResizeBilinear', 'up', ['image', integers(g, 'to', [8, 8, 8])]),
    ],
    [
      /t \(Transpose\): its permutation must be constant; received "p"/,
      (g) => g.node('Transpose', 't', ['image', g.input('p', [4], 'DT_INT32')]),
    ],
    [
      /f \(_FusedConv2D\): an activation must be one of .*; received "Sine"/i,
      (g) =>
        g.node('_FusedConv2D', 'f', ['image', floats(g, 'w', [1, 1, 2, 2]), floats(g, 'b', [2])], {
          ...convAttributes(1),
          ...fused('Sine'),
        }),
    ],
  ])('is one clear error: %s', async (rule, build) => {
    const g = graphDef('image', [1, 4, 4, 2]);
    build(g);
    const error = await fromGraphModel(await g.load({ tf })).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(LloydError);
    expect((error as LloydError).message).toMatch(rule);
  });
});

describe('sessions of graph models', () => {
  const gpu = useRuntime();
  for (const [name, { input = 'image', shape, build, integers: inIntegers }] of Object.entries(networks)) {
    test(name, async () => {
      const { runtime } = gpu;
      const g = graphDef(input, shape);
      build(g);
      const graphModel = await g.load({ tf });
      const pixels = Float32Array.from({ length: 2 * size(shape.slice(1)) }, () => random.next());
      const predicted = graphModel.predict(tf.tensor(pixels, [2, ...shape.slice(1)])) as tf.Tensor;
      const want = predicted.dataSync() as Float32Array;
      const model = await fromGraphModel(graphModel);
      const session = await compile(runtime, model, { batch: 2 });
      const got = await session.run(pixels);
      session.destroy();
      expect(got).toHaveLength(want.length);
      expect(relativeL2(got, want)).toBeLessThan(1e-5);
      if (!inIntegers) return;
      const options = { method: 'linear', bits: 8, calibration: pixels } as const;
      const int8 = await compile(runtime, await quantizeModel(runtime, model, options), { batch: 2 });
      expect(logitSqnrDb(await int8.run(pixels), want)).toBeGreaterThan(20);
      int8.destroy();
    });
  }
});
