// A comparison that is given its size once fp32's speed is known, and rows that are left out on the way.
import { describe, expect, test } from 'vitest';
import { affordableComparison, COMPARE_SECONDS, rowSeconds } from '../../src/cli/budget.ts';
import { type CompareOptions, type CompareRow, compareModel } from '../../src/run/compare.ts';
import { residualGraph, withParameters } from '../support/branching-models.ts';
import { seeded, useRuntime } from '../support/runtime.ts';

const context = useRuntime();
const random = seeded(6);
const model = withParameters(residualGraph);
const { height, width, channels } = residualGraph.input;
const PER_IMAGE = height * width * channels;
const COUNT = 11;
const images = Uint8Array.from({ length: COUNT * PER_IMAGE }, () => random.integer(0, 255));
const labels = Uint8Array.from({ length: COUNT }, () => random.integer(0, 4));

const compare = (options: Partial<CompareOptions>, count = COUNT) =>
  compareModel(context.runtime, model, images.subarray(0, count * PER_IMAGE), labels.subarray(0, count), {
    ...{ calibration: images, rows: ['linear-8', 'kmeans-2'], batch: 4 },
    ...options,
  });
const untimed = (all: readonly CompareRow[]) => all.map(({ imagesPerSecond: _, ...row }) => row);

describe('a comparison whose size follows from its speed', () => {
  test('is the one of so many images and calibration images', async () => {
    const speeds: { prepareSeconds: number; secondsPerImage: number }[] = [];
    const done: [string, number, number, number][] = [];
    const timed = await compare({
      onSpeed(speed) {
        speeds.push(speed);
        return { images: 6, calibration: 3 };
      },
      onProgress: ({ row, done: at, total, logits }) => void done.push([row, at, total, logits.length / 5]),
    });
    expect(speeds).toHaveLength(1);
    expect(speeds[0].prepareSeconds).toBeGreaterThan(0);
    expect(speeds[0].secondsPerImage).toBeGreaterThan(0);
    expect(timed.images).toBe(6);
    expect(done[0]).toEqual(['fp32', 4, 6, 4]);
    for (const [, at, total, logits] of done) expect([total, logits]).toEqual([6, at]);
    const plain = await compare({ calibration: images.subarray(0, 3 * PER_IMAGE) }, 6);
    expect(untimed(timed.rows)).toEqual(untimed(plain.rows));
    // With the other images the ranges would have been others.
    expect(untimed((await compare({}, 6)).rows)).not.toEqual(untimed(plain.rows));
  });

  test('keeps the images that have run, and never has more than there are', async () => {
    for (const [asked, total] of [
      [1, 4],
      [1000, COUNT],
    ]) {
      const { images: count } = await compare({ onSpeed: () => ({ images: asked, calibration: 2 }) });
      expect(count).toBe(total);
    }
  });
});

test('rows run in the order asked for, come back in the table’s, and may be left out', async () => {
  const started: string[] = [];
  const { rows } = await compare({
    rows: ['linear-8', 'kmeans-2', 'kmeans-8'],
    onStart(name) {
      started.push(name);
      return name === 'linear-8' || name === 'kmeans-8';
    },
  });
  expect(started).toEqual(['fp32', 'linear-8', 'kmeans-2', 'kmeans-8']);
  expect(rows.map(({ name }) => name)).toEqual(['fp32', 'kmeans-8', 'linear-8']);
});

describe('the size that a comparison has time for', () => {
  const rows = { all: 10, first: 3 };
  const seconds = (
    speed: Parameters<typeof rowSeconds>[0],
    count: number,
    { images: n, calibration }: { images: number; calibration: number },
  ) => count * rowSeconds(speed, n) + calibration * 1.2 * speed.secondsPerImage;

  test('gives every row of a quick adapter its images', () => {
    const speed = { prepareSeconds: 0.5, secondsPerImage: 0.06 };
    const size = affordableComparison(speed, rows, 8);
    expect(size.images % 8).toBe(0);
    expect(size.images).toBeGreaterThan(100);
    expect(seconds(speed, 10, size)).toBeLessThan(COMPARE_SECONDS);
  });

  test('gives the first rows of a slow one what there is, and never fewer than four', () => {
    const slow = { prepareSeconds: 4, secondsPerImage: 2 };
    const size = affordableComparison(slow, rows);
    expect(size.images).toBeLessThanOrEqual(8);
    expect(seconds(slow, 3, size)).toBeLessThan(COMPARE_SECONDS);
    expect(affordableComparison({ prepareSeconds: 60, secondsPerImage: 60 }, rows)).toEqual({
      images: 4,
      calibration: 4,
    });
  });
});
