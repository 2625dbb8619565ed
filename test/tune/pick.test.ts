import { describe, expect, test } from 'vitest';
import { defineKernel } from '../../src/gpu/kernel.ts';
import { type Candidate, type PickOptions, pickCandidate } from '../../src/tune/pick.ts';
import { createTimer, median } from '../../src/tune/timer.ts';
import { useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

/** Doubles its input after `rounds` of work that leaves no trace; `bias` makes the result another one. */
const work = defineKernel({
  name: 'work',
  wgsl: [
    `struct Params { count: u32, rounds: u32, bias: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<u32>;
@group(0) @binding(2) var<storage, read_write> output: array<u32>;
@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= params.count) { return; }
  var x = input[id.x];
  for (var i = 0u; i < params.rounds; i++) { x = x * 1664525u + 1013904223u; }
  output[id.x] = select(input[id.x] * 2u, x, x == 0xffffffffu) + params.bias;
}`,
  ],
  bindings: { input: { access: 'read', type: 'u32' }, output: { access: 'write', type: 'u32' } },
  params: { count: 'u32', rounds: 'u32', bias: 'u32' },
  workgroups: ({ count }) => Math.ceil(count / 64),
});

interface Choice {
  rounds: number;
  bias?: number;
  fails?: boolean;
}

const COUNT = 8192;

function pick(choices: readonly Choice[], over: Partial<PickOptions<Choice>> = {}) {
  const { runtime } = gpu;
  const candidates: Candidate<Choice>[] = choices.map((choice, i) => ({ label: `c${i}`, choice }));
  let open = 0;
  const prepare = async ({ rounds, bias = 0, fails = false }: Choice) => {
    if (fails) throw new Error('it does not compile');
    const input = runtime.upload(Uint32Array.from({ length: COUNT }, (_, i) => i * 7919));
    const output = runtime.empty(COUNT * 4);
    const call = (await work.create(runtime.device)).bind({ input, output }, { count: COUNT, rounds, bias });
    open++;
    return {
      calls: [call],
      output: () => runtime.read(output),
      destroy() {
        open--;
        for (const resource of [call, input, output]) resource.destroy();
      },
    };
  };
  const result = pickCandidate(runtime, { candidates, prepare, deadline: Infinity, ...over });
  return { result, open: () => open };
}

describe('pickCandidate', () => {
  test('takes the one that is several times faster and frees every candidate', async () => {
    const { result, open } = pick([{ rounds: 4000 }, { rounds: 8000 }, { rounds: 40 }]);
    const { candidate, milliseconds, defaultMilliseconds, timed, refused } = await result;
    expect(candidate.label).toBe('c2');
    expect(milliseconds).toBeLessThan(defaultMilliseconds / 2);
    expect({ timed, refused }).toEqual({ timed: 3, refused: [] });
    expect(open()).toBe(0);
  });

  test('keeps the default where nothing is faster', async () => {
    const { candidate, milliseconds, defaultMilliseconds } = await pick([{ rounds: 40 }, { rounds: 8000 }])
      .result;
    expect(candidate.label).toBe('c0');
    expect(milliseconds).toBe(defaultMilliseconds);
  });

  test('refuses a fast one that computes something else, and one that fails', async () => {
    const { result, open } = pick([{ rounds: 4000 }, { rounds: 1, bias: 1 }, { rounds: 1, fails: true }]);
    const { candidate, timed, refused } = await result;
    expect(candidate.label).toBe('c0');
    expect({ timed, refused }).toEqual({ timed: 1, refused: ['c1', 'c2'] });
    expect(open()).toBe(0);
  });

  test('`agrees` decides what is the same', async () => {
    const { candidate } = await pick([{ rounds: 4000 }, { rounds: 1, bias: 1 }], { agrees: () => true })
      .result;
    expect(candidate.label).toBe('c1');
  });

  test('tries one other, or as many as asked for, after the deadline', async () => {
    const choices = [{ rounds: 40 }, { rounds: 8000 }, { rounds: 8000 }, { rounds: 8000 }];
    const { candidate, timed } = await pick(choices, { deadline: 0 }).result;
    expect({ label: candidate.label, timed }).toEqual({ label: 'c0', timed: 2 });
    expect((await pick(choices, { deadline: 0, least: 3 }).result).timed).toBe(3);
  });

  test('ends on a signal and leaves nothing open', async () => {
    const stop = new AbortController();
    stop.abort(new Error('enough'));
    const { result, open } = pick([{ rounds: 40 }, { rounds: 1 }], { signal: stop.signal });
    await expect(result).rejects.toThrow('enough');
    expect(open()).toBe(0);
  });

  test('passes on what the default throws', async () => {
    await expect(pick([{ rounds: 1, fails: true }]).result).rejects.toThrow('it does not compile');
  });
});

describe('createTimer', () => {
  test('gives the time of one pass, whatever the repeats', async () => {
    const { runtime } = gpu;
    const input = runtime.empty(COUNT * 4);
    const output = runtime.empty(COUNT * 4);
    const call = (await work.create(runtime.device)).bind(
      { input, output },
      { count: COUNT, rounds: 4000, bias: 0 },
    );
    const once = createTimer(runtime, [call], 1);
    const often = createTimer(runtime, [call], 8);
    await once.time();
    const times: [number[], number[]] = [[], []];
    for (let i = 0; i < 5; i++) {
      times[0].push(await once.time());
      times[1].push(await often.time());
    }
    const ratio = median(times[0]) / median(times[1]);
    expect(ratio).toBeGreaterThan(1 / 4);
    expect(ratio).toBeLessThan(4);
    for (const resource of [once, often]) resource.close();
    for (const resource of [call, input, output]) resource.destroy();
  });

  test('median() of odd and even counts', () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
  });
});
