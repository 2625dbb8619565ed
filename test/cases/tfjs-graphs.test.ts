// Graphs as converters write them, against tfjs on the CPU.
import * as tf from '@tensorflow/tfjs';
import { compile } from 'lloyd';
import { fromGraphModel } from 'lloyd/tfjs';
import { beforeAll, describe, expect, test } from 'vitest';
import { graphDef } from '../support/graph-def.ts';
import { seeded, useRuntime } from '../support/runtime.ts';
import { graphAsTfjs } from '../support/tfjs-witness.ts';
import { furthest } from './networks.ts';

type Builder = ReturnType<typeof graphDef>;
type Attributes = Parameters<Builder['node']>[3];

beforeAll(async () => {
  await tf.setBackend('cpu');
});

/** Builds one graph: weights from a seed, the usual layers by a word each. */
function tools(g: Builder, input: string) {
  const random = seeded(9);
  const floats = (name: string, ...shape: number[]) =>
    g.constant(
      name,
      shape,
      random.floats(
        shape.reduce((a, b) => a * b, 1),
        0.4,
      ),
    );
  const integers = (name: string, values: number[], ...shape: number[]) =>
    g.constant(name, shape.length > 0 ? shape : [values.length], Int32Array.from(values));
  const scalar = (name: string, value: number) => g.constant(name, [], Float32Array.of(value));
  const window = (stride: number, padding: string, kernel?: number): Attributes => ({
    strides: [1, stride, stride, 1],
    dilations: [1, 1, 1, 1],
    padding,
    data_format: 'NHWC',
    ...(kernel && { ksize: [1, kernel, kernel, 1] }),
  });
  const fused = (activation?: string, slopes = 0): Attributes => ({
    fused_ops: activation ? ['BiasAdd', activation] : ['BiasAdd'],
    num_args: 1 + slopes,
    epsilon: { float: 0.0001 },
    leakyrelu_alpha: { float: 0.2 },
  });
  const conv = (
    name: string,
    from: string,
    [size, inputs, outputs]: number[],
    stride = 1,
    activation?: string,
  ) =>
    g.node(
      '_FusedConv2D',
      name,
      [from, floats(`${name}/w`, size, size, inputs, outputs), floats(`${name}/b`, outputs)],
      {
        ...window(stride, 'SAME'),
        ...fused(activation),
      },
    );
  const plain = (
    name: string,
    from: string,
    [size, inputs, outputs]: number[],
    stride = 1,
    padding = 'SAME',
  ) =>
    g.node('Conv2D', name, [from, floats(`${name}/w`, size, size, inputs, outputs)], window(stride, padding));
  const mean = (from: string, axes = [1, 2]) =>
    g.node('Mean', 'gap', [from, integers('gap/axes', axes)], { keep_dims: false });
  const dense = (from: string, inputs: number, outputs: number) =>
    g.node('_FusedMatMul', 'fc', [from, floats('fc/w', inputs, outputs), floats('fc/b', outputs)], {
      ...fused(),
      transpose_a: false,
      transpose_b: false,
    });
  const head = (from: string, channels = 4) => dense(mean(from), channels, 2);
  const first = () => conv('c0', input, [3, 3, 4]);
  return { g, input, floats, integers, scalar, window, fused, conv, plain, mean, dense, head, first };
}
type Tools = ReturnType<typeof tools>;

const graphs: Record<string, (t: Tools) => string> = {
  'AddN of three': ({ g, first, plain, head }) => {
    const c0 = first();
    const r = g.node('Relu', 'r', [c0]);
    return head(g.node('AddN', 'n', [c0, r, plain('c1', c0, [1, 4, 4])], { N: 3 }));
  },
  'Mul and Add of channels after a ReLU': ({ g, conv, floats, head, input }) => {
    const c = conv('c', input, [3, 3, 4], 1, 'Relu');
    return head(g.node('Add', 'a', [g.node('Mul', 'm', [c, floats('k', 4)]), floats('b', 4)]));
  },
  'a bias on a convolution that two nodes read': ({ g, plain, floats, head, input }) => {
    const c = plain('c', input, [3, 3, 4]);
    const b = g.node('AddV2', 'b', [c, floats('bias', 4)]);
    return head(g.node('AddV2', 'a', [b, g.node('Relu', 'r', [c])]));
  },
  'a depthwise convolution and a bias by AddV2': ({ g, first, floats, window, head }) => {
    const d = g.node('DepthwiseConv2dNative', 'd', [first(), floats('dw', 3, 3, 4, 1)], window(1, 'SAME'));
    return head(g.node('Relu', 'r', [g.node('AddV2', 'b', [d, floats('bias', 1, 1, 1, 4)])]));
  },
  'two heads, reshaped and joined': ({ g, first, conv, integers }) => {
    const c0 = first();
    const anchors = (name: string, from: string, count: number) =>
      g.node('Reshape', name, [conv(`${name}c`, from, [1, 4, 2]), integers(`${name}s`, [1, count, 2])]);
    const a = anchors('ra', c0, 36);
    const b = anchors('rb', conv('c1', c0, [3, 4, 4], 2, 'Relu'), 9);
    return g.node('ConcatV2', 'cat', [a, b, g.constant('axis', [], Int32Array.of(1))], { N: 2 });
  },
  'Max over the image': ({ g, first, integers, dense }) =>
    dense(g.node('Max', 'mx', [first(), integers('ax', [1, 2])], { keep_dims: false }), 4, 2),
  'the image as 2x - 1': ({ g, input, scalar, conv, head }) => {
    const m = g.node('Mul', 'm', [input, scalar('two', 2)]);
    return head(conv('c0', g.node('Sub', 's', [m, scalar('one', 1)]), [3, 3, 4]));
  },
  LeakyRelu: ({ g, first, head }) => head(g.node('LeakyRelu', 'l', [first()], { alpha: { float: 0.2 } })),
  'Minimum and Maximum as ReLU6': ({ g, first, scalar, head }) => {
    const low = g.node('Minimum', 'mi', [g.node('Relu', 'r', [first()]), scalar('six', 6)]);
    return head(g.node('Maximum', 'ma', [low, scalar('zero', 0)]));
  },
  'a batch norm taken apart, ReLU6': ({ g, plain, floats, head, input }) => {
    const m = g.node('Mul', 'm', [plain('c', input, [3, 3, 4]), floats('k', 4)]);
    return head(g.node('Relu6', 'r', [g.node('Add', 'a', [m, floats('b', 4)])]));
  },
  'Pad before a max pool': ({ g, first, integers, window, head }) => {
    const r = g.node('Relu', 'r', [first()]);
    const p = g.node('Pad', 'p', [r, integers('pads', [0, 0, 1, 1, 1, 1, 0, 0], 4, 2)]);
    return head(g.node('MaxPool', 'mp', [p], window(2, 'VALID', 3)));
  },
  'channels padded as a shortcut': ({ g, first, integers, window, conv, head }) => {
    const c0 = first();
    const mp = g.node('MaxPool', 'mp', [c0], window(2, 'SAME', 2));
    const pc = g.node('Pad', 'pc', [mp, integers('pads', [0, 0, 0, 0, 0, 0, 0, 2], 4, 2)]);
    return head(g.node('Relu', 'r', [g.node('AddV2', 'a', [conv('c1', c0, [3, 4, 6], 2), pc])]), 6);
  },
  'a fused PReLU': ({ g, floats, window, fused, head, input }) =>
    head(
      g.node(
        '_FusedConv2D',
        'c0',
        [input, floats('w', 3, 3, 3, 4), floats('b', 4), floats('slope', 1, 1, 4)],
        {
          ...window(1, 'SAME'),
          ...fused('Prelu', 1),
        },
      ),
    ),
  'ResizeBilinear with aligned corners': ({ g, first, integers, plain, head }) => {
    const up = g.node('ResizeBilinear', 'up', [first(), integers('size', [12, 12])], {
      align_corners: true,
      half_pixel_centers: false,
    });
    return head(plain('c1', up, [3, 4, 4], 2, 'VALID'));
  },
  'ResizeBilinear with half pixel centres': ({ g, first, integers, plain, head }) => {
    const up = g.node('ResizeBilinear', 'up', [first(), integers('size', [12, 12])], {
      align_corners: false,
      half_pixel_centers: true,
    });
    return head(plain('c1', up, [3, 4, 4], 2, 'VALID'));
  },
  'a Sigmoid as the output': ({ g, first, mean, dense }) =>
    g.node('Sigmoid', 'sg', [dense(mean(first()), 4, 1)]),
  'a Softmax between two products': ({ g, first, mean, dense, floats }) =>
    g.node('MatMul', 'fc2', [g.node('Softmax', 'sm', [dense(mean(first()), 4, 3)]), floats('w2', 3, 2)], {
      transpose_a: false,
      transpose_b: false,
    }),
  'a dilated convolution by SpaceToBatchND': ({ g, first, integers, floats, window, head }) => {
    const blocks = integers('bs', [2, 2]);
    const sb = g.node('SpaceToBatchND', 'sb', [first(), blocks, integers('pd', [2, 2, 2, 2], 2, 2)]);
    const d = g.node('DepthwiseConv2dNative', 'd', [sb, floats('dw', 3, 3, 4, 1)], window(1, 'VALID'));
    return head(
      g.node('BatchToSpaceND', 'bs2', [d, integers('bs3', [2, 2]), integers('cr', [0, 0, 0, 0], 2, 2)]),
    );
  },
  'a transposed convolution': ({ g, first, integers, floats, window, head }) =>
    head(
      g.node(
        'Conv2DBackpropInput',
        't',
        [integers('os', [1, 12, 12, 2]), floats('tw', 2, 2, 2, 4), first()],
        window(2, 'SAME'),
      ),
      2,
    ),
};

interface Case {
  build: (t: Tools) => string;
  shape: number[];
  input?: string;
}
const cases: Record<string, Case> = {
  ...Object.fromEntries(
    Object.entries(graphs).map(([name, build]) => [name, { build, shape: [1, 6, 6, 3] }]),
  ),
  'a placeholder named input': {
    build: ({ first, head }) => head(first()),
    shape: [1, 6, 6, 3],
    input: 'input',
  },
  'an output of every pixel': { build: ({ first }) => first(), shape: [1, 6, 6, 3] },
  'channels first, transposed': {
    build: ({ g, input, integers, plain, mean }) => {
      const t = g.node('Transpose', 't', [input, integers('p', [0, 2, 3, 1])]);
      return mean(
        g.node('Transpose', 't2', [plain('c', t, [3, 3, 4]), integers('p2', [0, 3, 1, 2])]),
        [2, 3],
      );
    },
    shape: [1, 3, 6, 6],
  },
};

function load({ build, shape, input = 'image' }: Case) {
  const g = graphDef(input, shape);
  build(tools(g, input));
  return g.load({ tf });
}

describe('computed as tfjs does', () => {
  test.each(Object.keys(cases))('%s', async (name) => {
    await graphAsTfjs(await load(cases[name]));
  });
});

describe('computed as tfjs does, in sessions', () => {
  const gpu = useRuntime();
  test.each(Object.keys(cases))('%s', async (name) => {
    const { shape } = cases[name];
    const graph = await load(cases[name]);
    const random = seeded(4);
    const x = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random.next());
    const want = (graph.predict(tf.tensor(x, shape)) as tf.Tensor).dataSync() as Float32Array;
    const session = await compile(gpu.runtime, await fromGraphModel(graph), { batch: 1 });
    const [input, output] = [session.inputs[0].name, session.outputs[0].name];
    const outputs = await session.run({ [input]: { dtype: 'float32', dims: shape, data: x } });
    const got = outputs[output].data as Float32Array;
    session.destroy();
    expect(got.length).toBe(want.length);
    expect(furthest(got, want)).toBeLessThan(1e-4);
  });
});
