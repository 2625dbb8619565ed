// The interpreter of networks, an independent witness of the rest, held to ONNX Runtime operator by operator.
import { describe, expect, test } from 'vitest';
import { codeOperators, plannedOperators } from '../../src/graph/ops/operators.ts';
import { definitions, interpretReference } from '../../src/reference/interpreter/interpret.ts';
import { readTensor } from '../../src/reference/interpreter/value.ts';
import { runOnnxRuntime } from '../support/onnx-runtime.ts';
import { operatorCases, peerName } from '../support/operator-cases.ts';
import { firstApart, int64s } from '../support/planned.ts';
import { seeded, THOROUGH } from '../support/runtime.ts';

const COUNT = Number(process.env.LLOYD_CASES ?? (THOROUGH ? 150 : 3));

const text = (value: unknown) =>
  JSON.stringify(value, (_, own) => (typeof own === 'bigint' ? Number(own) : own));

/** How the definition of a case and ONNX Runtime differ, or null. */
async function apart(op: string, seed: number): Promise<string | null> {
  const { inputs, attributes = {}, opset, outputs = 1 } = operatorCases[op](seeded(seed));
  const names = (letter: string, count: number) => Array.from({ length: count }, (_, i) => `${letter}${i}`);
  const given = inputs.map((tensor, i) => (tensor ? `x${i}` : null));
  const { opType, domain } = peerName(op);
  const node = { op: opType, domain, name: op, inputs: given, outputs: names('y', outputs), attributes };
  const label = `${op} #${seed} opset ${opset} ${text(attributes)} of ${inputs.map((x) => x && `${x.dtype}[${x.dims}]`).join(', ')}`;
  const model = {
    graph: {
      opset,
      inputs: given.filter((name) => name !== null).map((name) => ({ name })),
      outputs: node.outputs,
      nodes: [node],
    },
    parameters: new Map(),
  };
  try {
    const got = interpretReference(
      model,
      Object.fromEntries(inputs.flatMap((x, i) => (x ? [[`x${i}`, x]] : []))),
    );
    const want = await runOnnxRuntime({
      ...peerName(op),
      opset,
      inputs: inputs as never,
      outputs: node.outputs.map((name) => got[name].dtype) as never,
      attributes: attributes as never,
    });
    for (const [i, name] of node.outputs.entries()) {
      const { dtype, dims, data } = got[name];
      const peer = readTensor({ ...want[i], dtype });
      if (`${dims}` !== `${peer.dims}`) return `${label}: output ${i} has dims [${dims}], not [${peer.dims}]`;
      const at = firstApart(data, peer.data, dtype === 'float16' ? 2e-3 : dtype === 'float32' ? 2e-5 : 0);
      if (at >= 0) return `${label}: output ${i} has ${data[at]} at ${at}, not ${peer.data[at]}`;
    }
    return null;
  } catch (error) {
    return `${label}: ${(error as Error).message}`;
  }
}

describe('against ONNX Runtime', () => {
  for (const op of Object.keys(operatorCases)) {
    test(`${op}, ${COUNT} cases`, async () => {
      const wrong: string[] = [];
      for (let seed = 0; seed < COUNT; seed++) {
        const found = await apart(op, seed);
        if (found) wrong.push(found);
      }
      expect(wrong).toEqual([]);
    }, 600_000);
  }
});

test('every operator that plans its dispatches has a definition, and cases', () => {
  const float = Object.keys(plannedOperators)
    .filter((op) => !(op in codeOperators))
    .sort();
  expect(Object.keys(definitions).sort()).toEqual(float);
  expect(Object.keys(operatorCases).sort()).toEqual(float);
});

describe('by its own rules', () => {
  const run = (op: string, opset: number, inputs: Parameters<typeof readTensor>[0][], attributes = {}) => {
    const names = inputs.map((_, i) => `x${i}`);
    const node = { op, name: op, inputs: names, outputs: ['y'], attributes };
    const graph = { opset, inputs: names.map((name) => ({ name })), outputs: ['y'], nodes: [node] };
    const given = Object.fromEntries(names.map((name, i) => [name, inputs[i]]));
    return [...interpretReference({ graph, parameters: new Map() }, given).y.data];
  };
  const float = (...data: number[]) => ({ dtype: 'float32', dims: [data.length], data });

  test('NaN goes through, also through extrema', () => {
    for (const op of ['Relu', 'Clip', 'Sigmoid', 'Abs', 'Celu', 'HardSwish', 'Erf', 'Sign', 'Round']) {
      expect([op, ...run(op, 18, [float(Number.NaN)])]).toEqual([op, Number.NaN]);
    }
    expect(run('Max', 18, [float(Number.NaN, 1), float(2, Number.NaN)])).toEqual([Number.NaN, Number.NaN]);
    expect(run('ReduceMin', 18, [float(3, Number.NaN, 1)])).toEqual([Number.NaN]);
    expect(run('Softmax', 18, [float(3, Number.NaN)])).toEqual([Number.NaN, Number.NaN]);
  });

  test('integers wrap: 64-bit ones at 32 bits', () => {
    const large = { dtype: 'int32', dims: [1], data: [2 ** 31 - 1] };
    expect(run('Add', 18, [large, { ...large, data: [2] }])).toEqual([-(2 ** 31) + 1]);
    expect(run('Mul', 18, [int64s(2 ** 30 + 1), int64s(2 ** 30 + 3)])).toEqual([3]);
    expect(
      run('Sub', 18, [
        { ...large, dtype: 'uint8', data: [3] },
        { ...large, dtype: 'uint8', data: [5] },
      ]),
    ).toEqual([254]);
  });

  test('rounding goes to even, casts truncate', () => {
    expect(run('Round', 18, [float(0.5, 1.5, 2.5, -0.5, -1.5)]).map((x) => x + 0)).toEqual([0, 2, 2, 0, -2]);
    expect(run('Cast', 18, [float(1.9, -1.9, 3e9)], { to: 6 })).toEqual([1, -1, 2 ** 31 - 1]);
    expect(run('Cast', 18, [float(1 / 3)], { to: 10 })).toEqual([0.333251953125]);
  });
});
