// If, Loop and Scan whose way follows from constants and sizes: what ONNX Runtime makes of them, else named.
import { describe, expect, test } from 'vitest';
import type { GraphModel } from '../../src/graph/graph.ts';
import type { OnnxTensor } from '../../src/graph/ops/tensors.ts';
import { type ReadOnnxOptions, readOnnx, supportedNodes, writeOnnx } from '../../src/onnx/index.ts';
import { quantizeModel } from '../../src/run/precision.ts';
import { compile } from '../../src/run/session.ts';
import { bytes, text } from '../support/onnx-model.ts';
import { floats, of, runOnOrt } from '../support/onnx-models.ts';
import {
  attribute,
  initializer,
  input,
  intAttribute,
  model,
  named,
  node,
  opsetImport,
  output,
  type Part,
  raw,
} from '../support/onnx-protos.ts';
import { useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();
const [FLOAT, INT64, BOOL] = [1, 7, 9];
const graph = (...parts: Part[]): Part => bytes(6, [text(2, 'sub'), ...parts]);
const body = (name: string, ...parts: Part[]): Part => attribute(name, 5, graph(...parts));
const branches = (then: readonly Part[], other: readonly Part[]): Part[] => [
  body('then_branch', ...then),
  body('else_branch', ...other),
];
const intsAttribute = (name: string, ...values: number[]): Part =>
  attribute(name, 7, ...values.map((value) => Uint8Array.of(0x40, value)));
const number = (name: string, value: bigint): Part =>
  initializer(name, INT64, [], raw(BigInt64Array.of(value)));
const numbers = (name: string, ...values: bigint[]): Part =>
  initializer(name, INT64, [values.length], raw(BigInt64Array.from(values)));
const single = (name: string, value: number): Part =>
  initializer(name, FLOAT, [], raw(Float32Array.of(value)));

type Feeds = Record<string, OnnxTensor>;

/** Outputs here are those of ONNX Runtime, and so are those of what was read, written again. */
async function holds(file: Uint8Array, feeds: Feeds, options: ReadOnnxOptions = {}) {
  const read = readOnnx(file, options);
  const { constants = {} } = options;
  const given = Object.fromEntries(Object.entries(feeds).filter(([name]) => !(name in constants)));
  const shapes = Object.fromEntries(Object.entries(given).map(([name, { dims }]) => [name, dims]));
  const { total, supported } = supportedNodes(read, { shapes });
  expect(supported).toBe(total);
  const want = await runOnOrt(file, feeds);
  const session = await compile(gpu.runtime, read, { shapes });
  const got = await session.run(given);
  session.destroy();
  const again = await runOnOrt(writeOnnx(read), given);
  for (const [name, { dims, data }] of Object.entries(want)) {
    expect(got[name].dims, name).toEqual(dims);
    for (const made of [got[name].data, again[name].data]) {
      expect(Array.from(made as Float32Array, Number), name).toEqual(
        Array.from(data as Float32Array, (value) => expect.closeTo(Number(value), 5)),
      );
    }
  }
  return read;
}

const ops = ({ graph: { nodes } }: GraphModel) => nodes.map(({ op }) => op);

describe('If', () => {
  /** Squeezes the first dimension where it is 1, as PyTorch exports `x.squeeze(0)`. */
  const squeeze = [
    node('Shape', ['x'], ['shape']),
    node('Gather', ['shape', 'zero'], ['first']),
    node('Equal', ['first', 'one'], ['is_one']),
    node(
      'If',
      ['is_one'],
      ['y'],
      named('choice'),
      ...branches(
        [node('Squeeze', ['x', 'axes'], ['squeezed']), numbers('axes', 0n), output('squeezed')],
        [node('Identity', ['x'], ['kept']), output('kept')],
      ),
    ),
    number('zero', 0n),
    number('one', 1n),
    output('y'),
  ];

  test.each([1, 2])('by the size of an input, %i', async (size) => {
    const file = model([...squeeze, input('x', ['n', 3])]);
    const read = await holds(file, { x: floats(1, size, 3) }, { shapes: { n: size } });
    expect(ops(read)).toContain(size === 1 ? 'Squeeze' : 'Identity');
    expect(ops(read)).not.toContain('If');
  });

  test('by a size that compile is given, and others later', async () => {
    const read = readOnnx(model([...squeeze, input('x', ['n', 3])]));
    expect(ops(read)).toContain('If');
    expect(supportedNodes(read).refused).toMatchObject([
      { node: 'choice', attribute: 'then_branch', reason: 'then_branch is a subgraph' },
    ]);
    expect(supportedNodes(read, { shapes: { n: 1 } }).refused).toEqual([]);
    const session = await compile(gpu.runtime, read, { shapes: { n: 1 } });
    const feed = (n: number) => ({ x: floats(n, n, 3) });
    expect((await session.run(feed(1))).y.dims).toEqual([3]);
    expect((await session.run(feed(2))).y).toMatchObject({ dims: [2, 3], data: feed(2).x.data });
    session.destroy();
  });

  test('within If, with names that are taken and values of the graphs around', async () => {
    const inner = (name: string, value: number, operator: string): Part[] => [
      single('c', value),
      node(operator, ['t', 'c'], ['u'], named('same')),
      node('Add', ['u', 'x'], ['v']),
      output(name),
    ];
    const nested = (flag: string): Part[] => [
      node('Mul', ['x', 'two'], ['t'], named('same')),
      node('If', [flag], ['w'], ...branches(inner('v', 3, 'Add'), inner('u', 5, 'Mul'))),
      node('Sub', ['w', 'c2'], ['z'], named('other')),
      single('c2', 0.25),
      output('z'),
    ];
    const flag = (name: string, value: number): Part =>
      initializer(name, BOOL, [], raw(Uint8Array.of(value)));
    for (const [outer, within] of [
      [1, 0],
      [1, 1],
      [0, 1],
    ]) {
      const file = model([
        node('If', ['outer'], ['first'], ...branches(nested('within'), nested('outer'))),
        node('If', ['within'], ['second'], ...branches(nested('outer'), nested('within'))),
        node('Add', ['first', 'second'], ['y'], named('same')),
        ...[flag('outer', outer), flag('within', within), single('two', 2)],
        input('x', [2, 3]),
        output('y'),
      ]);
      const read = await holds(file, { x: floats(3, 2, 3) });
      const names = read.graph.nodes.map(({ name }) => name);
      expect(new Set(names).size).toBe(names.length);
    }
  });

  test('gives constants, outer values and one value twice', async () => {
    // ONNX Runtime wants an Identity between an outer value and an output.
    const then = [single('k', 4), node('Neg', ['x'], ['n']), ...['k', 'x', 'n', 'n'].map(output)];
    const other = ['x', 'x', 'x', 'x'].map(output);
    const yes = initializer('yes', BOOL, [1], raw(Uint8Array.of(1)));
    const outputs = ['a', 'b', 'c', 'd'];
    const file = model([
      node('If', ['yes'], outputs, ...branches(then, other)),
      ...[yes, input('x', [3]), ...outputs.map(output)],
    ]);
    const x = floats(4, 3);
    const session = await compile(gpu.runtime, readOnnx(file));
    const { a, b, c, d } = await session.run({ x });
    session.destroy();
    expect(a).toEqual(of('float32', [], Float32Array.of(4)));
    expect(b.data).toEqual(x.data);
    expect(c.data).toEqual((x.data as Float32Array).map((value) => -value));
    expect(d.data).toEqual(c.data);
  });

  const byInput = [
    node('Equal', ['rate', 'wanted'], ['same']),
    node(
      'If',
      ['same'],
      ['y'],
      ...branches([node('Abs', ['x'], ['a']), output('a')], [node('Neg', ['x'], ['b']), output('b')]),
    ),
    number('wanted', 16000n),
    input('rate', [], INT64),
    input('x', ['n']),
    output('y'),
  ];

  test.each([16000, 8000])('by an input that is a constant, %i', async (rate) => {
    const feeds = { x: floats(5, 4), rate: of('int64', [], BigInt64Array.of(BigInt(rate))) };
    const read = await holds(model(byInput), feeds, { constants: { rate } });
    expect(read.graph.inputs.map(({ name }) => name)).toEqual(['x']);
    expect(ops(read)).toContain(rate === 16000 ? 'Abs' : 'Neg');
    await holds(model(byInput), feeds, { constants: { rate: feeds.rate } });
  });

  test('by what the network is given is refused, and written as it came', async () => {
    const file = writeOnnx(readOnnx(model(byInput)));
    expect(Buffer.compare(writeOnnx(readOnnx(file)), file)).toBe(0);
    const read = readOnnx(file);
    const shapes = { n: 2 };
    await expect(compile(gpu.runtime, read, { shapes })).rejects.toThrow(/If_1 \(If\): control flow depends/);
    const options = { method: 'kmeans', bits: 4, shapes } as const;
    await expect(quantizeModel(gpu.runtime, read, options)).rejects.toThrow(/which branch an If takes.*If_1/);
  });

  test('constants that the inputs contradict are refused', () => {
    const refused = (constants: Record<string, number | OnnxTensor>) => () =>
      readOnnx(model(byInput), { constants });
    expect(refused({ rat: 1 })).toThrow(/constants may name inputs; received "rat"; they are rate, x/);
    expect(refused({ rate: 0.5 })).toThrow(/rate must be int64 \[\]; received 0.5/);
    expect(refused({ x: of('float32', [1, 1], Float32Array.of(1)) })).toThrow(/x must be float32 \[n\]/);
    expect(refused({ rate: floats(1) })).toThrow(/rate must be int64 \[\]; received "float32 \[\]"/);
  });

  test('what a branch reads is made before, and kept', () => {
    const file = model([
      node('If', ['c'], ['y'], ...branches([output('late')], [output('late')])),
      node('Neg', ['x'], ['late']),
      input('c', [], BOOL),
      input('x', [2]),
      output('y'),
    ]);
    expect(ops(readOnnx(file))).toEqual(['Neg', 'If']);
    const constants = { c: 1 };
    expect(ops(readOnnx(file, { constants }))).toEqual(['Neg', 'Identity']);
  });
});

describe('Loop', () => {
  /** x = x * 2 + i, each round's value and the round kept. */
  const rounds = (trips: Part[], ...rest: Part[]): Part[] => [
    node(
      'Loop',
      ['trips', '', 'x'],
      ['last', 'all'],
      body(
        'body',
        ...[input('i', [], INT64), input('go', [], BOOL), input('v', [2])],
        node('Cast', ['i'], ['f'], intAttribute('to', FLOAT)),
        node('Mul', ['v', 'two'], ['m']),
        node('Add', ['m', 'f'], ['w']),
        node('Identity', ['go'], ['on']),
        node('Identity', ['w'], ['piece']),
        ...['on', 'w', 'piece'].map(output),
      ),
    ),
    single('two', 2),
    ...trips,
    ...rest,
    ...['last', 'all'].map(output),
  ];

  test.each([11, 13])('of a known number of rounds, opset %i', async (opset) => {
    const parts = [...rounds([number('trips', 3n)]), input('x', [2])];
    const read = await holds(model(parts, opsetImport(opset)), { x: floats(6, 2) });
    expect(ops(read).filter((op) => op === 'Mul').length).toBe(3);
  });

  test('of as many rounds as an input has rows, over its rows', async () => {
    const file = model([
      node('Shape', ['rows'], ['shape']),
      node('Gather', ['shape', 'zero'], ['trips']),
      node(
        'Loop',
        ['trips', 'yes', 'start'],
        ['sum'],
        body(
          'body',
          ...[input('i', [], INT64), input('go', [], BOOL), input('v', [3])],
          node('Gather', ['rows', 'i'], ['row']),
          node('Add', ['v', 'row'], ['w']),
          initializer('on', BOOL, [], raw(Uint8Array.of(1))),
          ...['on', 'w'].map(output),
        ),
      ),
      ...[number('zero', 0n), initializer('yes', BOOL, [], raw(Uint8Array.of(1)))],
      ...[input('rows', [4, 3]), input('start', [3]), output('sum')],
    ]);
    await holds(file, { rows: floats(7, 4, 3), start: floats(8, 3) });
  });

  test('until its condition is no more', async () => {
    const file = model([
      node(
        'Loop',
        ['', 'yes', 'zero', 'x'],
        ['count', 'y'],
        body(
          'body',
          ...[input('i', [], INT64), input('go', [], BOOL), input('n', [], INT64), input('v', [2])],
          node('Add', ['n', 'one'], ['next']),
          node('Neg', ['v'], ['w']),
          node('Less', ['next', 'five'], ['on']),
          ...['on', 'next', 'w'].map(output),
        ),
      ),
      ...[number('zero', 0n), number('one', 1n), number('five', 5n)],
      ...[initializer('yes', BOOL, [], raw(Uint8Array.of(1))), input('x', [2]), output('count'), output('y')],
    ]);
    const read = await holds(file, { x: floats(9, 2) });
    expect(ops(read).filter((op) => op === 'Neg').length).toBe(5);
  });

  test('of rounds that an input counts, or too many of them, is refused by name', () => {
    const open = readOnnx(model(rounds([], input('x', [2]), input('trips', [], INT64))));
    expect(supportedNodes(open).refused).toMatchObject([{ node: 'Loop_0', reason: 'body is a subgraph' }]);
    const many = readOnnx(model(rounds([number('trips', 2n ** 40n)], input('x', [2]))));
    expect(supportedNodes(many).refused).toMatchObject([{ node: 'Loop_0' }]);
    const none = readOnnx(model(rounds([number('trips', 0n)], input('x', [2]))));
    expect(supportedNodes(none).refused).toMatchObject([{ node: 'Loop_0' }]);
  });
});

describe('hostile', () => {
  test('a Loop without an end or nodes ends', () => {
    const empty = body('body', ...[input('i', [], INT64), input('go', [], BOOL)], output('go'));
    const file = model([
      node('Loop', ['', ''], [''], empty),
      node('Neg', ['x'], ['y']),
      input('x', [1]),
      output('y'),
    ]);
    expect(ops(readOnnx(file))).toEqual(['Loop', 'Neg']);
  });

  test('loops in loops stay within bounds', () => {
    const round = (...parts: Part[]): Part =>
      body('body', input('i', [], INT64), input('go', [], BOOL), ...parts, output('go'));
    let inner = round();
    for (let i = 0; i < 4; i++) inner = round(node('Loop', ['thousand', ''], [''], inner));
    const parts = [node('Loop', ['thousand', ''], [''], inner), node('Neg', ['x'], ['y'])];
    const file = model([...parts, number('thousand', 1000n), input('x', [1]), output('y')]);
    const started = performance.now();
    expect(ops(readOnnx(file))).toEqual(['Loop', 'Neg']);
    expect(performance.now() - started).toBeLessThan(5000);
  });

  test('graphs in graphs, deeper than any exporter’s, stay bytes', () => {
    let inner: Part = body('then_branch', node('Neg', ['x'], ['v']), output('v'));
    for (let i = 0; i < 400; i++) inner = body('then_branch', node('If', ['yes'], ['v'], inner), output('v'));
    const yes = initializer('yes', BOOL, [], raw(Uint8Array.of(1)));
    const file = model([node('If', ['yes'], ['y'], inner), yes, input('x', [1]), output('y')]);
    expect(ops(readOnnx(file))).toEqual(['If']);
  });
});

test.each([0, 1])('Scan, in direction %i', async (direction) => {
  const file = model([
    node(
      'Scan',
      ['start', 'a', 'b'],
      ['last', 'sums', 'products'],
      intAttribute('num_scan_inputs', 2),
      intsAttribute('scan_input_axes', 0, 1),
      intsAttribute('scan_input_directions', direction, 0),
      intsAttribute('scan_output_axes', 0, 1),
      intsAttribute('scan_output_directions', 0, direction),
      body(
        'body',
        ...[input('s', [2]), input('p', [2]), input('q', [2])],
        node('Add', ['s', 'p'], ['t']),
        node('Mul', ['t', 'q'], ['u']),
        node('Identity', ['t'], ['copy']),
        ...['t', 'copy', 'u'].map(output),
      ),
    ),
    ...[input('start', [2]), input('a', [3, 2]), input('b', [2, 3])],
    ...['last', 'sums', 'products'].map(output),
  ]);
  await holds(file, { start: floats(1, 2), a: floats(2, 3, 2), b: floats(3, 2, 3) });
});
