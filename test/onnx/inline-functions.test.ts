// A model's own functions, inlined as it is read.
import { describe, expect, test } from 'vitest';
import { readOnnx } from '../../src/onnx/read-onnx.ts';
import { writeOnnx } from '../../src/onnx/write-onnx.ts';
import { interpretGraph } from '../support/interpret-graph.ts';
import { bytes, float32, integer, join, text } from '../support/onnx-model.ts';
import {
  attribute,
  floatAttribute,
  inDomain,
  initializer,
  input,
  localFunction,
  model,
  named,
  node,
  opsetImport,
  output,
  type Part,
} from '../support/onnx-protos.ts';
import { f32 } from '../support/onnx-tensors.ts';

const x = input('x', [2]);
const y = output('y');
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

  test('called under one name, or under none, make values of their own', () => {
    const calls = [named('c'), named('c'), named('Scaled_3'), join([])].map((name, i) =>
      node('Scaled', [i === 0 ? 'x' : `v${i - 1}`, 'w'], [`v${i}`], inDomain('my'), name),
    );
    const taken = node('Neg', ['v3'], ['c/t']);
    const parts = [...calls, taken, graph[1], x, output('c/t')];
    const read = readOnnx(model(parts, scaled, ...imports));
    expect(new Set(read.graph.nodes.map(({ name }) => name)).size).toBe(9);
    // LeakyRelu of 0.01, plus 1, four times; then the sign.
    const expected = [-2, 2].map((value) => {
      let result = value;
      for (let i = 0; i < 4; i++) result = (result < 0 ? 0.01 * result : result) + 1;
      return -result;
    });
    for (const [i, value] of interpretGraph(read, { x: f32(-2, 2) })['c/t'].data.entries()) {
      expect(value).toBeCloseTo(expected[i], 6);
    }
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

  test('with a subgraph inside are refused by name; one handed in keeps the name of its place', () => {
    const branch = bytes(6, [text(2, 'sub')]);
    const inside = node('If', ['a'], ['r'], attribute('then_branch', 5, branch));
    const held = localFunction('my', 'Scaled', ['a', 'b'], ['r'], [inside]);
    expect(() => readOnnx(model(graph, held, ...imports))).toThrow(/call: If in its function has a subgraph/);

    const place = bytes(5, [text(1, 'then_branch'), integer(20, 5), text(21, 'alpha')]);
    const taking = localFunction('my', 'Scaled', ['a', 'b'], ['r'], [node('If', ['a'], ['r'], place)]);
    const given = node('Scaled', ['x'], ['y'], inDomain('my'), attribute('alpha', 5, branch));
    const read = readOnnx(model([given, x, y], taking, ...imports));
    expect(Object.keys(read.graph.nodes[0].attributes)).toEqual(['then_branch']);
    expect(readOnnx(writeOnnx(read))).toEqual(read);
  });
});
