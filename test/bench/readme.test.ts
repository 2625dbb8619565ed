import { describe, expect, test } from 'vitest';
import { benchPlot, benchTables, cardNote, softwareNote } from '../../bench/readme.ts';
import type { Entry, Results } from '../../bench/types.ts';
import { barChart } from '../../src/cli/svg-bars.ts';

const entry = (over: Partial<Entry>): Entry => ({
  name: 'vgg-forward',
  implementation: 'lloyd',
  precision: 'int8',
  batch: 32,
  medianMs: 1000,
  minMs: 900,
  maxMs: 1250,
  runs: 5,
  clock: 'wall',
  throughput: { value: 32, unit: 'images/s' },
  ceilingShare: 0.5,
  ...over,
});
const results = (cases: Entry[]): Results => ({
  adapter: 'llvmpipe: Mesa 25',
  driver: 'd',
  commit: 'abc',
  date: '2026-01-02T03:04:05Z',
  platform: 'node v20',
  images: 'seeded',
  ceilings: { f32GFlops: 1, int8Gops: 1, copyGBps: 1 },
  cases,
  refused: [],
});
const tfjs = (over: Partial<Entry>) =>
  entry({ implementation: 'tfjs-webgpu', precision: 'fp32', medianMs: 8000, ...over });

describe('benchTables', () => {
  test('shows median, range, share and the ratio to each peer of the same work and batch', () => {
    const lines = benchTables(
      results([
        entry({}),
        tfjs({}),
        entry({ implementation: 'ort-cpu', precision: 'fp32', medianMs: 500, ceilingShare: null }),
        entry({ batch: 1, medianMs: 100 }),
        tfjs({ batch: 1, medianMs: 250 }),
        entry({ name: 'requantize(count=7)' }),
      ]),
    );
    expect(lines).toEqual([
      '| work | precision | median | range | of the ceiling | x tfjs (WebGPU) | x ONNX Runtime (CPU) |',
      '| --- | --- | --: | --: | --: | --: | --: |',
      '| vgg-forward, batch 32 | `int8` | 1.00 s | 900 ms to 1.25 s | 50 % | 8.0 | 0.50 |',
      '| vgg-forward, batch 1 | `int8` | 100 ms | 900 ms to 1.25 s | 50 % | 2.5 | - |',
      '',
      expect.stringContaining('llvmpipe: Mesa 25, node v20, commit abc, 2026-01-02.'),
    ]);
  });

  test('gives works with other peers a table of their own', () => {
    const kmeans = { name: 'kmeans(vgg,k=16)', precision: 'kmeans-4', ceilingShare: null, batch: 1 };
    const lines = benchTables(
      results([
        entry({}),
        tfjs({}),
        entry(kmeans),
        entry({ ...kmeans, implementation: 'ml-kmeans', medianMs: 3e5 }),
      ]),
    );
    expect(lines.filter((line) => line.startsWith('| work'))).toEqual([
      '| work | precision | median | range | of the ceiling | x tfjs (WebGPU) |',
      '| work | precision | median | range | of the ceiling | x ml-kmeans |',
    ]);
    expect(lines).toContain('| kmeans(vgg,k=16) | `kmeans-4` | 1.00 s | 900 ms to 1.25 s | - | 300 |');
  });
});

describe('benchPlot', () => {
  test('has a bar for everyone on the adapter, fastest first, in multiples of tfjs', () => {
    const svg = benchPlot(
      results([
        tfjs({}),
        entry({}),
        entry({ implementation: 'ort-cpu', precision: 'fp32', medianMs: 10, ceilingShare: null }),
        entry({ batch: 1 }),
        tfjs({ batch: 1 }),
      ]),
    )!;
    const texts = [...svg.matchAll(/>([^<]+)<\/text>/g)].map(([, text]) => text);
    expect(texts.filter((text) => /int8|fp32/.test(text))).toEqual(['lloyd int8', 'tfjs (WebGPU) fp32']);
    expect(texts.filter((text) => / x$/.test(text))).toEqual(['8.0 x', '1.0 x']);
    expect(svg).toContain('batch 32');
  });

  test('is null where tfjs did not run', () => {
    expect(benchPlot(results([entry({})]))).toBeNull();
  });
});

test('barChart: lengths are proportional, intervals drawn, text escaped', () => {
  const svg = barChart('t', 'axis', [
    { label: 'a<b', colour: '#123456', value: 4, low: 3, high: 5, text: '4' },
    { label: 'c', colour: '#123456', value: 2, text: '2' },
  ]);
  const widths = [...svg.matchAll(/<rect x="[\d.]+" y="[\d.]+" width="([\d.]+)"/g)].map(([, width]) =>
    Number(width),
  );
  expect(widths[0] / widths[1]).toBeCloseTo(2, 2);
  expect(svg).toContain('a&lt;b');
  expect(svg).not.toContain('NaN');
});

test('a software adapter is called one, and that no card was measured is said until one was', () => {
  expect(softwareNote('llvmpipe: Mesa 25')).toContain('llvmpipe is a software adapter');
  expect(softwareNote('NVIDIA: 580')).toBe('');
  expect(cardNote(['llvmpipe: Mesa 25', 'SwiftShader driver 5']).join()).toContain('No graphics card');
  expect(cardNote(['llvmpipe: Mesa 25', 'NVIDIA: 580'])).toEqual([]);
});
