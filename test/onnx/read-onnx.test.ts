// Files of the wild, field by field: what readOnnx makes of each, or how it refuses it.
import { describe, expect, test } from 'vitest';
import { readOnnx } from '../../src/onnx/read-onnx.ts';
import { interpretGraph } from '../support/interpret-graph.ts';
import { bytes, encodeGraph, float32, integer, join, text } from '../support/onnx-model.ts';
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
  tensor,
} from '../support/onnx-protos.ts';
import { f32 } from '../support/onnx-tensors.ts';

const add = (name = 'w') => node('Add', ['x', name], ['y']);
const x = input('x', [2]);
const y = output('y');
describe('graphs', () => {
  test('open sizes become symbols', () => {
    const { graph } = readOnnx(model([node('Relu', ['x'], ['y']), input('x', ['n', null, -1, '', 3, 0]), y]));
    expect(graph.inputs).toEqual([{ name: 'x', dtype: 'float32', shape: ['n', 'x:1', 'x:2', 'x:3', 3, 0] }]);
    expect(graph).toMatchObject({ name: 'g', opset: 17, outputs: ['y'] });
  });

  test('shapes give symbols and inputs their sizes', () => {
    const file = model([add('z'), input('x', ['n', null]), input('z', ['n', 1]), y]);
    const shapesOf = (shapes: Record<string, number | number[]>) =>
      readOnnx(file, { shapes }).graph.inputs.map(({ shape }) => shape);
    expect(shapesOf({ n: 4 })).toEqual([
      [4, 'x:1'],
      [4, 1],
    ]);
    expect(shapesOf({ 'x:1': 2, x: [7, 3] })).toEqual([
      [7, 3],
      ['n', 1],
    ]);
    expect(() => shapesOf({ m: 4 })).toThrow(/shapes may name inputs and their symbols.*"m".*x, n, x:1, z/);
    expect(() => shapesOf({ z: [1, 2] })).toThrow(/z: dimension 1 is 1/);
    expect(() => shapesOf({ x: [1] })).toThrow(/x has 2 dimensions/);
    expect(() => shapesOf({ n: -1 })).toThrow(/a size must be an integer/);
  });

  test('an input without a shape needs one', () => {
    const file = model([node('Relu', ['x'], ['y']), input('x'), y]);
    expect(() => readOnnx(file)).toThrow(/x has no shape in the file.*shapes: \{ 'x'/);
    expect(readOnnx(file, { shapes: { x: [2, 3] } }).graph.inputs[0].shape).toEqual([2, 3]);
  });

  test('initializers that are also inputs are constants', () => {
    const data = raw(Float32Array.of(1, 2));
    const { graph, parameters } = readOnnx(
      model([add(), initializer('w', 1, [2], data), x, input('w', [2]), y]),
    );
    expect(graph.inputs.map(({ name }) => name)).toEqual(['x']);
    expect([...parameters.keys()]).toEqual(['w']);
  });

  test('Constant nodes are parameters, of every kind of value', () => {
    const constants: [string, Part][] = [
      ['a', attribute('value', 4, bytes(5, tensor('', 1, [1], raw(Float32Array.of(1)))))],
      ['b', floatAttribute('value_float', 2)],
      ['c', attribute('value_floats', 6, float32(7, 3), float32(7, 4))],
      ['d', intAttribute('value_int', 5)],
      ['e', attribute('value_ints', 7, packedVarints(8, [6, 2n ** 63n - 1n]))],
    ];
    const { graph, parameters } = readOnnx(
      model([...constants.map(([name, value]) => node('Constant', [], [name], value)), add('a'), x, y]),
    );
    expect(graph.nodes.map(({ op }) => op)).toEqual(['Add']);
    expect([...parameters].map(([, { dtype, dims, data }]) => [dtype, dims, [...data]])).toEqual([
      ['float32', [1], [1]],
      ['float32', [], [2]],
      ['float32', [2], [3, 4]],
      ['int64', [], [5n]],
      ['int64', [2], [6n, 2n ** 63n - 1n]],
    ]);
    const text9 = attribute('value_string', 3, text(4, 'a'));
    expect(() => readOnnx(model([node('Constant', [], ['s'], text9), x, y]))).toThrow(
      /Constant_0 \(Constant\) must hold a tensor or numbers.*value_string/,
    );
  });

  test('nodes without a name, or with one of another, get their own', () => {
    const names = ['', 'a', 'a', 'Relu_0', '', 'a_2'];
    const nodes = names.map((name, i) =>
      node('Relu', [i === 0 ? 'x' : `v${i - 1}`], [`v${i}`], ...(name ? [named(name)] : [])),
    );
    const { graph } = readOnnx(model([...nodes, x, output('v5')]));
    expect(graph.nodes.map(({ name }) => name)).toEqual([
      'Relu_0_0',
      'a',
      'a_2_2',
      'Relu_0',
      'Relu_4',
      'a_2',
    ]);
  });

  test('empty names leave inputs and outputs out', () => {
    const { graph } = readOnnx(
      model([node('Clip', ['x', '', 'm'], ['y', '']), initializer('m', 1, [], float32(4, 1)), x, y]),
    );
    expect(graph.nodes[0].inputs).toEqual(['x', null, 'm']);
    expect(graph.nodes[0].outputs).toEqual(['y', '']);
  });

  test('attributes of all kinds', () => {
    const node1 = node(
      'Odd',
      ['x'],
      ['y'],
      inDomain('my.ops'),
      floatAttribute('f', 0.1),
      intAttribute('i', -3),
      attribute('s', 3, text(4, 'grüße')),
      attribute('fs', 6, float32(7, 1), float32(7, 2)),
      attribute('is', 7, integer(8, 1), packedVarints(8, [-2, 3])),
      attribute('ss', 8, text(9, 'a'), text(9, 'b')),
      attribute('t', 4, bytes(5, tensor('', 7, [1], packedVarints(7, [4])))),
      bytes(5, [text(1, 'untyped'), integer(3, 7)]),
      attribute('__proto__', 2, integer(3, 1)),
    );
    const { graph } = readOnnx(model([node1, x, y]));
    const { attributes, domain } = graph.nodes[0];
    expect(domain).toBe('my.ops');
    expect(Object.entries(attributes)).toEqual([
      ['f', Math.fround(0.1)],
      ['i', -3],
      ['s', 'grüße'],
      ['fs', Float32Array.of(1, 2)],
      ['is', [1, -2, 3]],
      ['ss', ['a', 'b']],
      ['t', { dtype: 'int64', dims: [1], data: BigInt64Array.of(4n) }],
      ['untyped', 7],
      ['__proto__', 1],
    ]);
  });

  test('nodes out of order are sorted, and those in order stay', () => {
    const nodes = [node('Relu', ['b'], ['y']), node('Relu', ['a'], ['b']), node('Relu', ['x'], ['a'])];
    const order = (list: Part[]) =>
      readOnnx(model([...list, x, y])).graph.nodes.map(({ outputs }) => outputs[0]);
    expect(order(nodes)).toEqual(['a', 'b', 'y']);
    expect(order(nodes.toReversed())).toEqual(['a', 'b', 'y']);
  });

  test('a model may come in pieces', () => {
    const file = join([
      opsetImport(17),
      bytes(7, [text(2, 'g'), node('Relu', ['x'], ['y'])]),
      bytes(7, [x, y]),
    ]);
    expect(readOnnx(file).graph.nodes).toHaveLength(1);
  });

  test.each<[string, Part[], RegExp]>([
    [
      'a cycle',
      [node('Add', ['x', 'b'], ['a']), node('Relu', ['a'], ['b']), x, output('b')],
      /no value may depend on itself.*Add_0 \(Add\).*Relu_1/,
    ],
    ['a node that reads itself', [node('Add', ['x', 'y'], ['y']), x, y], /no value may depend on itself/],
    [
      'values that nothing makes',
      [node('Add', ['p', 'q'], ['y']), x, y],
      /2 are not.*p of Add_0 \(Add\).*q of Add_0/,
    ],
    ['an output that nothing makes', [node('Relu', ['x'], ['z']), x, y], /1 are not.*y, an output/],
    [
      'a value made twice',
      [node('Relu', ['x'], ['y']), node('Abs', ['x'], ['y']), x, y],
      /made once.*y, again by Abs_1/,
    ],
    ['an input made again', [node('Relu', ['x'], ['x']), x, output('x')], /made once.*x, again/],
    ['an input twice', [node('Relu', ['x'], ['y']), x, x, y], /made once.*x, again by an input/],
    [
      'an initializer twice',
      [initializer('w', 1, [], float32(4, 1)), initializer('w', 1, [], float32(4, 1)), add(), x, y],
      /an initializer must have a name of its own.*"w"/,
    ],
    ['an initializer without a name', [initializer('', 1, [], float32(4, 1)), x, y], /a name of its own/],
    [
      'a constant made twice',
      [
        initializer('w', 1, [], float32(4, 1)),
        node('Constant', [], ['w'], floatAttribute('value_float', 1)),
        add(),
        x,
        y,
      ],
      /made once.*"w"/,
    ],
    ['a sparse initializer', [bytes(15, []), node('Relu', ['x'], ['y']), x, y], /1 of them are sparse/],
    [
      'an input of strings',
      [node('Relu', ['x'], ['y']), input('x', [1], 8), y],
      /^x must have one of.*"string"/,
    ],
    [
      'an input that is a sequence',
      [node('Relu', ['x'], ['y']), bytes(11, [text(1, 'x'), bytes(2, [bytes(4, [])])]), y],
      /^x must be a tensor/,
    ],
    ['a node without an operator', [node('', ['x'], ['y']), x, y], /must have an operator/],
    [
      'an attribute twice',
      [node('Elu', ['x'], ['y'], floatAttribute('alpha', 1), floatAttribute('alpha', 2)), x, y],
      /Elu_0 \(Elu\): an attribute must be given once.*"alpha"/,
    ],
    [
      'an attribute of no kind',
      [node('Elu', ['x'], ['y'], bytes(5, [text(1, 'alpha')])), x, y],
      /alpha must be of a kind that ONNX has/,
    ],
    ['a huge size', [node('Relu', ['x'], ['y']), input('x', [2 ** 40]), y], /dimension 0 must be at most/],
  ])('%s is refused', (_, parts, message) => {
    expect(() => readOnnx(model(parts))).toThrow(message);
  });

  test('what cannot be read is said all at once', () => {
    const parts = [input('s', [1], 8), initializer('b', 16, [1], raw(new Uint8Array(2))), bytes(15, []), y];
    expect(() => readOnnx(model([node('Add', ['s', 'b'], ['y']), ...parts]))).toThrow(
      /g: 3 things of this model cannot be read.*sparse.*b must.*bfloat16.*s must.*string/s,
    );
  });
});

describe('opsets', () => {
  const relu = [node('Relu', ['x'], ['y']), x, y];
  test.each([7, 9, 17, 23, 27])('%i is read', (opset) => {
    expect(readOnnx(model(relu, opsetImport(opset))).graph.opset).toBe(opset);
    expect(readOnnx(model(relu, opsetImport(opset, 'ai.onnx'))).graph.opset).toBe(opset);
  });
  test.each([0, 6, 28, -1])('%i is refused', (opset) => {
    expect(() => readOnnx(model(relu, opsetImport(opset)))).toThrow(
      /opset from 7 to 27; received -?\d+; convert/,
    );
  });
  test('none is that of before opsets, unless no node is of the default domain', () => {
    const other = opsetImport(1, 'com.microsoft');
    expect(() => readOnnx(model(relu, other))).toThrow(/received 1/);
    const gelu = [node('BiasGelu', ['x', 'x'], ['y'], inDomain('com.microsoft')), x, y];
    expect(readOnnx(model(gelu, other)).graph.opset).toBe(27);
  });
  test('two of one domain that differ are refused', () => {
    expect(() => readOnnx(model(relu, opsetImport(13), opsetImport(14, 'ai.onnx')))).toThrow(
      /ai\.onnx must be imported once/,
    );
  });
  test('an operator keeps the meaning of its opset', () => {
    // Up to opset 12 a softmax takes all axes from the given one on.
    const softmax = [node('Softmax', ['x'], ['y']), input('x', [1, 2, 2]), y];
    const feeds = { x: { dtype: 'float32' as const, dims: [1, 2, 2], data: new Float32Array(4) } };
    const run = (opset: number) => [
      ...interpretGraph(readOnnx(model(softmax, opsetImport(opset))), feeds).y.data,
    ];
    expect(run(12)).toEqual([0.25, 0.25, 0.25, 0.25]);
    expect(run(13)).toEqual([0.5, 0.5, 0.5, 0.5]);
  });
  test('Upsample of opset 9 runs', () => {
    const upsample = [
      node('Upsample', ['x', 's'], ['y'], attribute('mode', 3, text(4, 'nearest'))),
      initializer('s', 1, [4], raw(Float32Array.of(1, 1, 2, 1))),
      input('x', [1, 1, 2, 1]),
      y,
    ];
    const feeds = { x: { dtype: 'float32' as const, dims: [1, 1, 2, 1], data: Float32Array.of(3, 4) } };
    expect([...interpretGraph(readOnnx(model(upsample, opsetImport(9))), feeds).y.data]).toEqual([
      3, 3, 4, 4,
    ]);
  });
});

test('a graph of another encoder', () => {
  const read = readOnnx(
    encodeGraph({
      opset: 13,
      nodes: [
        { opType: 'Gemm', inputs: ['x', 'w', 'b'], outputs: ['y'], attributes: { alpha: 2, transB: 1 } },
      ],
      constants: { w: { dtype: 'float32', dims: [1, 2], data: Float32Array.of(3, 4) }, b: f32(1) },
      inputs: { x: { dtype: 'float32', dims: [1, 2] } },
      outputs: { y: 'float32' },
    }),
  );
  const feeds = { x: { dtype: 'float32' as const, dims: [1, 2], data: Float32Array.of(1, 1) } };
  expect([...interpretGraph(read, feeds).y.data]).toEqual([15]);
});
