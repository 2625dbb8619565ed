import { describe, expect, test, vi } from 'vitest';
import { benchCases } from '../../bench/cases/index.ts';
import { disagreement } from '../../bench/compare-logits.ts';
import { nodeContext } from '../../bench/node.ts';
import { runCases, sha256 } from '../../bench/run.ts';
import type { BenchContext } from '../../bench/types.ts';
import { tensorCores } from '../../src/conv/tensor-cores.ts';
import { relativeL2 } from '../support/gradients.ts';
import { sampled, useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();
const bytesOf = (data: ArrayBuffer | ArrayBufferView) =>
  ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    : new Uint8Array(data);

describe('what the benches time is right', () => {
  // The same case objects that are timed at larger sizes; the model's own forward has its tests elsewhere.
  const subjects = benchCases('tiny').flatMap(({ name, subjects: own }) =>
    own.map((subject) => ({ name, label: `${name} ${subject.precision}`, subject })),
  );

  const tried = subjects.filter(({ label }) => !label.startsWith('vgg'));
  test.each(sampled('bench cases', tried, tried.length))('$label', async ({ name, label, subject }) => {
    const context = nodeContext(gpu.runtime, 'tiny');
    if (name.includes('-tensor')) {
      const { reason } = await tensorCores(gpu.runtime);
      if (reason !== null) {
        await expect(subject.open(context)).rejects.toThrow(reason);
        console.log(`${label}: 1 case skipped; ${reason}`);
        return;
      }
    }
    if (name.includes('-f16') && !gpu.runtime.device.features.has('shader-f16')) {
      await expect(subject.open(context)).rejects.toThrow(/lacks shader-f16/);
      console.log(`${label}: 1 case skipped; no shader-f16`);
      return;
    }
    const opened = await subject.open(context);
    try {
      await opened.run();
      const expected = opened.expected?.();
      const output = opened.output && bytesOf(await opened.output());
      if (expected) expect(output).toEqual(bytesOf(expected));
      const floats = await opened.floats?.();
      // One iteration in the middle of k-means has no result of its own; the whole of it is checked.
      if (!name.startsWith('kmeans-iteration')) expect(expected ?? floats ?? output).toBeDefined();
      // Products rounded to f16 are off by 2^-11 each, in both directions.
      const tolerance = name.includes('-f16') ? 1e-3 : 1e-4;
      if (floats) expect(relativeL2(floats.actual, floats.expected)).toBeLessThan(tolerance);
      if (opened.output) expect(output!.some((byte) => byte !== output![0])).toBe(true);
    } finally {
      await opened.close();
    }
  });
});

describe('a convolution’s gradients as a GPU’s training computes them', () => {
  const gradients = benchCases('tiny').filter(({ name }) => /^conv2d-(input|filter)-gradient\(/.test(name));
  test.each(gradients)('$name', async ({ subjects: [subject] }) => {
    const { runtime } = gpu;
    const profiled = { ...runtime, adapter: { ...runtime.adapter, profile: 'gpu' as const } };
    const bound = vi.spyOn(runtime.device, 'createBindGroup');
    const opened = await subject.open({ ...nodeContext(runtime, 'tiny'), runtime: profiled });
    const used = bound.mock.calls.map(([{ label }]) => label);
    bound.mockRestore();
    try {
      expect(used.some((name) => name?.endsWith('-tiled'))).toBe(true);
      await opened.run();
      const { actual, expected } = await opened.floats!();
      expect(relativeL2(actual, expected)).toBeLessThan(1e-5);
    } finally {
      await opened.close();
    }
  });
});

describe('the runner', () => {
  const context = () => ({ runtime: gpu.runtime, size: 'tiny' }) as unknown as BenchContext;
  const ceilings = { f32GFlops: 10, int8Gops: 10, copyGBps: 10 };
  const subject = (implementation: 'lloyd' | 'tfjs-webgpu', logits: number[]) => ({
    implementation,
    precision: 'fp32',
    batch: 1,
    open: async () => ({
      work: { amount: 1, unit: 'images/s' as const },
      bound: { ceiling: 'f32GFlops' as const, amount: 1e6 },
      run: async () => {},
      logits: async () => Float32Array.from(logits),
      output: async () => Int32Array.from(logits),
      close: () => {},
    }),
  });
  const run = (peer: number[], filter?: string) =>
    runCases(context(), [{ name: 'c', subjects: [subject('lloyd', [3, 4])] }], {
      ceilings,
      quick: true,
      filter,
      peersOf: () => [subject('tfjs-webgpu', peer)],
    });

  test('accepts a peer that agrees and refuses one that does not', async () => {
    expect((await run([3, 4.001])).cases).toHaveLength(2);
    const { cases, refused } = await run([3, 4.1]);
    expect(cases).toHaveLength(1);
    expect(refused).toMatchObject([
      { implementation: 'tfjs-webgpu', reason: expect.stringContaining('disagrees') },
    ]);
    expect((await run([3, Number.NaN])).refused).toHaveLength(1);
    expect((await run([3])).refused).toHaveLength(1);
  });

  test('holds each of ours to everybody timed in turn with it, and keeps what an interruption leaves', async () => {
    const [own] = (await run([3, 4])).cases;
    expect(own.ratios).toMatchObject([{ implementation: 'tfjs-webgpu', precision: 'fp32', rounds: 50 }]);
    const controller = new AbortController();
    let runs = 0;
    const stopped = {
      ...subject('lloyd', [3]),
      open: async () => ({ ...(await subject('lloyd', [3]).open()), run: counted }),
    };
    const counted = async () => {
      if (++runs === 4) controller.abort(new Error('stopped'));
    };
    const kept: number[] = [];
    const cases = [
      { name: 'c', subjects: [stopped] },
      { name: 'd', subjects: [stopped] },
    ];
    const onEntry = ({ runs: rounds }: { runs: number }) => kept.push(rounds);
    const { signal } = controller;
    const whole = runCases(context(), cases, { ceilings, quick: true, signal, onEntry });
    await expect(whole).rejects.toThrow('stopped');
    expect(kept).toEqual([4]);
  });

  test('takes words of the label as filter, and hashes outputs', async () => {
    const { cases } = await run([3, 4], 'lloyd fp32');
    expect(cases.map(({ implementation }) => implementation)).toEqual(['lloyd']);
    expect(cases[0].hash).toBe(await sha256(Int32Array.of(3, 4)));
    expect(cases[0].hash).toMatch(/^[0-9a-f]{64}$/);
    expect(cases[0].runs).toBeGreaterThanOrEqual(3);
  });

  test('disagreement() names the first output', () => {
    expect(disagreement([1, 2], [1, 2])).toBeNull();
    expect(disagreement([1, 2.1], [1, 2])).toMatch(/output 1 is 2.1 instead of 2/);
  });
});
