import { describe, expect, test } from 'vitest';
import { CELL_ACTIVATIONS, CELLS, recurrent } from '../../src/kernels/recurrent.ts';
import { recurrentReference } from '../../src/reference/recurrent.ts';
import { firstApart } from '../support/planned.ts';
import { guardedOutput, seeded, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();
const GATES = { RNN: 1, GRU: 3, LSTM: 4 };

interface Made {
  times?: number;
  batches?: number;
  hidden?: number;
  clip?: number;
  wrong?: object;
  [override: string]: unknown;
}

/** The states and every output of a cell, the second direction of two, batches first. */
async function apart(cell: keyof typeof CELLS, made: Made = {}): Promise<number> {
  const { times = 4, batches = 3, hidden = 5, clip = 0, wrong = {}, ...overrides } = made;
  const random = seeded(times + 10 * batches + 100 * hidden);
  const width = GATES[cell] * hidden;
  const inputs = random.floats(times * batches * width, 1);
  const weights = random.floats(2 * width * hidden, 0.5);
  const extra = random.floats(3 * hidden + 2, 1);
  const lengths = Int32Array.from({ length: batches }, (_, b) => (b * 2) % (times + 1));
  const states = random.floats(4 * batches * hidden, 1);
  const params = {
    ...{ times, batches, hidden, inputTime: width, inputBatch: times * width, weightOffset: width * hidden },
    ...{
      extraOffset: 2,
      outputTime: 2 * hidden,
      outputBatch: times * 2 * hidden,
      outputOffset: hidden,
      clip,
    },
    ...{ fAlpha: 0.3, fBeta: 0.4, gAlpha: 0.7, gBeta: 0.2, hAlpha: 1.5, hBeta: 0.5 },
  };
  const specialization = { CELL: CELLS[cell], LENGTHS: 1, ...overrides } as Record<string, number>;
  const size = times * batches * 2 * hidden;
  const twin = { states: Float64Array.from(states), output: new Float64Array(size).fill(7) };
  const doubles = Object.entries({ inputs, weights, extra, lengths }).map(([key, data]) => [
    key,
    Float64Array.from(data),
  ]);
  recurrentReference({ ...Object.fromEntries(doubles), ...twin }, params, { ...specialization, ...wrong });
  const [held, output] = [
    guardedOutput(gpu.runtime, states.byteLength),
    guardedOutput(gpu.runtime, size * 4),
  ];
  const { queue } = gpu.runtime.device;
  queue.writeBuffer(held.slice.buffer, held.slice.offset, states);
  // Another direction's half must stay.
  queue.writeBuffer(output.slice.buffer, output.slice.offset, new Float32Array(size).fill(7));
  await gpu.runtime.scope(async ({ upload, keep }) => {
    const compiled = await recurrent.create(gpu.runtime.device, specialization);
    const read = {
      inputs: upload(inputs),
      weights: upload(weights),
      extra: upload(extra),
      lengths: upload(lengths),
    };
    gpu.runtime.submit([keep(compiled.bind({ ...read, states: held.slice, output: output.slice }, params))]);
  });
  const kept = 2 * batches * hidden;
  const [h, y] = [new Float32Array(await held.read()), new Float32Array(await output.read())];
  return Math.max(
    firstApart(h.subarray(0, kept), twin.states.subarray(0, kept), 2e-6),
    firstApart(y, twin.output, 2e-6),
  );
}

describe('recurrent', () => {
  test('every cell, both ways, in every variant', async () => {
    for (const REVERSE of [0, 1]) {
      expect(await apart('RNN', { REVERSE, F: 2 })).toBe(-1);
      for (const LINEAR of [0, 1]) expect(await apart('GRU', { REVERSE, LINEAR })).toBe(-1);
      for (const [COUPLED, PEEPHOLES] of [
        [0, 0],
        [1, 0],
        [0, 1],
      ])
        expect(await apart('LSTM', { REVERSE, COUPLED, PEEPHOLES }), `${COUPLED} ${PEEPHOLES}`).toBe(-1);
    }
  });

  test('every activation, clipped too', async () => {
    for (const F of Object.values(CELL_ACTIVATIONS))
      expect(await apart('RNN', { F, clip: 0.6 }), `${F}`).toBe(-1);
    expect(await apart('LSTM', { F: 8, G: 10, H: 7 })).toBe(-1);
  });

  test('one unit, more units than threads, more sequences than a dispatch is wide', async () => {
    expect(await apart('LSTM', { hidden: 1, batches: 1, times: 1, LENGTHS: 0 })).toBe(-1);
    for (const hidden of [63, 64, 65])
      expect(await apart('GRU', { hidden, times: 2, WORKGROUP_SIZE: 32 })).toBe(-1);
    expect(await apart('RNN', { hidden: 1, batches: 65_537, times: 1 })).toBe(-1);
  });

  test('known-wrong cells are told apart', async () => {
    expect(await apart('GRU', { LINEAR: 1, wrong: { LINEAR: 0 } })).not.toBe(-1);
    expect(await apart('LSTM', { REVERSE: 1, wrong: { REVERSE: 0 } })).not.toBe(-1);
    expect(await apart('LSTM', { PEEPHOLES: 1, wrong: { PEEPHOLES: 0 } })).not.toBe(-1);
    expect(await apart('RNN', { wrong: { LENGTHS: 0 } })).not.toBe(-1);
  });
});
