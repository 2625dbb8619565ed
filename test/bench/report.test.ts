import { describe, expect, test } from 'vitest';
import { compareResults } from '../../bench/compare.ts';
import { formatDrift, formatEntry, formatMs, formatRatios } from '../../bench/report.ts';
import { summarize } from '../../bench/timing.ts';
import type { Entry, Results } from '../../bench/types.ts';

const entry = (over: Partial<Entry>): Entry => ({
  name: 'vgg-forward',
  implementation: 'lloyd',
  precision: 'fp32',
  batch: 32,
  medianMs: 2000,
  minMs: 1900,
  maxMs: 2100,
  runs: 5,
  clock: 'wall',
  throughput: { value: 16, unit: 'images/s' },
  ceilingShare: 0.25,
  ...over,
});
const results = (cases: Entry[], over: Partial<Results> = {}): Results => ({
  adapter: 'a',
  driver: 'd',
  commit: 'c',
  date: '2026-01-01',
  platform: 'node',
  images: 'seeded',
  ceilings: { f32GFlops: 1, int8Gops: 1, copyGBps: 1 },
  cases,
  refused: [],
  ...over,
});

describe('summarize', () => {
  test('gives the median of odd and even counts, and the range', () => {
    expect(summarize([3, 1, 2])).toEqual({ medianMs: 2, minMs: 1, maxMs: 3, runs: 3 });
    expect(summarize([4, 1, 2, 3]).medianMs).toBe(2.5);
  });
});

describe('the printed report', () => {
  test('shows median, range, rate and share', () => {
    expect(formatEntry(entry({}))).toBe(
      '  lloyd        fp32         2.00 s  (1.90 s to 2.10 s, 5 runs)  16.0 images/s, 25 % of the ceiling',
    );
    expect(formatMs(0.5)).toBe('500 us');
    expect(formatEntry(entry({ cpuMs: 3900 }))).toMatch(
      /\(1\.90 s to 2\.10 s, 5 runs, 3\.90 s of processor time\)/,
    );
    const parts = { read: 12, compile: 340 };
    expect(
      formatEntry(entry({ parts, note: 'n' }))
        .split('\n')
        .slice(1),
    ).toEqual(['    read 12.0 ms, compile 340 ms', '    n']);
  });

  test('adds the ratio of processor times on a software adapter', () => {
    const entries = [
      entry({ cpuMs: 1000 }),
      entry({ implementation: 'tfjs-webgpu', medianMs: 4000, cpuMs: 3000 }),
    ];
    expect(formatRatios(entries, true)[0]).toContain('2.0 x tfjs-webgpu (3.0 x by processor time)');
    expect(formatRatios(entries)[0]).not.toContain('processor');
  });

  test('says how many times faster, against peers and our own fp32, within a batch', () => {
    const lines = formatRatios([
      entry({}),
      entry({ precision: 'int8', medianMs: 1000 }),
      entry({ implementation: 'tfjs-webgpu', medianMs: 15_000 }),
      entry({ implementation: 'ort-webgpu', medianMs: 1, batch: 1 }),
    ]);
    expect(lines).toEqual([
      'vgg-forward, batch 32: fp32 runs at 7.5 x tfjs-webgpu',
      'vgg-forward, batch 32: int8 runs at 2.0 x our fp32, 15.0 x tfjs-webgpu',
    ]);
  });

  test('takes ratios by round where there are some, and says when an older build gave other integers', () => {
    const ratio = { implementation: 'lloyd-before' as const, precision: 'int8', rounds: 9 };
    const own = entry({
      precision: 'int8',
      hash: 'x',
      ratios: [{ ...ratio, median: 1.012, min: 0.9, max: 3 }],
    });
    const before = { implementation: 'lloyd-before' as const, medianMs: 9000 };
    const others = [
      entry({ ...before, precision: 'int8', hash: 'y' }),
      entry({ ...before, precision: 'int4' }),
    ];
    expect(formatRatios([own, ...others])).toEqual([
      'vgg-forward, batch 32: int8 runs at 1.012 x lloyd-before (0.900 to 3.0 in 9 rounds; OTHER INTEGERS)',
    ]);
  });

  test('ends with how far the ceilings drifted, past a tenth', () => {
    const ceilingRange = {
      f32GFlops: [10, 11],
      int8Gops: [10, 12.3],
      copyGBps: [2, 2],
    } as Results['ceilingRange'];
    expect(formatDrift({ ceilingRange })).toMatch(/not steady: its ceilings drifted .*, int8 by 23 %;/);
    expect(formatDrift({ ceilingRange: { ...ceilingRange!, int8Gops: [10, 10.9] } })).toBeNull();
    expect(formatDrift({})).toBeNull();
  });
});

describe('compare', () => {
  test('tells what moved beyond its range, what came and went, and another result', () => {
    const before = results([
      entry({ hash: 'x', cpuMs: 3000 }),
      entry({ precision: 'int4' }),
      entry({ precision: 'int8' }),
      entry({ name: 'kmeans', medianMs: 100, minMs: 90, maxMs: 110 }),
    ]);
    const after = results(
      [
        entry({ medianMs: 1000, minMs: 900, maxMs: 1100, hash: 'y', cpuMs: 2000 }),
        entry({ precision: 'int8', medianMs: 2050 }),
        entry({ precision: 'int2' }),
        entry({ name: 'kmeans', medianMs: 400, minMs: 390, maxMs: 410 }),
      ],
      { commit: 'd', ceilings: { f32GFlops: 2, int8Gops: 1, copyGBps: 0.5 } },
    );
    expect(compareResults(before, after)).toEqual([
      'c (2026-01-01) -> d (2026-01-01)',
      'the machine itself: f32 2.0 x, int8 1.0 x, copy 0.50 x',
      '',
      'ANOTHER RESULT than before:',
      '  vgg-forward fp32 batch=32 lloyd',
      '',
      '        case                             before   after  speed x  by processor time',
      '------  -------------------------------  ------  ------  -------  -----------------',
      'slower  kmeans fp32 batch=32 lloyd       100 ms  400 ms     0.25',
      'faster  vgg-forward fp32 batch=32 lloyd  2.00 s  1.00 s      2.0                1.5',
      '',
      '1 slower, 1 faster, 1 within noise',
      'new:',
      '  vgg-forward int2 batch=32 lloyd, 2.00 s',
      'gone:',
      '  vgg-forward int4 batch=32 lloyd',
    ]);
  });

  test('says so when the adapters differ, and when nothing moved', () => {
    expect(compareResults(results([entry({})]), results([entry({})], { adapter: 'b' }))).toEqual([
      'c (2026-01-01) -> c (2026-01-01)',
      'adapters differ: a, then b',
      '',
      '0 slower, 0 faster, 1 within noise',
    ]);
  });
});
