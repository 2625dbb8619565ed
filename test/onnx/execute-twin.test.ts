import { readdir, readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { executeTwin, twins } from '../../src/graph/ops/execute-twin.ts';
import { planOperator } from '../../src/graph/ops/operators.ts';
import type { OnnxTensor } from '../../src/graph/ops/tensors.ts';
import { numbersOf } from '../../src/graph/ops/value.ts';
import { add } from '../../src/kernels/add.ts';
import { type Attributes, type OperatorName, runOperator } from '../../src/onnx/index.ts';
import { f32 } from '../support/onnx-tensors.ts';
import { firstApart, int64s, randomTensor } from '../support/planned.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();
const random = seeded(81);
const x = (...dims: number[]) => randomTensor(random, 'float32', dims, 1);

/** Plans of several steps, of views and of what is known, on the host and on the GPU. */
const CASES: [OperatorName, (OnnxTensor | null)[], Attributes, number?][] = [
  ['Mean', [x(2, 3), x(3), x(4, 1, 1)], {}],
  ['Pow', [randomTensor(random, 'int32', [5], 1), f32(2)], {}],
  ['Cast', [x(7)], { to: 2 }],
  ['Concat', [x(2, 3), x(2, 0), x(2, 4)], { axis: 1 }],
  ['Split', [x(7, 2), int64s(3, 4)], {}],
  ['Reshape', [x(2, 3), int64s(-1)], {}],
  ['Shape', [x(2, 3)], {}],
  ['ReduceL2', [x(3, 150), int64s(1)], {}],
  ['LayerNormalization', [x(3, 200), x(200), x(1)], {}, 3],
  ['Resize', [x(1, 1, 5, 6), null, f32(1, 1, 1.5, 0.7)], { mode: 'cubic', antialias: 1 }],
  ['MaxPool', [x(1, 2, 9)], { kernel_shape: [3] }, 2],
  ['Conv', [x(2, 3, 4), x(5, 3, 1)], {}],
];

for (const [operator, inputs, attributes, outputs] of CASES) {
  test(`${operator} on the host is what it is on the GPU`, async () => {
    const expected = executeTwin(planOperator({ operator, inputs, attributes, outputs }), inputs);
    const received = await runOperator(gpu.runtime, operator, inputs, attributes, { outputs });
    expect(received.map(({ dtype, dims }) => ({ dtype, dims }))).toEqual(
      expected.map(({ dtype, dims }) => ({ dtype, dims })),
    );
    for (const [i, tensor] of received.entries()) {
      expect(firstApart(numbersOf(tensor), expected[i].data, 1e-5), `output ${i}`).toBe(-1);
    }
  });
}

test('a step without a twin is named', () => {
  const plan = planOperator({ operator: 'Relu', inputs: [x(3)], attributes: {} });
  const steps = plan.steps.map((step) => ({ ...step, kernel: add as never }));
  expect(() => executeTwin({ ...plan, steps }, [x(3)])).toThrow(
    /needs the twin of its kernel; received "add"/,
  );
});

test('every kernel that the steps of operators dispatch has its twin', async () => {
  const folder = new URL('../../src/graph/ops/', import.meta.url);
  const used = new Set<string>();
  for (const file of await readdir(folder)) {
    const source = await readFile(new URL(file, folder), 'utf8');
    for (const [, stem] of source.matchAll(/from '\.\.\/\.\.\/kernels\/([a-z0-9-]+)\.ts'/g)) used.add(stem);
  }
  expect([...used].sort()).toEqual(Object.keys(twins).sort());
});
