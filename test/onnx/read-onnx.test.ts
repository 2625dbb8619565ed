// Files of the wild, field by field: what readOnnx makes of each, or how it refuses it.
import { describe, expect, test } from 'vitest';
import { interpretGraph } from '../../src/graph/interpret.ts';
import { readOnnx } from '../../src/onnx/read-onnx.ts';
import { supportedNodes } from '../../src/onnx/supported-nodes.ts';
import { bytes, encodeGraph, field, float32, integer, join, text } from '../support/onnx-model.ts';
import {
  attribute,
  external,
  floatAttribute,
  inDomain,
  initializer,
  input,
  intAttribute,
  localFunction,
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
const withTensor = (...args: Parameters<typeof initializer>) =>
  model([add(args[0]), initializer(...args), x, y]);
const read = (type: number, dims: readonly number[], ...data: Part[]) =>
  readOnnx(withTensor('w', type, dims, ...data)).parameters.get('w')!;

describe('tensors', () => {
  test.each([
    ['float32', 1, raw(Float32Array.of(0.1, -0)), [Math.fround(0.1), -0]],
    ['float32', 1, float32(4, 1.5), null],
    ['uint8', 2, raw(Uint8Array.of(3, 255)), [3, 255]],
    ['uint8', 2, packedVarints(5, [3, 255]), [3, 255]],
    ['int8', 3, packedVarints(5, [-128, 127]), [-128, 127]],
    ['uint16', 4, packedVarints(5, [0, 65535]), [0, 65535]],
    ['int16', 5, raw(Int16Array.of(-32768, 5)), [-32768, 5]],
    ['int32', 6, packedVarints(5, [-1, 2147483647]), [-1, 2147483647]],
    ['int64', 7, raw(BigInt64Array.of(-1n, 2n ** 63n - 1n)), [-1n, 2n ** 63n - 1n]],
    ['int64', 7, packedVarints(7, [-(2n ** 63n), 2n ** 63n - 1n]), [-(2n ** 63n), 2n ** 63n - 1n]],
    ['bool', 9, packedVarints(5, [0, 1]), [0, 1]],
    ['float16', 10, packedVarints(5, [0x3c00, 0x8000]), [0x3c00, 0x8000]],
    ['uint32', 12, packedVarints(11, [0, 4294967295]), [0, 4294967295]],
    ['uint4', 21, raw(Uint8Array.of(0xf1)), [1, 15]],
    ['int4', 22, raw(Uint8Array.of(0x87)), [7, -8]],
    ['int4', 22, packedVarints(5, [0x87]), [7, -8]],
    ['uint2', 25, raw(Uint8Array.of(0b1101)), [1, 3]],
    ['int2', 26, raw(Uint8Array.of(0b0110)), [-2, 1]],
  ] as const)('%s from field type %i', (dtype, type, data, values) => {
    const dims = values ? [2] : [1];
    const { dtype: got, dims: shape, data: elements } = read(type, dims, data);
    expect(got).toBe(dtype);
    expect(shape).toEqual(dims);
    expect(Array.from(elements as ArrayLike<unknown>)).toEqual(values ?? [1.5]);
  });

  test('odd counts of 4-bit elements leave half a byte', () => {
    expect([...read(22, [3], raw(Uint8Array.of(0x21, 0xff))).data]).toEqual([1, 2, -1]);
  });

  test('numbers come packed, one by one, or some of each', () => {
    const packed = field(4, new Uint8Array(Float32Array.of(2, 3).buffer));
    expect([...read(1, [4], float32(4, 1), packed, float32(4, 4)).data]).toEqual([1, 2, 3, 4]);
  });

  test('float64 and uint64 where float32 and int64 hold every element, refused where they do not', () => {
    expect(read(11, [2], raw(Float64Array.of(0.5, -3)))).toMatchObject({ dtype: 'float32' });
    expect([...read(13, [1], packedVarints(11, [7])).data]).toEqual([7n]);
    expect(() => read(11, [1], raw(Float64Array.of(0.1)))).toThrow(/^w is float64.*received 0\.1/);
    expect(() => read(13, [1], raw(BigUint64Array.of(2n ** 63n)))).toThrow(/^w is uint64/);
  });

  test.each([
    [16, 'bfloat16'],
    [8, 'string'],
    [17, 'float8e4m3fn'],
    [14, 'complex64'],
    [99, 'dtype 99'],
  ])('dtype %i is refused as %s', (type, name) => {
    expect(() => read(type, [1], raw(new Uint8Array(2)))).toThrow(new RegExp(`^w must have.*"${name}"`));
  });

  test.each<[string, number, number[], Part, RegExp]>([
    ['raw data of another size', 1, [2], raw(new Uint8Array(7)), /w: \[2\] of 32 bits must take 8 bytes.*7/],
    ['typed data of another size', 1, [2], float32(4, 1), /w must have the 2 elements.*received 1/],
    ['no data', 1, [2], join([]), /must have the 2 elements/],
    ['a value that its dtype lacks', 3, [1], packedVarints(5, [300]), /w must hold int8.*300/],
    ['a bool of 2', 9, [1], raw(Uint8Array.of(2)), /w must hold 0 and 1/],
    ['a negative dimension', 1, [-1], raw(new Uint8Array(4)), /w: a dimension must be from 0/],
    ['more elements than a buffer has', 1, [65536, 65536], raw(new Uint8Array(4)), /w must have at most/],
    ['more elements, one dimension being 0', 1, [2147483648, 0], raw(new Uint8Array(0)), /w: a dimension/],
    ['65 dimensions', 1, new Array(65).fill(1), raw(new Uint8Array(4)), /w must have at most 64 dims/],
    [
      'a segment',
      1,
      [1],
      join([bytes(3, [integer(1, 0)]), raw(new Uint8Array(4))]),
      /w must be in one piece/,
    ],
    ['half a float', 1, [1], field(4, new Uint8Array(3)), /w must have the 1 elements/],
  ])('%s is refused', (_, type, dims, data, message) => {
    expect(() => read(type, dims, data)).toThrow(message);
  });

  test('an empty tensor is one', () => {
    expect(read(1, [0, 3])).toMatchObject({ dims: [0, 3], data: new Float32Array(0) });
  });

  test('data is a view of the file where it lies aligned', () => {
    const found = [0, 1, 2, 3].map((padding) => {
      const name = 'w'.repeat(padding + 1);
      const file = withTensor(name, 1, [2], raw(Float32Array.of(1, 2)));
      const { data } = readOnnx(file).parameters.get(name)!;
      expect([...data]).toEqual([1, 2]);
      return data.buffer === file.buffer;
    });
    // Four names of one length each: their data starts at every offset modulo 4, within the lengths of the messages.
    expect(found.filter(Boolean).length).toBeGreaterThan(0);
  });
});

describe('external data', () => {
  const at = (entries: Record<string, string>) => withTensor('w', 1, [2], external(entries));
  const file = new Uint8Array(Float32Array.of(9, 1, 2, 9).buffer);
  const weights = at({ location: 'data/w.bin', offset: '4', length: '8' });

  test('by name, in a record, a map, or from a function', async () => {
    const expected = Float32Array.of(1, 2);
    const fromRecord = readOnnx(weights, { externalData: { 'data/w.bin': file } });
    expect(fromRecord.parameters.get('w')!.data).toEqual(expected);
    const fromMap = readOnnx(weights, { externalData: new Map([['data/w.bin', file]]) });
    expect(fromMap).toEqual(fromRecord);
    const asked: string[] = [];
    const later = readOnnx(weights, {
      externalData: async (location) => {
        asked.push(location);
        return file;
      },
    });
    expect(later).toBeInstanceOf(Promise);
    expect(await later).toEqual(fromRecord);
    expect(asked).toEqual(['data/w.bin']);
  });

  test('the rest of the entries are optional', () => {
    const two = new Uint8Array(Float32Array.of(5, 6).buffer);
    const { parameters } = readOnnx(at({ location: './w' }), { externalData: { w: two } });
    expect([...parameters.get('w')!.data]).toEqual([5, 6]);
  });

  test.each([
    ['../w', /folder.*"\.\.\/w"/],
    ['a/../../w', /folder/],
    ['/etc/passwd', /folder/],
    ['C:\\w', /folder/],
    ['', /folder/],
  ])('a path outside the folder is refused: %s', async (location, message) => {
    expect(() => readOnnx(at({ location }), { externalData: {} })).toThrow(message);
    await expect(readOnnx(at({ location }), { externalData: () => file })).rejects.toThrow(message);
  });

  test.each<[string, Record<string, string>, RegExp]>([
    [
      'past the end',
      { location: 'f', offset: '12' },
      /w must end within f, which has 16 bytes.*8 bytes from 12/,
    ],
    ['another length', { location: 'f', length: '16' }, /w must take 8 bytes of f.*16/],
    ['a negative offset', { location: 'f', offset: '-4' }, /offset must be an integer/],
    ['an offset beyond integers', { location: 'f', offset: '9'.repeat(30) }, /offset must be an integer/],
    ['a file that is not given', { location: 'other' }, /w lies in another file.*"other".*pass externalData/],
    ['a file by an inherited name', { location: 'toString' }, /w lies in another file/],
  ])('%s is refused', (_, entries, message) => {
    expect(() => readOnnx(at(entries), { externalData: { f: file } })).toThrow(message);
  });
});

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
  test.each([9, 17, 23])('%i is read', (opset) => {
    expect(readOnnx(model(relu, opsetImport(opset))).graph.opset).toBe(opset);
    expect(readOnnx(model(relu, opsetImport(opset, 'ai.onnx'))).graph.opset).toBe(opset);
  });
  test.each([0, 8, 24, -1])('%i is refused', (opset) => {
    expect(() => readOnnx(model(relu, opsetImport(opset)))).toThrow(
      /opset from 9 to 23; received -?\d+; convert/,
    );
  });
  test('none is that of before opsets, unless no node is of the default domain', () => {
    const other = opsetImport(1, 'com.microsoft');
    expect(() => readOnnx(model(relu, other))).toThrow(/received 1/);
    const gelu = [node('BiasGelu', ['x', 'x'], ['y'], inDomain('com.microsoft')), x, y];
    expect(readOnnx(model(gelu, other)).graph.opset).toBe(23);
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

describe('functions of the model', () => {
  const call = node('Scaled', ['x', 'w'], ['y'], inDomain('my'), named('call'), floatAttribute('alpha', 0.5));
  const body = [
    node(
      'LeakyRelu',
      ['a'],
      ['t'],
      bytes(5, [text(1, 'alpha'), integer(20, 1), text(21, 'alpha')]),
      named('leak'),
    ),
    node('Add', ['t', 'b'], ['r']),
  ];
  const imports = [opsetImport(17), opsetImport(1, 'my')];
  const scaled = localFunction('my', 'Scaled', ['a', 'b'], ['r'], body);
  const graph = [call, initializer('w', 1, [], float32(4, 1)), x, y];

  test('are inlined, attributes handed on', () => {
    const read = readOnnx(model(graph, scaled, ...imports));
    expect(read.graph.nodes).toEqual([
      { op: 'LeakyRelu', name: 'call/leak', inputs: ['x'], outputs: ['call/t'], attributes: { alpha: 0.5 } },
      { op: 'Add', name: 'call/Add_1', inputs: ['call/t', 'w'], outputs: ['y'], attributes: {} },
    ]);
    expect([...interpretGraph(read, { x: f32(-2, 2) }).y.data]).toEqual([0, 3]);
  });

  test('keep the default of an attribute that is not given, and leave out one that has none', () => {
    const plain = [node('Scaled', ['x', 'w'], ['y'], inDomain('my')), ...graph.slice(1)];
    const alpha = bytes(11, [text(1, 'alpha'), float32(2, 0.25), integer(20, 1)]);
    const withDefault = localFunction('my', 'Scaled', ['a', 'b'], ['r'], body, alpha);
    const attributesOf = (definition: Part) =>
      readOnnx(model(plain, definition, ...imports)).graph.nodes[0].attributes;
    expect(attributesOf(withDefault)).toEqual({ alpha: 0.25 });
    expect(attributesOf(scaled)).toEqual({});
  });

  test('may call each other, and hand an input on', () => {
    const twice = localFunction(
      'my',
      'Twice',
      ['a'],
      ['r', 'a'],
      [node('Once', ['a'], ['m'], inDomain('my')), node('Once', ['m'], ['r'], inDomain('my'))],
    );
    const once = localFunction('my', 'Once', ['q'], ['p'], [node('Neg', ['q'], ['p'])]);
    const parts = [node('Twice', ['x'], ['y', 'z'], inDomain('my')), x, y, output('z')];
    const read = readOnnx(model(parts, twice, once, ...imports));
    expect(read.graph.nodes.map(({ op }) => op)).toEqual(['Neg', 'Neg', 'Identity']);
    const results = interpretGraph(read, { x: f32(1, 2) });
    expect([[...results.y.data], [...results.z.data]]).toEqual([
      [1, 2],
      [1, 2],
    ]);
  });

  test('that call themselves, or each other without end or measure, are refused', () => {
    const self = localFunction(
      'my',
      'Scaled',
      ['a', 'b'],
      ['r'],
      [call.subarray(0), node('Add', ['a', 'b'], ['r'])],
    );
    expect(() => readOnnx(model(graph, self, ...imports))).toThrow(/at most 32 deep/);
    const levels = Array.from({ length: 30 }, (_, i) =>
      localFunction(
        'my',
        `L${i}`,
        ['a'],
        ['r'],
        [
          node(i === 29 ? 'Neg' : `L${i + 1}`, ['a'], ['m'], inDomain(i === 29 ? '' : 'my')),
          node(i === 29 ? 'Neg' : `L${i + 1}`, ['m'], ['r'], inDomain(i === 29 ? '' : 'my')),
        ],
      ),
    );
    const started = performance.now();
    expect(() =>
      readOnnx(model([node('L0', ['x'], ['y'], inDomain('my')), x, y], ...levels, ...imports)),
    ).toThrow(/the nodes of inlined functions must take at most/);
    expect(performance.now() - started).toBeLessThan(2000);
  });

  test('of another opset are refused by name', () => {
    const old = localFunction(
      'my',
      'Scaled',
      ['a', 'b'],
      ['r'],
      body,
      bytes(9, [text(1, ''), integer(2, 12)]),
    );
    expect(() => readOnnx(model(graph, old, ...imports))).toThrow(/call: its function follows opset 12/);
  });
});

describe('supportedNodes', () => {
  test('lists every node that does not run, with its attribute where it is one', () => {
    const { graph, parameters } = readOnnx(
      model([
        node('Relu', ['x'], ['a']),
        node('If', ['c'], ['b'], attribute('then_branch', 5, bytes(6, [text(2, 'sub')])), named('choice')),
        node('Mystery', ['a'], ['d'], inDomain('my.ops')),
        node('Elu', ['a'], ['e'], intAttribute('beta', 1)),
        node('Concat', ['a', 'a'], ['f'], intAttribute('axis', 5)),
        node('Relu', ['d'], ['g']),
        x,
        input('c', [], 9),
        output('g'),
      ]),
    );
    const { total, supported, refused } = supportedNodes({ graph, parameters });
    expect([total, supported]).toEqual([6, 2]);
    expect(refused).toEqual([
      { node: 'choice', op: 'If', domain: '', attribute: 'then_branch', reason: 'then_branch is a subgraph' },
      { node: 'Mystery_2', op: 'Mystery', domain: 'my.ops', reason: 'its domain my.ops is unknown' },
      {
        node: 'Elu_3',
        op: 'Elu',
        domain: '',
        attribute: 'beta',
        reason: expect.stringMatching(/has the attributes alpha/),
      },
      {
        node: 'Concat_4',
        op: 'Concat',
        domain: '',
        attribute: 'axis',
        reason: expect.stringMatching(/axis must be from -1 to 0/),
      },
    ]);
  });

  test('looks deeper where shapes are given', () => {
    const file = model([node('Flatten', ['x'], ['y'], intAttribute('axis', 3)), input('x', ['n', 2]), y]);
    expect(supportedNodes(readOnnx(file)).supported).toBe(1);
    expect(supportedNodes(readOnnx(file), { batch: 1 }).refused[0]).toMatchObject({ attribute: 'axis' });
    expect(() => supportedNodes(readOnnx(file), { shapes: { m: 1 } })).toThrow(/shapes may name/);
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
