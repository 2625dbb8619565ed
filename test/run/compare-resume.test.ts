// A comparison that goes on from what an earlier one reported: the same rows, from wherever it stopped.
import { describe, expect, test } from 'vitest';
import {
  type CompareOptions,
  type CompareRow,
  type CompareState,
  compareModel,
} from '../../src/run/compare.ts';
import { residualGraph, withParameters } from '../support/branching-models.ts';
import { sampled, seeded, useRuntime } from '../support/runtime.ts';

const context = useRuntime();
const random = seeded(5);
const model = withParameters(residualGraph);
const { height, width, channels } = residualGraph.input;
const COUNT = 11;
const images = Uint8Array.from({ length: COUNT * height * width * channels }, () => random.integer(0, 255));
const labels = Uint8Array.from({ length: COUNT }, () => random.integer(0, 4));
const rows = ['fp32', 'kmeans-2', 'linear-2-qat', 'linear-8'];

const compare = (options: Partial<CompareOptions> = {}) =>
  compareModel(context.runtime, model, images, labels, { calibration: images, rows, batch: 4, ...options });
const untimed = (all: readonly CompareRow[]) => all.map(({ imagesPerSecond: _, ...row }) => row);
/** As a file would hold it: the arrays of a state go on being filled. */
const copied = (state: CompareState) => structuredClone(state);

describe('a comparison that is resumed', () => {
  test('ends with the same rows, from every state', async () => {
    const states: CompareState[] = [];
    const whole = await compare({ onState: (state) => void states.push(copied(state)) });
    const places = states.map(({ rows: done, current }) => [done.length, current?.name, current?.images]);
    // Not trained is a row too; a software adapter reports every batch, a GPU fewer.
    expect(places).toContainEqual([1, undefined, undefined]);
    expect(places.some(([, name]) => name === 'linear-8')).toBe(true);
    for (const resume of sampled('states to resume', states, 4)) {
      const networks: string[] = [];
      const logits = new Map<string, number>();
      const seen: [string, number][] = [];
      const resumed = await compare({
        resume: copied(resume),
        onNetwork: (name) => void networks.push(name),
        onRow: (row, measured) => void logits.set(row.name, measured?.logits.length ?? 0),
        onProgress: ({ row, done }) => void seen.push([row, done]),
      });
      expect(untimed(resumed.rows)).toEqual(untimed(whole.rows));
      for (const row of resumed.rows) if (row.status === 'ok') expect(row.imagesPerSecond).toBeGreaterThan(0);
      // What was done is not done again.
      const before = resume.rows.map(({ name }) => name as string);
      expect(networks.filter((name) => before.includes(name))).toEqual([]);
      const { current } = resume;
      if (current) expect(seen[0]).toEqual([current.name, Math.min(current.images + 4, COUNT)]);
      for (const name of networks) expect(logits.get(name)).toBe(COUNT * 5);
    }
  });

  test('after a signal, from the last state before it', async () => {
    const controller = new AbortController();
    let last: CompareState | undefined;
    const stopped = compare({
      signal: controller.signal,
      onState(state) {
        last = copied(state);
        if (state.current?.name === 'kmeans-2') controller.abort(new Error('stopped'));
      },
    });
    await expect(stopped).rejects.toThrow('stopped');
    const { images: done, logits } = last!.current!;
    expect([done, logits.length]).toEqual([4, 20]);
    expect(untimed((await compare({ resume: last })).rows)).toEqual(untimed((await compare()).rows));
  });

  test('with a state of something else is refused', async () => {
    const states: CompareState[] = [];
    await compare({ rows: ['kmeans-2'], onState: (state) => void states.push(copied(state)) });
    const within = states.find(({ current }) => current?.name === 'kmeans-2')!;
    const current = within.current!;
    const reference = within.reference;
    for (const [wrong, rule] of [
      [{ reference: reference.slice(5) }, /must have the fp32 logits of all images/],
      [{ reference: new Float32Array(0) }, /must have the fp32 row together with its logits/],
      [{ rows: [] }, /must have the fp32 row together with its logits/],
      [{ current: { ...current, images: 3 } }, /logits of whole batches, of fewer than 11 images/],
      [{ current: { ...current, images: 12, logits: new Float32Array(60) } }, /of fewer than 11 images/],
      [{ current: { ...current, logits: current.logits.slice(1) } }, /received "19 values for 4 images"/],
    ] as [Partial<CompareState>, RegExp][]) {
      await expect(compare({ rows: ['kmeans-2'], resume: { ...within, ...wrong } })).rejects.toThrow(rule);
    }
  });
});
