// What exporters write that is easy to get wrong, each small graph as ONNX Runtime has it, here and written again.
import { expect, test } from 'vitest';
import type { OnnxTensor } from '../../src/graph/ops/tensors.ts';
import { readOnnx, supportedNodes, writeOnnx } from '../../src/onnx/index.ts';
import { compile } from '../../src/run/session.ts';
import { bytes } from '../support/onnx-model.ts';
import { floats, of, runOnOrt } from '../support/onnx-models.ts';
import {
  attribute,
  floatAttribute,
  inDomain,
  initializer,
  input,
  intAttribute,
  model,
  named,
  node,
  opsetImport,
  output,
  type Part,
  packedVarints,
  raw,
} from '../support/onnx-protos.ts';
import { useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();
const i64 = (name: string, ...v: number[]) =>
  initializer(name, 7, [v.length], raw(BigInt64Array.from(v, BigInt)));
const i64s = (name: string, v: number) => initializer(name, 7, [], raw(BigInt64Array.of(BigInt(v))));
const f32 = (name: string, dims: number[], ...v: number[]) =>
  initializer(name, 1, dims, raw(Float32Array.from(v)));
const ints = (name: string, ...v: number[]) => attribute(name, 7, packedVarints(8, v));
const str = (name: string, v: string) => attribute(name, 3, bytes(4, [new TextEncoder().encode(v)]));
const x234 = floats(1, 2, 3, 4),
  img = floats(2, 1, 3, 8, 8);
const cases: Record<string, [parts: Part[], feeds: Record<string, OnnxTensor>, opset?: number]> = {
  'sizes of a Resize by floats of a Shape': [
    [
      node('Shape', ['x'], ['s']),
      node('Slice', ['s', 'two', 'four'], ['hw']),
      node('Cast', ['hw'], ['hwf'], intAttribute('to', 1)),
      node('Mul', ['hwf', 'f'], ['m']),
      node('Cast', ['m'], ['mi'], intAttribute('to', 7)),
      node('Slice', ['s', 'zero', 'two'], ['nc']),
      node('Concat', ['nc', 'mi'], ['sizes'], intAttribute('axis', 0)),
      node(
        'Resize',
        ['x', '', '', 'sizes'],
        ['y'],
        str('mode', 'linear'),
        str('coordinate_transformation_mode', 'half_pixel'),
      ),
      i64('two', 2),
      i64('four', 4),
      i64('zero', 0),
      f32('f', [2], 1.5, 2.25),
      input('x', [1, 3, 8, 8]),
      output('y'),
    ],
    { x: img },
  ],
  'int64 arithmetic on a Shape': [
    [
      node('Shape', ['x'], ['s']),
      node('Gather', ['s', 'i2'], ['c']),
      node('Mul', ['c', 'i3'], ['p']),
      node('Div', ['p', 'i2'], ['q']),
      node('Sub', ['q', 'i1'], ['r']),
      node('Mod', ['r', 'i4'], ['m']),
      node('Unsqueeze', ['m', 'ax'], ['mu']),
      node('ConstantOfShape', ['mu'], ['z']),
      node('ReduceSum', ['x'], ['sum'], intAttribute('keepdims', 0)),
      node('Add', ['z', 'sum'], ['y']),
      i64s('i1', 1),
      i64s('i2', 2),
      i64s('i3', 3),
      i64s('i4', 4),
      i64('ax', 0),
      input('x', [2, 3, 4]),
      output('y'),
    ],
    { x: x234 },
  ],
  'division and remainder of negative int64': [
    [
      node('Shape', ['x'], ['s']),
      node('Neg', ['s'], ['n']),
      node('Div', ['n', 'three'], ['d']),
      node('Mod', ['n', 'three'], ['m']),
      node('Cast', ['d'], ['y'], intAttribute('to', 1)),
      node('Cast', ['m'], ['z'], intAttribute('to', 1)),
      i64('three', 3),
      input('x', [2, 3, 4]),
      output('y'),
      output('z'),
    ],
    { x: x234 },
  ],
  'an optional input left out in the middle': [
    [node('Clip', ['x', '', 'hi'], ['y']), f32('hi', [], 0.2), input('x', [2, 3, 4]), output('y')],
    { x: x234 },
  ],
  'names of nodes that are alike, or none': [
    [
      node('Relu', ['x'], ['a'], named('n')),
      node('Neg', ['a'], ['b'], named('n/1')),
      node('Abs', ['b'], ['y'], named('')),
      input('x', [2, 3, 4]),
      output('y'),
    ],
    { x: x234 },
  ],
  'nodes out of order': [
    [node('Neg', ['a'], ['y']), node('Relu', ['x'], ['a']), input('x', [2, 3, 4]), output('y')],
    { x: x234 },
  ],
  'an old BatchNormalization': [
    [
      node('BatchNormalization', ['x', 's', 'b', 'm', 'v'], ['y'], floatAttribute('epsilon', 0.001)),
      f32('s', [3], 1, 2, 3),
      f32('b', [3], 0, 1, 2),
      f32('m', [3], 0.1, 0.2, 0.3),
      f32('v', [3], 1, 2, 0.5),
      input('x', [1, 3, 8, 8]),
      output('y'),
    ],
    { x: img },
    9,
  ],
  'a Dropout whose mask is named': [
    [node('Dropout', ['x'], ['y', 'mask'], floatAttribute('ratio', 0.5)), input('x', [2, 3, 4]), output('y')],
    { x: x234 },
    11,
  ],
  'a Dropout with its inputs': [
    [
      node('Dropout', ['x', 'r', 't'], ['y']),
      f32('r', [], 0.5),
      initializer('t', 9, [], raw(Uint8Array.of(0))),
      input('x', [2, 3, 4]),
      output('y'),
    ],
    { x: x234 },
  ],
  'a Reshape by 0 and -1': [
    [node('Reshape', ['x', 's'], ['y']), i64('s', 0, -1, 2), input('x', [2, 3, 4]), output('y')],
    { x: x234 },
  ],
  'an Expand by ones, of more dimensions': [
    [node('Expand', ['x', 's'], ['y']), i64('s', 1, 1, 1, 1), input('x', [2, 3, 4]), output('y')],
    { x: x234 },
  ],
  'a Slice backwards, beyond its ends': [
    [
      node('Slice', ['x', 'st', 'en', 'ax', 'sp'], ['y']),
      i64('st', -1, 100),
      i64('en', -100, -100),
      i64('ax', -1, 1),
      i64('sp', -2, -1),
      input('x', [2, 3, 4]),
      output('y'),
    ],
    { x: x234 },
  ],
  'a Gemm transposed, scaled, with a column as bias': [
    [
      node(
        'Gemm',
        ['x', 'w', 'c'],
        ['y'],
        floatAttribute('alpha', 0.5),
        floatAttribute('beta', 2),
        intAttribute('transA', 1),
      ),
      f32('w', [3, 2], 1, 2, 3, 4, 5, 6),
      f32('c', [4, 1], 1, 2, 3, 4),
      input('x', [3, 4]),
      output('y'),
    ],
    { x: floats(3, 3, 4) },
  ],
  'a condition cast to int64 and on': [
    [
      node('Greater', ['x', 'z'], ['g']),
      node('Cast', ['g'], ['gi'], intAttribute('to', 7)),
      node('Cast', ['gi'], ['gf'], intAttribute('to', 1)),
      node('Where', ['g', 'x', 'gf'], ['y']),
      f32('z', [], 0),
      input('x', [2, 3, 4]),
      output('y'),
    ],
    { x: x234 },
  ],
  'int64 as an output': [
    [
      node('ArgMax', ['x'], ['y'], intAttribute('axis', -1), intAttribute('keepdims', 0)),
      input('x', [2, 3, 4]),
      output('y'),
    ],
    { x: x234 },
  ],
  'names with slashes, colons, quotes and letters of others': [
    [
      node('Relu', ['input:0/ü é"\\'], ['StatefulPartitionedCall/…;x'], named('a/b:0')),
      input('input:0/ü é"\\', [2, 3]),
      output('StatefulPartitionedCall/…;x'),
    ],
    { 'input:0/ü é"\\': floats(4, 2, 3) },
  ],
  'ONNX’s domain by its name': [
    [node('Relu', ['x'], ['y'], inDomain('ai.onnx')), input('x', [2, 3]), output('y')],
    { x: floats(5, 2, 3) },
  ],
  'a Pad that crops': [
    [
      node('Pad', ['x', 'p'], ['y']),
      i64('p', 0, 0, -1, -1, 0, 0, 2, -2),
      input('x', [1, 3, 8, 8]),
      output('y'),
    ],
    { x: img },
  ],
  'a Pad by reflection': [
    [
      node('Pad', ['x', 'p'], ['y'], str('mode', 'reflect')),
      i64('p', 0, 0, 2, 1, 0, 0, 3, 2),
      input('x', [1, 3, 8, 8]),
      output('y'),
    ],
    { x: img },
  ],
  'a linear Upsample': [
    [
      node('Upsample', ['x', 's'], ['y'], str('mode', 'linear')),
      f32('s', [4], 1, 1, 2, 2),
      input('x', [1, 3, 8, 8]),
      output('y'),
    ],
    { x: img },
    9,
  ],
  'both outputs of TopK': [
    [node('TopK', ['x', 'k'], ['v', 'i']), i64('k', 2), input('x', [2, 3, 4]), output('v'), output('i')],
    { x: x234 },
  ],
  'auto_pad of an even kernel': [
    [
      node('Conv', ['x', 'w'], ['y'], str('auto_pad', 'SAME_UPPER'), ints('strides', 2, 2)),
      f32('w', [2, 3, 2, 3], ...Array.from({ length: 36 }, (_, i) => i / 30 - 0.5)),
      input('x', [1, 3, 8, 8]),
      output('y'),
    ],
    { x: img },
  ],
  'an AveragePool in ceil mode that counts pads': [
    [
      node(
        'AveragePool',
        ['x'],
        ['y'],
        ints('kernel_shape', 3, 3),
        ints('strides', 2, 2),
        ints('pads', 1, 1, 1, 1),
        intAttribute('ceil_mode', 1),
        intAttribute('count_include_pad', 1),
      ),
      input('x', [1, 3, 8, 8]),
      output('y'),
    ],
    { x: img },
    19,
  ],
  'a Softmax over several axes': [
    [node('Softmax', ['x'], ['y'], intAttribute('axis', 1)), input('x', [2, 3, 4]), output('y')],
    { x: x234 },
    11,
  ],
  'constants that nobody reads, and one as an output': [
    [
      node('Identity', ['c'], ['y']),
      node('Neg', ['x'], ['z']),
      f32('c', [2], 1, 2),
      f32('unused', [3], 1, 2, 3),
      input('x', [1]),
      output('y'),
      output('z'),
    ],
    { x: floats(1, 1) },
  ],
  'an input as an output': [
    [node('Neg', ['x'], ['z']), input('x', [2]), output('x'), output('z')],
    { x: floats(1, 2) },
  ],
  'logic on casts': [
    [
      node('Cast', ['x'], ['b'], intAttribute('to', 9)),
      node('Not', ['b'], ['n']),
      node('Or', ['b', 'n'], ['o']),
      node('Cast', ['o'], ['y'], intAttribute('to', 1)),
      input('x', [2]),
      output('y'),
    ],
    { x: floats(1, 2) },
  ],
  'an Einsum of one value twice': [
    [node('Einsum', ['x', 'x'], ['y'], str('equation', 'bij,bkj->bik')), input('x', [2, 3, 4]), output('y')],
    { x: x234 },
  ],
  'a Range by a Shape': [
    [
      node('Shape', ['x'], ['s']),
      node('Gather', ['s', 'one'], ['n']),
      node('Range', ['z', 'n', 'o'], ['r']),
      node('Cast', ['r'], ['y'], intAttribute('to', 1)),
      i64s('one', 1),
      i64s('z', 0),
      i64s('o', 1),
      input('x', [2, 3, 4]),
      output('y'),
    ],
    { x: x234 },
  ],
  'a ScatterND from the end': [
    [
      node('ScatterND', ['x', 'i', 'u'], ['y']),
      initializer('i', 7, [1, 1], raw(BigInt64Array.of(-1n))),
      f32('u', [1, 2], 7, 8),
      input('x', [3, 2]),
      output('y'),
    ],
    { x: floats(1, 3, 2) },
  ],
  'a Reshape by an open batch': [
    [
      node('Shape', ['x'], ['s']),
      node('Gather', ['s', 'z'], ['n']),
      node('Unsqueeze', ['n', 'ax'], ['nu']),
      node('Concat', ['nu', 'm1'], ['t'], intAttribute('axis', 0)),
      node('Reshape', ['x', 't'], ['y']),
      i64s('z', 0),
      i64('ax', 0),
      i64('m1', -1),
      input('x', ['batch', 3, 4]),
      output('y'),
    ],
    { x: x234 },
  ],
  'a grid of anchors in float64': [
    [
      node('Shape', ['x'], ['s'], intAttribute('start', 2), intAttribute('end', 3)),
      node('Squeeze', ['s'], ['rows']),
      node('Range', ['zero', 'rows', 'one'], ['r']),
      node('Cast', ['r'], ['d'], intAttribute('to', 11)),
      node('Add', ['d', 'half'], ['places']),
      node('Unsqueeze', ['places', 'ax'], ['column']),
      node('Cast', ['x'], ['x64'], intAttribute('to', 11)),
      node('Sub', ['column', 'x64'], ['apart']),
      node('Cast', ['apart'], ['y'], intAttribute('to', 1)),
      i64s('zero', 0),
      i64s('one', 1),
      i64('ax', 1),
      initializer('half', 11, [], raw(Float64Array.of(0.5))),
      input('x', [2, 1, 'h', 8]),
      output('y'),
    ],
    { x: floats(1, 2, 1, 6, 8) },
  ],
  'a weight that a batch norm standardizes': [
    [
      node('Reshape', ['w', 'flat'], ['rows']),
      node(
        'BatchNormalization',
        ['rows', 'gain', 'none', 'mean', 'var'],
        ['standard', 'next mean', 'next var'],
        floatAttribute('epsilon', 1e-3),
        floatAttribute('momentum', 1),
        intAttribute('training_mode', 1),
      ),
      node('Reshape', ['standard', 'shape'], ['weight']),
      node('Conv', ['x', 'weight', 'b'], ['y']),
      f32('w', [4, 3, 2, 2], ...(floats(3, 48).data as Float32Array)),
      i64('flat', 1, 4, -1),
      i64('shape', 4, 3, 2, 2),
      f32('gain', [4], 1, 2, 0.5, -1),
      f32('none', [4], 0, 0, 0, 0.25),
      f32('mean', [4], 0, 0, 0, 0),
      f32('var', [4], 1, 1, 1, 1),
      f32('b', [4], 1, 0, -1, 2),
      input('x', [2, 3, 8, 8]),
      output('y'),
    ],
    { x: floats(2, 2, 3, 8, 8) },
  ],
  'a row that a mask of infinities hides whole': [
    [
      node('MatMul', ['q', 'k'], ['s']),
      node('Add', ['s', 'mask'], ['m']),
      node('Softmax', ['m'], ['p'], intAttribute('axis', -1)),
      node('IsNaN', ['p'], ['n']),
      node('Where', ['n', 'zero', 'p'], ['y']),
      f32('zero', [], 0),
      input('q', [1, 2, 2, 3]),
      input('k', [1, 2, 3, 2]),
      input('mask', [1, 2, 2, 2]),
      output('y'),
    ],
    {
      q: floats(1, 1, 2, 2, 3),
      k: floats(2, 1, 2, 3, 2),
      mask: of(
        'float32',
        [1, 2, 2, 2],
        Float32Array.of(0, -Infinity, -Infinity, -Infinity, 0, 0, -Infinity, 0),
      ),
    },
  ],
  'a batch of none': [
    [node('Relu', ['x'], ['y']), input('x', ['n', 3]), output('y')],
    { x: of('float32', [0, 3], new Float32Array(0)) },
  ],
  'a scalar': [
    [node('Add', ['x', 'c'], ['y']), f32('c', [2, 2], 1, 2, 3, 4), input('x', []), output('y')],
    { x: of('float32', [], Float32Array.of(3)) },
  ],
  'both outputs of a GRU': [
    [
      node(
        'GRU',
        ['x', 'w', 'r'],
        ['y', 'h'],
        intAttribute('hidden_size', 2),
        intAttribute('linear_before_reset', 1),
      ),
      f32('w', [1, 6, 4], ...Array.from({ length: 24 }, (_, i) => Math.sin(i))),
      f32('r', [1, 6, 2], ...Array.from({ length: 12 }, (_, i) => Math.cos(i))),
      input('x', [2, 3, 4]),
      output('y'),
      output('h'),
    ],
    { x: x234 },
  ],
};

test.each(Object.entries(cases))('%s', async (_, [parts, feeds, opset = 17]) => {
  const file = model(parts, opsetImport(opset));
  const read = readOnnx(file);
  const shapes = Object.fromEntries(Object.entries(feeds).map(([name, { dims }]) => [name, dims]));
  expect(supportedNodes(read, { shapes }).refused).toEqual([]);
  const want = await runOnOrt(file, feeds);
  const session = await compile(gpu.runtime, read, { shapes });
  const got = await session.run(feeds);
  session.destroy();
  const again = await runOnOrt(writeOnnx(read), feeds);
  expect(Object.keys(got).sort()).toEqual(Object.keys(want).sort());
  for (const [name, { type, dims, data }] of Object.entries(want)) {
    expect([got[name].dtype, got[name].dims], name).toEqual([type, dims]);
    const numbers = Array.from(data as Float32Array, Number);
    const largest = numbers.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-9);
    for (const made of [got[name].data, again[name].data]) {
      const apart = numbers.map((value, i) => Math.abs(value - Number(made[i])) / largest);
      expect(Math.max(0, ...apart), name).toBeLessThan(1e-5);
    }
  }
});
