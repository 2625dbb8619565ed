import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { NETWORKS } from '../../bench/networks/list.ts';
import type { NetworkRow } from '../../bench/networks/measure.ts';
import { drawSamples, type Photo } from '../../bench/networks/samples.ts';
import { networksTable } from '../../bench/networks/table.ts';

const timing = (medianMs: number) => ({ medianMs, minMs: 1, maxMs: 9, runs: 3 });
const row: NetworkRow = {
  network: 'a',
  nodes: 1200,
  supported: 1199,
  floatError: 1.26e-6,
  fileBytes: 2 ** 22,
  gpuWeightBytes: 1,
  int8: { sqnrDb: 31.26, agreement: '10/10', fileBytes: 2 ** 20, gpuWeightBytes: 1 },
  kmeans4: { sqnrDb: null, agreement: '10/10', fileBytes: 2 ** 19, gpuWeightBytes: 1 },
  times: {
    float: timing(12.34),
    int8: timing(6),
    'tfjs-webgpu': timing(1234),
    'ort-webgpu': { reason: 'no' },
  },
};
const report = (networks: Parameters<typeof networksTable>[0]['networks']) => ({
  ...{ adapter: 'a card', device: 'x', commit: 'abc', date: '2026-01-02T03:04:05Z', platform: 'node v20' },
  ...{ samples: 10, calibration: 24, networks },
});
const rowsOf = (lines: readonly string[]) =>
  lines
    .filter((line) => line.startsWith('|'))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );

describe('networksTable', () => {
  test('shows a network’s figures, and a dash for what could not be measured', () => {
    const lines = networksTable(report([row, { network: 'b', reason: 'no such file' }]));
    const [heading, , measured, refused] = rowsOf(lines);
    expect(measured).toEqual(
      '1,200 1,199 1.3e-6 31.3 exact 4.00 1.00 0.50 12.3 6.0 1234 -'.split(' ').toSpliced(0, 0, 'a'),
    );
    expect(refused).toEqual(['b', ...heading.slice(1).map(() => '-')]);
    expect(lines.at(-1)).toMatch(
      /^a card, node v20, commit abc, 2026-01-02; `npm run networks` repeats it\./,
    );
  });

  test('is the README’s: its columns, and a line for every listed network', () => {
    const readme = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8');
    const section = /<!-- table:networks -->([\s\S]*?)<!-- \/table:networks -->/.exec(readme)![1];
    const [heading, , ...lines] = rowsOf(section.split('\n'));
    expect(heading).toEqual(rowsOf(networksTable(report([])))[0]);
    expect(lines.map(([name]) => name)).toEqual(NETWORKS.map(({ name }) => name));
  });
});

describe('drawSamples', () => {
  const photo: Photo = {
    width: 50,
    height: 40,
    data: Uint8Array.from({ length: 50 * 40 * 4 }, (_, i) => i % 251),
  };
  const picture = {
    kind: 'picture',
    height: 6,
    width: 9,
    channels: 3,
    pixel: (value: number) => value,
  } as const;

  test('cuts the same parts for a seed, channels last or first, and none past the photograph', () => {
    const last = drawSamples(picture, 1, 3, [photo]);
    const first = drawSamples({ ...picture, first: true }, 1, 3, [photo]);
    expect(last[0].dims).toEqual([1, 6, 9, 3]);
    expect(first[0].dims).toEqual([1, 3, 6, 9]);
    for (const [n, { data }] of last.entries()) {
      const planes = Array.from(
        { length: 6 * 9 * 3 },
        (_, i) => first[n].data[(i % 3) * 54 + Math.floor(i / 3)],
      );
      expect([...data]).toEqual(planes);
      expect(data.every((value) => Number.isFinite(value))).toBe(true);
    }
    expect(last[1].data).not.toEqual(last[0].data);
  });

  test('writes digits dark on light, alike in every channel', () => {
    const kind = { kind: 'text', height: 20, width: 40, line: 20, pixel: (value: number) => value } as const;
    const [{ dims, data }, other] = drawSamples(kind, 1, 2, []);
    expect(dims).toEqual([1, 3, 20, 40]);
    const plane = [...(data as Float32Array).subarray(0, 800)];
    expect([...(data as Float32Array).subarray(800, 1600)]).toEqual(plane);
    const dark = plane.filter((value) => value < 100).length;
    expect(dark).toBeGreaterThan(40);
    expect(dark).toBeLessThan(400);
    expect(other.data).not.toEqual(data);
  });

  test('makes sounds that are neither silent nor loud', () => {
    const [{ dims, data }] = drawSamples({ kind: 'sound', samples: 8000 }, 1, 1, []);
    expect(dims).toEqual([1, 8000]);
    const loudest = (data as Float32Array).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    expect(loudest).toBeGreaterThan(0.05);
    expect(loudest).toBeLessThan(0.5);
  });
});
