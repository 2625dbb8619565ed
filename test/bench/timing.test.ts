import { describe, expect, test } from 'vitest';
import { interleave, speedup, timingOf } from '../../bench/timing.ts';

describe('interleave', () => {
  test('runs everybody once a round, in turn, and as often', async () => {
    const order: string[] = [];
    const timed = ['a', 'b', 'c'].map((name) => ({ run: async () => void order.push(name) }));
    const sampled = await interleave(timed, { quick: true });
    expect(order.slice(0, 6).join('')).toBe('abcabc');
    expect(sampled.map(({ samples }) => samples.length)).toEqual([50, 50, 50]);
  });

  test('leaves out whoever throws, and goes on with the others', async () => {
    let runs = 0;
    const broken = {
      async run() {
        if (++runs === 2) throw new Error('lost');
      },
    };
    const [failed, sound] = await interleave([broken, { run: async () => {} }], { quick: true });
    expect(failed).toMatchObject({ failure: new Error('lost'), samples: [{ ms: expect.any(Number) }] });
    expect(sound.samples).toHaveLength(50);
  });

  test('is ended by the signal with what there is, and takes the rounds it is asked for', async () => {
    const controller = new AbortController();
    let runs = 0;
    const run = async () => void (++runs === 5 && controller.abort());
    const sampled = await interleave([{ run }, { run }], { signal: controller.signal });
    expect(sampled.map(({ samples }) => samples.length)).toEqual([3, 2]);
    const gpuTime = async () => 20_000;
    const [asked, unasked] = [
      await interleave([{ run, gpuTime }], { rounds: 7 }),
      await interleave([{ run, gpuTime }]),
    ];
    expect([asked[0].samples.length, unasked[0].samples.length]).toEqual([7, 2]);
  });

  test('what comes before a run is no part of its time; what a run is made of is kept', async () => {
    const wait = () => new Promise((resolve) => setTimeout(resolve, 30));
    let run = 0;
    const timed = {
      before: wait,
      run: async () => void run++,
      parts: () => ({ read: run, compile: 2 * run }),
    };
    const [{ samples }] = await interleave([timed], { quick: true });
    expect(timingOf(samples).medianMs).toBeLessThan(30);
    expect(timingOf(samples.slice(0, 3)).parts).toEqual({ read: 2, compile: 4 });
  });
});

describe('speedup', () => {
  test('is taken round by round: a machine that slows down for all slows no ratio', () => {
    const own = [10, 40, 20].map((ms) => ({ ms, cpuMs: ms }));
    const other = [20, 80, 30, 1000].map((ms) => ({ ms, cpuMs: 4 * ms }));
    expect(speedup(own, other)).toEqual({
      ...{ median: 2, min: 1.5, max: 2, rounds: 3 },
      cpu: { median: 8, min: 6, max: 8 },
    });
  });

  test('has no processor time where one of them knows none, and is null without a common round', () => {
    expect(speedup([{ ms: 1 }], [{ ms: 2, cpuMs: 2 }])).toEqual({ median: 2, min: 2, max: 2, rounds: 1 });
    expect(speedup([], [{ ms: 2 }])).toBeNull();
  });
});
