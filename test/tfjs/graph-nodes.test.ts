// Every TensorFlow operation that the reader takes, a graph each, held to what tfjs computes of it on its CPU backend, by the
// host's twins and in sessions.
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, test } from 'vitest';
import { fromGraphModel } from '../../src/tfjs/index.ts';
import { graphDef } from '../support/graph-def.ts';
import { interpretGraph } from '../support/interpret-graph.ts';
import { seeded, useRuntime } from '../support/runtime.ts';
import { graphAsTfjs, operatorsOf, type Sizes } from '../support/tfjs-witness.ts';

const gpu = useRuntime();
const random = seeded(19);
beforeAll(async () => {
  await tf.setBackend('cpu');
});

const sizeOf = (dims: readonly number[]) => dims.reduce((a, b) => a * b, 1);

/** A graph under construction with inputs x and y, [2, 3, 4, 6] unless told, and constants by a word each. */
function tools(shape: number[] = [-1, 3, 4, 6]) {
  const g = graphDef('x', shape);
  let count = 0;
  const own = (kind: string) => `${kind}${count++}`;
  return {
    g,
    x: 'x',
    y: () => g.input('y', shape),
    ints: (values: number[], ...dims: number[]) =>
      g.constant(own('ints'), dims.length > 0 ? dims : [values.length], Int32Array.from(values)),
    int: (value: number) => g.constant(own('int'), [], Int32Array.of(value)),
    float: (value: number) => g.constant(own('float'), [], Float32Array.of(value)),
    floats: (...dims: number[]) => g.constant(own('floats'), dims, random.floats(sizeOf(dims), 0.5)),
    node: (op: string, inputs: string[], attributes: Parameters<typeof g.node>[3] = {}) =>
      g.node(op, own(op.toLowerCase()), inputs, attributes),
  };
}
type Tools = ReturnType<typeof tools>;
type Build = (t: Tools) => unknown;

async function check(build: Build, shape?: number[], sizes: Sizes = {}) {
  const t = tools(shape);
  build(t);
  return graphAsTfjs(await t.g.load({ tf }), {
    draw: (own) => own.next() * 2 - 1,
    runtime: gpu.runtime,
    ...sizes,
  });
}

describe('functions of each element', () => {
  const any =
    'Abs Neg Exp Floor Ceil Round Sign Sin Cos Tan Atan Sinh Cosh Asinh Erf Tanh Sigmoid Softplus Relu Relu6 Elu Selu';
  test.each(`${any} Square Softmax LogSoftmax Expm1 Identity`.split(' '))('%s', async (op) => {
    await check(({ node, x }) => node(op, [x]), undefined, { draw: (own) => own.next() * 8 - 4 });
  });
  test.each('Log Sqrt Rsqrt Reciprocal Log1p'.split(' '))('%s of what is above zero', async (op) => {
    await check(({ node, x }) => node(op, [x]), undefined, { draw: (own) => own.next() + 0.2 });
  });
  test.each('Asin Acos Atanh'.split(' '))('%s of what is below one', async (op) => {
    await check(({ node, x }) => node(op, [x]), undefined, { draw: (own) => own.next() * 1.8 - 0.9 });
  });
  test('Acosh of what is above one', async () => {
    await check(({ node, x }) => node('Acosh', [x]), undefined, { draw: (own) => 1 + own.next() * 5 });
  });
  test('Round takes ties to even numbers', async () => {
    await check(({ node, x }) => node('Round', [x]), [24], { draw: (own) => own.integer(-9, 9) / 2 });
  });
  test('IsNan, IsInf, IsFinite', async () => {
    for (const op of ['IsNan', 'IsInf', 'IsFinite']) {
      const odd = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 1e30];
      await check(({ node, x }) => node(op, [x]), [40], { draw: (own) => odd[own.integer(0, 4)] });
    }
  });
  test('LeakyRelu, Prelu, ClipByValue', async () => {
    await check(({ node, x }) => node('LeakyRelu', [x], { alpha: { float: 0.3 } }));
    await check(({ node, x, floats }) => node('Prelu', [x, floats(6)]));
    await check(({ node, x, floats }) => node('Prelu', [x, floats(1, 4, 1)]));
    await check(({ node, x, float }) => node('ClipByValue', [x, float(-0.25), float(0.5)]));
    await check(({ node, x, ints }) => {
      const [low, high] = ['ReduceMin', 'ReduceMax'].map((op) =>
        node(op.slice(6), [x, ints([0, 1, 2, 3])], { keep_dims: false }),
      );
      const half = node('Mul', [high, node('Abs', [low])]);
      return node('ClipByValue', [x, low, half]);
    });
  });
  test('of integers', async () => {
    for (const op of ['Abs', 'Neg', 'Sign', 'Square', 'Relu']) {
      await check(({ node, g, int }) => node(op, [node('Sub', [g.input('n', [-1, 5], 'DT_INT32'), int(2)])]));
    }
  });
  test.each(['DT_FLOAT', 'DT_INT32', 'DT_BOOL'])('Cast to %s from each', async (type) => {
    await check(({ node, g, x }) => {
      const draw = node('Mul', [x, g.constant('big', [], Float32Array.of(3))]);
      return [draw, g.input('n', [4], 'DT_INT32'), g.input('b', [4], 'DT_BOOL')].map((from) =>
        node('Cast', [from], { DstT: { type } }),
      );
    });
  });
});

describe('functions of two', () => {
  const ops =
    'Add AddV2 Sub Mul Maximum Minimum SquaredDifference Equal NotEqual Less LessEqual Greater GreaterEqual';
  test.each(ops.split(' '))('%s, of tensors and constants on either side', async (op) => {
    await check(({ node, x, y, floats, float }) => {
      const other = y();
      const [a, b] = [floats(6), floats(3, 1, 1)];
      return [
        node(op, [x, other]),
        node(op, [x, a]),
        node(op, [b, x]),
        node(op, [x, float(0.25)]),
        node(op, [float(0), x]),
      ];
    });
  });
  test.each(['RealDiv', 'Div', 'FloorDiv', 'Mod', 'FloorMod', 'DivNoNan', 'Pow'])('%s', async (op) => {
    await check(
      ({ node, x, y, float, floats }) => [
        node(op, [x, y()]),
        node(op, [x, float(1.5)]),
        node(op, [node('Square', [floats(6)]), x]),
      ],
      undefined,
      { draw: (own) => own.next() + 0.25 },
    );
  });
  test('quotients and rests of integers go down', async () => {
    for (const op of ['Div', 'RealDiv', 'FloorDiv', 'Mod', 'FloorMod']) {
      await check(({ node, g, ints, int }) => {
        const n = node('Sub', [node('Mul', [g.input('n', [6, 4], 'DT_INT32'), int(3)]), int(5)]);
        return [
          node(op, [n, ints([2, -3, 5, -1])]),
          node(op, [ints([7, -7, 1, -2]), node('AddV2', [n, int(9)])]),
        ];
      });
    }
  });
  test('Atan2 in every eighth of a turn', async () => {
    await check(({ node, x, y }) => node('Atan2', [x, y()]), [4, 40], { draw: (own) => own.integer(-4, 4) });
  });
  test('DivNoNan by zero is zero', async () => {
    await check(({ node, x, y }) => node('DivNoNan', [x, node('Floor', [y()])]));
  });
  test('integers beside floats become floats', async () => {
    await check(({ node, x, g }) => node('Mul', [x, g.input('n', [6], 'DT_INT32')]));
  });
  test('a bound of zero, of six, of a vector', async () => {
    for (const op of ['Maximum', 'Minimum']) {
      for (const limit of [0, 6, -0.5]) {
        await check(({ node, x, float }) => node(op, [float(limit), x]), undefined, {
          draw: (own) => own.next() * 16 - 4,
        });
      }
      await check(({ node, x, g }) =>
        node(op, [x, g.constant('one', [1, 1, 1, 1, 1], Float32Array.of(0.5))]),
      );
    }
  });
  test('AddN of one, two and five', async () => {
    for (const n of [1, 2, 5]) {
      await check(({ node, x, y }) => {
        const two = [x, y()];
        const parts = Array.from({ length: n }, (_, i) => (i < 2 ? two[i] : node('Abs', [two[i % 2]])));
        return node('AddN', parts, { N: n });
      });
    }
  });
  test('BiasAdd of channels first and last', async () => {
    await check(({ node, x, floats }) => node('BiasAdd', [x, floats(6)], { data_format: 'NHWC' }));
    const t = tools();
    t.node('BiasAdd', [t.x, t.floats(3)], { data_format: 'NCHW' });
    const { graph, parameters } = await fromGraphModel(await t.g.load({ tf }));
    const shapes = graph.nodes.flatMap(({ inputs }) => inputs.map((name) => parameters.get(name!)?.dims));
    expect(shapes).toContainEqual([3]);
    expect(graph.nodes.map(({ op }) => op)).toEqual(['Unsqueeze', 'Add']);
  });
  test('logic, and a choice between two', async () => {
    await check(({ node, g, x, y, floats, float }) => {
      const [a, b] = ['a', 'b'].map((name) => g.input(name, [3, 4, 6], 'DT_BOOL'));
      const other = y();
      return [
        node('LogicalAnd', [a, b]),
        node('LogicalOr', [a, b]),
        node('LogicalNot', [a]),
        node('SelectV2', [a, x, other]),
        node('Select', [node('Greater', [x, other]), x, other]),
        node('SelectV2', [node('Less', [x, float(0)]), floats(6), float(0)]),
      ];
    });
  });
});

describe('reductions', () => {
  const all = 'Mean Sum Max Min Prod'.split(' ');
  test.each(all)('%s over any axes', async (op) => {
    await check(({ node, x, ints }) =>
      [[1, 2], [-1], [0, 2, 3], [0, 1, 2, 3], [3, 1]].flatMap((axes) =>
        [true, false].map((keep_dims) => node(op, [x, ints(axes)], { keep_dims })),
      ),
    );
  });
  test('EuclideanNorm', async () => {
    await check(({ node, x, ints }) =>
      [1, 3].map((axis) => node('EuclideanNorm', [x, ints([axis])], { keep_dims: axis === 1 })),
    );
  });
  test('All and Any', async () => {
    await check(({ node, g, ints }) => {
      const a = g.input('a', [3, 4, 5], 'DT_BOOL');
      return ['All', 'Any'].flatMap((op) => [
        node(op, [a, ints([1])], { keep_dims: false }),
        node(op, [a, ints([0, 2])], { keep_dims: true }),
      ]);
    });
  });
  test('of integers', async () => {
    await check(({ node, g, ints }) => {
      const n = g.input('n', [3, 4], 'DT_INT32');
      return ['Mean', 'Sum', 'Max', 'Min', 'Prod'].map((op) =>
        node(op, [n, ints([1])], { keep_dims: false }),
      );
    });
  });
  test('over axes that the graph computes of a rank', async () => {
    await check(({ node, x, int }) => {
      const axes = node('Range', [int(1), node('Rank', [x]), int(1)], { Tidx: { type: 'DT_INT32' } });
      return node('Mean', [x, axes], { keep_dims: false });
    });
  });
  test('ArgMax and ArgMin: of equals the first', async () => {
    await check(
      ({ node, x, int }) =>
        ['ArgMax', 'ArgMin'].flatMap((op) => [1, -1].map((axis) => node(op, [x, int(axis)]))),
      undefined,
      { draw: (own) => own.integer(0, 2) },
    );
  });
});

describe('moves', () => {
  test('ConcatV2 along any axis, constants among them', async () => {
    await check(({ node, x, y, floats, int }) => {
      const other = y();
      return [
        node('ConcatV2', [x, other, int(1)], { N: 2 }),
        node('ConcatV2', [x, other, x, int(-1)], { N: 3 }),
        node('ConcatV2', [node('ConcatV2', [x, other, int(0)], { N: 2 }), floats(1, 3, 4, 6), int(0)], {
          N: 2,
        }),
      ];
    });
  });
  test('Pack and Unpack', async () => {
    await check(({ node, x, y }) => {
      const other = y();
      for (const axis of [0, 2, -1]) node('Pack', [x, other], { axis, N: 2 });
      const parts = node('Unpack', [x], { axis: 1, num: 3 });
      node('Identity', [`${parts}:2`]);
      node('Sub', [`${parts}:1`, parts]);
      const last = node('Unpack', [x], { axis: -1, num: 6 });
      return node('Identity', [`${last}:5`]);
    });
  });
  test('Split and SplitV', async () => {
    await check(({ node, x, int, ints }) => {
      const even = node('Split', [int(-1), x], { num_split: 3 });
      node('Sub', [`${even}:2`, `${even}:1`]);
      for (const sizes of [
        [1, 5],
        [2, -1, 1],
        [3, 1, -1],
      ]) {
        const parts = node('SplitV', [x, ints(sizes), int(3)], { num_split: sizes.length });
        sizes.map((_, i) => node('Identity', [i === 0 ? parts : `${parts}:${i}`]));
      }
    });
  });
  test('Slice, with sizes to the end', async () => {
    await check(({ node, x, ints }) => [
      node('Slice', [x, ints([0, 1, 0, 2]), ints([-1, 2, -1, 3])]),
      node('Slice', [x, ints([0, 0, 3, 0]), ints([1, -1, -1, 6])]),
      node('Slice', [x, ints([0, 0, 0, 0]), ints([-1, -1, -1, -1])]),
    ]);
  });
  test('Slice by what the graph computes', async () => {
    await check(({ node, x, ints }) => {
      const size = node('Sub', [node('Shape', [x]), ints([0, 1, 0, 2])]);
      return node('Slice', [x, ints([0, 1, 0, 2]), size]);
    });
  });
  const masks = { begin_mask: 0, end_mask: 0, ellipsis_mask: 0, new_axis_mask: 0, shrink_axis_mask: 0 };
  test.each<[string, number[], number[], number[], Partial<typeof masks>]>([
    ['plain', [0, 1, 1, 2], [2, 3, 4, 5], [1, 1, 1, 1], {}],
    ['steps, backwards too', [0, 2, 3, 5], [2, 0, 0, 0], [1, -1, -2, -3], {}],
    ['open ends', [1, 9, 1, 9], [9, 2, 9, -1], [1, 1, 2, 1], { begin_mask: 0b1010, end_mask: 0b0101 }],
    [
      'open ends backwards',
      [0, 0, 0, 0],
      [0, 0, 0, 0],
      [1, -1, -2, -1],
      { begin_mask: 0b1111, end_mask: 0b1111 },
    ],
    ['an ellipsis', [0, 0, 1], [1, 0, 4], [1, 1, 1], { ellipsis_mask: 0b010 }],
    ['axes that go', [0, 1, -1], [1, 2, 0], [1, 1, 1], { shrink_axis_mask: 0b111 }],
    [
      'new axes',
      [0, 0, 0, 1],
      [0, 0, 0, 3],
      [1, 1, 1, 1],
      { new_axis_mask: 0b0001, begin_mask: 0b0110, end_mask: 0b0110 },
    ],
    [
      'an ellipsis between new axes and axes that go',
      [0, 0, 0, 0, -1],
      [0, 1, 0, 0, 0],
      [1, 1, 1, 1, 1],
      { new_axis_mask: 0b01001, ellipsis_mask: 0b00100, shrink_axis_mask: 0b10010 },
    ],
  ])('StridedSlice: %s', async (_, begin, end, strides, own) => {
    await check(({ node, x, ints }) =>
      node('StridedSlice', [x, ints(begin), ints(end), ints(strides)], { ...masks, ...own }),
    );
    // The same bounds, computed.
    await check(({ node, x, ints, g }) => {
      const zero = node('Mul', [g.input('n', [begin.length], 'DT_INT32'), ints(begin.map(() => 0))]);
      const size = node('Sub', [node('Shape', [zero]), ints([begin.length])]);
      const moved = (values: number[]) => node('AddV2', [ints(values), size]);
      return node('StridedSlice', [x, moved(begin), moved(end), ints(strides)], { ...masks, ...own });
    });
  });
  test('Pad, PadV2 and MirrorPad', async () => {
    await check(({ node, x, ints, float }) => {
      const pads = ints([0, 0, 1, 2, 0, 1, 2, 0], 4, 2);
      return [
        node('Pad', [x, pads]),
        node('PadV2', [x, pads, float(-2)]),
        node('MirrorPad', [x, pads], { mode: 'REFLECT' }),
        node('MirrorPad', [x, pads], { mode: 'SYMMETRIC' }),
        node('Pad', [x, ints([0, 0, 0, 0, 0, 0, 0, 0], 4, 2)]),
      ];
    });
  });
  test('Pad by what the graph computes', async () => {
    await check(({ node, x, ints }) => {
      const width = node('StridedSlice', [node('Shape', [x]), ints([2]), ints([3]), ints([1])], masks);
      const none = node('Sub', [width, ints([4])]);
      const rows = node('Reshape', [node('AddV2', [ints([0, 0, 1, 2, 0, 1, 2, 0]), none]), ints([4, 2])]);
      return node('Pad', [x, rows]);
    });
  });
  test('Transpose, Reshape, Squeeze, ExpandDims', async () => {
    await check(({ node, x, ints, int }) => {
      const one = node('ExpandDims', [x, int(2)]);
      return [
        node('Transpose', [x, ints([2, 0, 3, 1])]),
        node('Reshape', [x, ints([-1, 6, 4])]),
        node('Squeeze', [one], { squeeze_dims: [2] }),
        node('Squeeze', [node('ExpandDims', [one, int(-1)])]),
        node('ExpandDims', [x, int(-2)]),
      ];
    });
  });
  test('Reshape to sizes that the graph computes', async () => {
    await check(({ node, x, ints, int }) => {
      const shape = node('Shape', [x]);
      const [batch, height] = [0, 1].map((at) =>
        node('StridedSlice', [shape, ints([at]), ints([at + 1]), ints([1])], {
          ...masks,
          shrink_axis_mask: 1,
        }),
      );
      const rest = node('Prod', [node('Slice', [shape, ints([2]), ints([-1])]), ints([0])], {
        keep_dims: true,
      });
      return [
        node('Reshape', [x, node('Pack', [batch, int(-1)], { axis: 0, N: 2 })]),
        node('Reshape', [
          x,
          node('ConcatV2', [node('Pack', [batch, height], { axis: 0, N: 2 }), rest, int(0)], { N: 2 }),
        ]),
      ];
    });
  });
  test('Tile, BroadcastTo, Fill, ZerosLike, OnesLike, Range', async () => {
    await check(({ node, x, ints, floats, float, int }) => [
      node('Tile', [x, ints([1, 2, 1, 3])]),
      node('BroadcastTo', [floats(4, 1), ints([3, 4, 5])]),
      node('BroadcastTo', [floats(6), node('Shape', [x])]),
      node('Fill', [node('Shape', [x]), float(2.5)]),
      node('ZerosLike', [x]),
      node('OnesLike', [x]),
      node('Range', [int(2), node('Size', [x]), int(7)], { Tidx: { type: 'DT_INT32' } }),
    ]);
  });
  test('Shape, Size and Rank', async () => {
    await check(({ node, x }) => ['Shape', 'Size', 'Rank'].map((op) => node(op, [x])));
  });
  test('Gather, GatherV2, GatherNd', async () => {
    await check(({ node, x, ints, int, g, floats }) => {
      const at = g.input('at', [2, 3], 'DT_INT32');
      return [
        node('GatherV2', [x, ints([2, 0, 1, 1]), int(1)], { batch_dims: 0 }),
        node('GatherV2', [floats(4, 5), at, int(0)], { batch_dims: 0 }),
        node('GatherV2', [x, at, int(-1)], { batch_dims: 0 }),
        node('Gather', [floats(4), at]),
        node('GatherNd', [x, ints([1, 2, 0, 0, 1, 3], 2, 3)]),
        node('GatherNd', [floats(4, 4, 4, 2), at]),
      ];
    });
  });
  test('GatherV2 in batches', async () => {
    await check(({ node, x, int, g }) => {
      const at = g.input('at', [-1, 5], 'DT_INT32');
      const more = g.input('more', [-1, 3, 2], 'DT_INT32');
      return [
        node(
          'GatherV2',
          [node('Pad', [x, g.constant('p', [4, 2], Int32Array.of(0, 0, 0, 1, 0, 0, 0, 0))]), at, int(1)],
          {
            batch_dims: 1,
          },
        ),
        node('GatherV2', [x, more, int(2)], { batch_dims: 2 }),
      ];
    });
  });
  test('Select of the first version takes one condition a row', async () => {
    const t = tools([2, 3]);
    t.node('Select', [t.g.input('rows', [2], 'DT_BOOL'), t.x, t.node('Neg', [t.x])]);
    const model = await fromGraphModel(await t.g.load({ tf }));
    const x = { dtype: 'float32', dims: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) } as const;
    const picked = { dtype: 'bool', dims: [2], data: Uint8Array.of(0, 1) } as const;
    const got = interpretGraph(model, { x, rows: picked });
    expect(got[model.graph.outputs[0]].data).toEqual(Float32Array.of(-1, -2, -3, 4, 5, 6));
  });
  test('SparseToDense of constant positions', async () => {
    await check(({ node, x, ints, float }) => [
      node('SparseToDense', [
        ints([0, 1, 2, 0, 1, 3], 3, 2),
        ints([3, 4]),
        node('Slice', [node('Reshape', [x, ints([-1])]), ints([0]), ints([3])]),
        float(-1),
      ]),
    ]);
  });
  test('ReverseV2, OneHot', async () => {
    await check(({ node, x, ints, int, float, g }) => [
      node('ReverseV2', [x, ints([1, -1])]),
      node('OneHot', [g.input('n', [5], 'DT_INT32'), int(4), float(2), float(-1)], {
        axis: -1,
        T: { type: 'DT_FLOAT' },
      }),
    ]);
  });
  test('TopKV2, its values and its places', async () => {
    await check(({ node, x, int }) => {
      const best = node('TopKV2', [x, int(3)], { sorted: true });
      return [node('Abs', [best]), node('Abs', [`${best}:1`])];
    });
  });
  test('Cumsum both ways, its own element in it or not', async () => {
    for (const [exclusive, reverse] of [
      [false, false],
      [true, false],
      [false, true],
      [true, true],
    ])
      await check(({ node, x, int }) => node('Cumsum', [x, int(2)], { exclusive, reverse }));
  });
  test('ScatterNd sums what meets, TensorScatterUpdate replaces', async () => {
    await check(({ node, x, ints }) => node('ScatterNd', [ints([0, 2, 0], 3, 1), x, ints([4, 5])]), [3, 5]);
    await check(
      ({ node, x, y, ints }) => {
        const rows = node('Slice', [y(), ints([0, 0]), ints([2, -1])]);
        return node('TensorScatterUpdate', [x, ints([2, 0], 2, 1), rows]);
      },
      [3, 5],
    );
  });
  test('MatrixBandPart as wide on both sides, LinSpace', async () => {
    for (const [below, above] of [
      [0, 0],
      [1, 1],
      [3, 3],
    ])
      await check(({ node, x, int }) => node('MatrixBandPart', [x, int(below), int(above)]), [-1, 5, 6]);
    await check(({ node, x, float, int }) =>
      node('Mul', [x, node('LinSpace', [float(-1), float(2), int(6)])]),
    );
  });
  test('SpaceToBatchND and BatchToSpaceND, blocks and sides of every kind', async () => {
    await check(({ node, x, ints }) => {
      const block = ints([2, 3]);
      const s = node('SpaceToBatchND', [x, block, ints([1, 0, 1, 1], 2, 2)]);
      const r = node('Relu', [s]);
      return [node('BatchToSpaceND', [r, block, ints([0, 1, 2, 1], 2, 2)]), node('Abs', [s])];
    });
    await check(({ node, x, ints }) => node('SpaceToBatchND', [x, ints([3]), ints([1, 2], 1, 2)]));
  });
});

describe('products', () => {
  test('MatMul, transposed on either side, of constants and of tensors', async () => {
    for (const [transpose_a, transpose_b] of [
      [false, false],
      [true, false],
      [false, true],
      [true, true],
    ]) {
      await check(
        ({ node, x, g, floats }) => {
          const other = g.input('other', transpose_b ? [4, 5] : [5, 4]);
          const a = transpose_a ? node('Transpose', [x, g.constant('p', [2], Int32Array.of(1, 0))]) : x;
          return [
            node('MatMul', [a, floats(...(transpose_b ? [4, 5] : [5, 4]))], { transpose_a, transpose_b }),
            node('MatMul', [a, other], { transpose_a, transpose_b }),
          ];
        },
        [-1, 5],
      );
    }
  });
  test('BatchMatMulV2, broadcast and transposed', async () => {
    await check(({ node, x, g, floats }) => {
      const other = g.input('other', [-1, 3, 5, 6]);
      return [
        node('BatchMatMulV2', [x, other], { adj_x: false, adj_y: true }),
        node('BatchMatMulV2', [x, floats(6, 2)], { adj_x: false, adj_y: false }),
        node('BatchMatMul', [x, x], { adj_x: true, adj_y: false }),
      ];
    });
  });
  test.each(['Relu', 'Relu6', 'Elu', 'Sigmoid', 'LeakyRelu', 'Prelu', 'none'])(
    '_FusedMatMul with %s',
    async (kind) => {
      await check(
        ({ node, x, floats }) =>
          node('_FusedMatMul', [x, floats(5, 3), floats(3), ...(kind === 'Prelu' ? [floats(3)] : [])], {
            transpose_a: false,
            transpose_b: false,
            fused_ops: kind === 'none' ? ['BiasAdd'] : ['BiasAdd', kind],
            num_args: kind === 'Prelu' ? 2 : 1,
            leakyrelu_alpha: { float: 0.3 },
          }),
        [-1, 5],
      );
    },
  );
  test.each<[string, number[], number[]]>([
    ['ij,jk->ik', [3, 4], [4, 5]],
    ['bij,bjk->bik', [2, 3, 4], [2, 4, 5]],
    ['bhqd,bhkd->bhqk', [2, 3, 4, 5], [2, 3, 6, 5]],
    ['abc,cde->abde', [2, 3, 4], [4, 5, 2]],
    ['bqhd,bkhd->bhqk', [2, 4, 3, 5], [2, 6, 3, 5]],
    ['abcd,cde->abe', [2, 3, 4, 5], [4, 5, 6]],
    ['ij,ij->i', [3, 4], [3, 4]],
    ['i,j->ij', [3], [4]],
  ])('Einsum %s', async (equation, left, right) => {
    await check(
      ({ node, x, g }) => node('Einsum', [x, g.input('y', right)], { equation, N: 2 }),
      [-1, ...left.slice(1)],
      {
        shapes: { x: left },
      },
    );
  });
});

describe('images', () => {
  const window = (stride: number, padding: string, ksize?: [number, number]) => ({
    strides: [1, stride, stride, 1],
    dilations: [1, 1, 1, 1],
    padding,
    data_format: 'NHWC',
    ...(ksize && { ksize: [1, ...ksize, 1] }),
  });
  const image = [-1, 7, 6, 3];
  test('Conv2D of every stride, padding and dilation', async () => {
    for (const [stride, dilation] of [
      [1, 1],
      [2, 1],
      [3, 1],
      [1, 2],
    ]) {
      for (const padding of ['SAME', 'VALID']) {
        await check(
          ({ node, x, floats }) =>
            [floats(3, 2, 3, 4), floats(1, 1, 3, 2)].map((filter) =>
              node('Conv2D', [x, filter], {
                ...window(stride, padding),
                dilations: [1, dilation, dilation, 1],
              }),
            ),
          image,
        );
      }
    }
  });
  test('Conv2D of a filter that the graph computes', async () => {
    await check(
      ({ node, x, floats, g }) => [
        node('Conv2D', [x, node('Mul', [floats(3, 3, 3, 2), floats(2)])], window(1, 'SAME')),
        node('Conv2D', [x, node('Abs', [g.input('w', [2, 2, 3, 2])])], window(2, 'VALID')),
      ],
      image,
    );
  });
  test('depthwise, with and without a multiplier', async () => {
    for (const [stride, multiplier] of [
      [1, 1],
      [2, 2],
    ]) {
      await check(
        ({ node, x, floats }) =>
          ['DepthwiseConv2dNative', 'DepthwiseConv2d'].map((op) =>
            node(op, [x, floats(3, 3, 3, multiplier)], {
              ...window(stride, 'SAME'),
              dilations: [1, 1, 1, 1],
            }),
          ),
        image,
      );
    }
  });
  test.each(['Relu', 'Relu6', 'Elu', 'Sigmoid', 'LeakyRelu', 'Prelu', 'none'])(
    'fused with a bias and %s',
    async (kind) => {
      const attributes = {
        dilations: [1, 1, 1, 1],
        fused_ops: kind === 'none' ? ['BiasAdd'] : ['BiasAdd', kind],
        num_args: kind === 'Prelu' ? 2 : 1,
        leakyrelu_alpha: { float: 0.3 },
        epsilon: { float: 0.001 },
      };
      await check(({ node, x, floats }) => {
        const slope = kind === 'Prelu' ? [floats(3)] : [];
        node('_FusedConv2D', [x, floats(3, 3, 3, 3), floats(3), ...slope], {
          ...window(2, 'SAME'),
          ...attributes,
        });
        // tfjs leaves the slope of a depthwise one unread.
        if (kind === 'LeakyRelu') return;
        node('FusedDepthwiseConv2dNative', [x, floats(3, 3, 3, 1), floats(3), ...slope], {
          ...window(1, 'VALID'),
          ...attributes,
        });
      }, image);
    },
  );
  test('Conv1D and Conv3D', async () => {
    await check(
      ({ node, x, floats }) => [
        node('Conv1D', [x, floats(3, 4, 5)], { stride: 2, padding: 'SAME', data_format: 'NWC', dilation: 1 }),
        node('Conv1D', [x, floats(2, 4, 5)], {
          stride: 1,
          padding: 'VALID',
          data_format: 'NWC',
          dilation: 3,
        }),
      ],
      [-1, 9, 4],
    );
    await check(
      ({ node, x, floats }) =>
        node('Conv3D', [x, floats(2, 3, 2, 2, 3)], {
          strides: [1, 2, 1, 2, 1],
          padding: 'SAME',
          data_format: 'NDHWC',
          dilations: [1, 1, 1, 1, 1],
        }),
      [-1, 5, 6, 4, 2],
    );
  });
  test('Conv2DBackpropInput to every size that fits', async () => {
    for (const [stride, padding, kernel, sizes] of [
      [2, 'SAME', 3, [7, 8]],
      [2, 'VALID', 3, [9, 10]],
      [3, 'SAME', 2, [10, 11, 12]],
      [1, 'SAME', 3, [4]],
      [2, 'SAME', 4, [8]],
    ] as const) {
      for (const size of sizes) {
        await check(
          ({ node, x, floats, ints }) =>
            node(
              'Conv2DBackpropInput',
              [ints([2, size, size, 2]), floats(kernel, kernel, 2, 3), x],
              window(stride, padding),
            ),
          [-1, 4, 4, 3],
        );
      }
    }
  });
  test('pools, whose average leaves padding out', async () => {
    for (const op of ['MaxPool', 'AvgPool']) {
      for (const [stride, padding, ksize] of [
        [1, 'SAME', [3, 3]],
        [2, 'SAME', [3, 2]],
        [2, 'VALID', [2, 3]],
        [3, 'SAME', [2, 2]],
      ] as const) {
        await check(({ node, x }) => node(op, [x], window(stride, padding, [...ksize])), image);
      }
    }
  });
  test('FusedBatchNorm', async () => {
    for (const op of ['FusedBatchNorm', 'FusedBatchNormV2', 'FusedBatchNormV3']) {
      await check(({ node, x, floats }) => {
        const variance = node('Square', [floats(3)]);
        return node(op, [x, floats(3), floats(3), floats(3), variance], { epsilon: { float: 0.01 } });
      }, image);
    }
  });
  test.each(['ResizeBilinear', 'ResizeNearestNeighbor'])(
    '%s, smaller and larger, by every rule',
    async (op) => {
      for (const [align_corners, half_pixel_centers] of [
        [false, false],
        [true, false],
        [false, true],
      ]) {
        await check(
          ({ node, x, ints }) =>
            [
              [14, 12],
              [3, 4],
              [9, 13],
              [1, 1],
            ].map((size) => node(op, [x, ints(size)], { align_corners, half_pixel_centers })),
          image,
        );
      }
    },
  );
  test('DepthToSpace', async () => {
    await check(
      ({ node, x }) => node('DepthToSpace', [x], { block_size: 2, data_format: 'NHWC' }),
      [-1, 3, 2, 12],
    );
  });
  test('SpaceToDepth undoes DepthToSpace', async () => {
    const t = tools([-1, 3, 2, 8]);
    const deep = t.node('DepthToSpace', [t.x], { block_size: 2, data_format: 'NHWC' });
    t.node('SpaceToDepth', [deep], { block_size: 2, data_format: 'NHWC' });
    const model = await fromGraphModel(await t.g.load({ tf }));
    const data = random.floats(96, 1);
    const got = interpretGraph(model, { x: { dtype: 'float32', dims: [2, 3, 2, 8], data } });
    expect(got[model.graph.outputs[0]]).toMatchObject({ dims: [2, 3, 2, 8], data });
  });
  test('channels first are what channels last are, transposed', async () => {
    const made = ['NHWC', 'NCHW'].map(async (data_format) => {
      const order = (list: number[]) => (data_format === 'NHWC' ? list : [0, 3, 1, 2].map((at) => list[at]));
      const own = (stride: number) => ({ strides: order([1, stride, stride, 1]), data_format });
      const t = tools(order([-1, 6, 5, 2]));
      const { g } = t;
      const constant = (name: string, dims: number[]) =>
        g.constant(name, dims, seeded(dims.length + dims.at(-1)!).floats(sizeOf(dims), 0.5));
      let x = g.node('Conv2D', 'c', ['x', constant('w', [3, 2, 2, 4])], {
        ...own(2),
        padding: 'EXPLICIT',
        explicit_paddings: order([0, 2, 4, 6]).flatMap((at) => [0, 0, 1, 2, 0, 1, 0, 0].slice(at, at + 2)),
        dilations: [1, 1, 1, 1],
      });
      x = g.node('BiasAdd', 'b', [x, constant('bias', [4])], { data_format });
      x = g.node(
        'FusedBatchNormV3',
        'n',
        [x, 's', 'o', 'm', 'v'].map((name, i) => (i === 0 ? name : constant(name, [4]))),
        {
          epsilon: { float: 3 },
          data_format,
        },
      );
      x = g.node('DepthToSpace', 'd', [x], { block_size: 2, data_format });
      x = g.node('AvgPool', 'a', [x], { ...own(2), ksize: order([1, 3, 2, 1]), padding: 'SAME' });
      return fromGraphModel(await g.load({ tf }));
    });
    const [last, first] = await Promise.all(made);
    const x = tf.tensor4d(random.floats(120, 1), [2, 6, 5, 2]);
    const run = (model: typeof last, own: tf.Tensor) => {
      const input = { dtype: 'float32', dims: own.shape, data: own.dataSync() as Float32Array } as const;
      const { dims, data } = interpretGraph(model, { x: input }).a;
      return tf.tensor(data as Float32Array, [...dims]);
    };
    const [want, got] = [run(last, x), run(first, x.transpose([0, 3, 1, 2]))];
    expect([...got.transpose([0, 2, 3, 1]).dataSync()]).toEqual([...want.dataSync()]);
    expect(operatorsOf(last).filter((op) => op === 'Transpose')).toHaveLength(8);
    expect(operatorsOf(first)).not.toContain('Transpose');
  });
  test('LRN', async () => {
    await check(
      ({ node, x }) =>
        node('LRN', [x], {
          depth_radius: 2,
          bias: { float: 1.5 },
          alpha: { float: 0.3 },
          beta: { float: 0.75 },
        }),
      [-1, 3, 2, 7],
    );
  });
  test('open sizes stay symbols through everything', async () => {
    await check(
      ({ node, x, floats, ints }) => {
        const c = node('Conv2D', [x, floats(3, 3, 3, 4)], window(2, 'SAME'));
        const p = node('MaxPool', [c], window(2, 'SAME', [2, 2]));
        const s = node('SpaceToBatchND', [p, ints([2, 2]), ints([0, 0, 0, 0], 2, 2)]);
        node('LRN', [s], { depth_radius: 1, bias: { float: 1 }, alpha: { float: 1 }, beta: { float: 0.5 } });
        return node('DepthToSpace', [c], { block_size: 2, data_format: 'NHWC' });
      },
      [-1, -1, -1, 3],
      { shapes: { x: [1, 8, 16, 3] } },
    );
  });
});

test('a part of a split that is what is left may come first', async () => {
  const t = tools([2, 6]);
  const parts = t.node('SplitV', [t.x, t.ints([-1, 4, 1]), t.int(1)], { num_split: 3 });
  t.node('Identity', [`${parts}:1`]);
  const model = await fromGraphModel(await t.g.load({ tf }));
  const data = Float32Array.from({ length: 12 }, (_, i) => i);
  const got = interpretGraph(model, { x: { dtype: 'float32', dims: [2, 6], data } });
  expect(got[model.graph.outputs[0]]).toMatchObject({
    dims: [2, 4],
    data: Float32Array.of(1, 2, 3, 4, 7, 8, 9, 10),
  });
});

test('a fused depthwise convolution has the slope that its node says', async () => {
  const t = tools([-1, 4, 4, 2]);
  t.node('FusedDepthwiseConv2dNative', [t.x, t.floats(1, 1, 2, 1), t.floats(2)], {
    ...{ strides: [1, 1, 1, 1], dilations: [1, 1, 1, 1], padding: 'SAME', data_format: 'NHWC' },
    ...{ fused_ops: ['BiasAdd', 'LeakyRelu'], num_args: 1, leakyrelu_alpha: { float: 0.3 } },
  });
  const { graph } = await fromGraphModel(await t.g.load({ tf }));
  expect(graph.nodes.at(-1)).toMatchObject({ op: 'LeakyRelu', attributes: { alpha: 0.3 } });
});

test('shape arithmetic is gone where shapes are known', async () => {
  const t = tools();
  const shape = t.node('Shape', [t.x]);
  t.node('Reshape', [
    t.x,
    t.node('ConcatV2', [t.node('Slice', [shape, t.ints([0]), t.ints([2])]), t.ints([-1]), t.int(0)], {
      N: 2,
    }),
  ]);
  expect(operatorsOf(await fromGraphModel(await t.g.load({ tf })))).toEqual(['Reshape']);
});
