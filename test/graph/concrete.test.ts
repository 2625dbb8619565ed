import { expect, test } from 'vitest';
import { concreteGraph, whyUnknown } from '../../src/graph/concrete.ts';
import { GraphWriter } from '../../src/graph/graph-writer.ts';
import { interpretReference } from '../../src/reference/interpreter/interpret.ts';

function small() {
  const w = new GraphWriter('small', 17);
  const x = w.input({ name: 'x', dtype: 'float32', shape: ['n', 2] });
  const m = w.constant('w', { dtype: 'float32', dims: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) });
  const p = w.node('MatMul', 'p', [x, m]);
  const s = w.node('Shape', 's', [p]);
  const g = w.node(
    'Gather',
    'g',
    [s, w.constant('i', { dtype: 'int64', dims: [1], data: BigInt64Array.of(0n) })],
    { axis: 0 },
  );
  const sh = w.node('Concat', 'sh', [g, w.integers('three', [3]), w.integers('one', [1])], { axis: 0 });
  const r = w.node('Reshape', 'r', [p, sh]);
  return w.model([r, p]);
}
test('shape arithmetic is folded, outputs are those of the definition', () => {
  const out = interpretReference(small(), {
    x: { dtype: 'float32', dims: [2, 2], data: Float32Array.of(1, 0, 0, 1) },
  });
  expect(out.r.dims).toEqual([2, 3, 1]);
  expect([...out.p.data]).toEqual([1, 2, 3, 4, 5, 6]);
  const c = concreteGraph(small(), { batch: 5 });
  expect(c.nodes.map((n) => n.op)).toEqual(['MatMul', 'Reshape']);
  expect(() => concreteGraph(small())).toThrow(/every symbol/);
});
test('every unknown operator is named at once', () => {
  const m = small();
  const nodes = [
    ...m.graph.nodes,
    { op: 'Foo', name: 'a', inputs: ['r'], outputs: ['a'], attributes: {} },
    { op: 'Bar', domain: 'x.y', name: 'b', inputs: ['a'], outputs: ['b'], attributes: {} },
  ];
  expect(() => concreteGraph({ ...m, graph: { ...m.graph, nodes, outputs: ['b'] } })).toThrow(
    /a \(Foo\).*b \(Bar\): its domain/s,
  );
});

test('an empty name leaves an input out, as null does', () => {
  const w = new GraphWriter('clipped', 17);
  const x = w.input({ name: 'x', dtype: 'float32', shape: [3] });
  const y = w.node('Clip', 'y', [x, '', w.scalar('high', 1)]);
  expect(concreteGraph(w.model([y])).nodes[0].inputs).toEqual(['x', null, 'high']);
});

test.each([
  ['Loop', /control flow/],
  ['NonMaxSuppression', /how many elements/],
  ['SequenceAt', /no sequences/],
  ['StringNormalizer', /no strings/],
  ['RandomNormal', /the same each time/],
  ['STFT', /no complex numbers/],
  ['Det', /there is no such operator here/],
  ['Gelu', /from opset 20, and the graph has 17/],
])('%s has no counterpart, and says why', (op, reason) => {
  const node = { op, name: 'n', inputs: ['x'], outputs: ['y'], attributes: {} };
  expect(whyUnknown(node, 17)).toMatch(reason);
  expect(whyUnknown({ ...node, op: 'Gelu', domain: 'com.microsoft' }, 17)).toBe(null);
});

test('a first output that nobody reads goes by a name of its own', () => {
  const w = new GraphWriter('unread', 17);
  const x = w.input({ name: 'x', dtype: 'float32', shape: [2, 1, 3] });
  const [weights, states] = [3, 4].map((columns, i) =>
    w.constant(`w${i}`, {
      dtype: 'float32',
      dims: [1, 16, columns],
      data: new Float32Array(16 * columns).fill(0.1),
    }),
  );
  const own = w.model([]);
  const node = { op: 'LSTM', name: 'cell', inputs: [x, weights, states], outputs: ['', 'h'], attributes: {} };
  const c = concreteGraph({ ...own, graph: { ...own.graph, nodes: [node], outputs: ['h'] } });
  expect(c.nodes[0].outputs).toEqual(['cell/unread', 'h']);
  expect(c.values.get('h')!.dims).toEqual([1, 1, 4]);
});
