// Which nodes of a model run, and why the others do not.
import { describe, expect, test } from 'vitest';
import { readOnnx } from '../../src/onnx/read-onnx.ts';
import { supportedNodes } from '../../src/onnx/supported-nodes.ts';
import { bytes, text } from '../support/onnx-model.ts';
import {
  attribute,
  inDomain,
  input,
  intAttribute,
  model,
  named,
  node,
  output,
} from '../support/onnx-protos.ts';

const x = input('x', [2]);
const y = output('y');
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
