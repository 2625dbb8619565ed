import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { benchCases } from '../../bench/cases/index.ts';
import { nodeContext } from '../../bench/node.ts';
import { openStored, withStored } from '../../bench/peers/stored.ts';
import { runCases } from '../../bench/run.ts';
import * as library from '../../src/index.ts';
import { useRuntime } from '../support/runtime.ts';

const gpu = useRuntime();

test('a stored build is timed in turn with this one, and its floats are held against ours', async () => {
  const [forward] = benchCases('tiny');
  const { subjects } = withStored({ library, commit: 'abc' }, forward);
  const { cases, refused } = await runCases(nodeContext(gpu.runtime, 'tiny'), [{ ...forward, subjects }], {
    ceilings: { f32GFlops: 1, int8Gops: 1, copyGBps: 1 },
    quick: true,
    filter: 'fp32',
  });
  expect(refused).toEqual([]);
  expect(cases).toMatchObject([
    {
      implementation: 'lloyd',
      ratios: [{ implementation: 'lloyd-before', precision: 'fp32', rounds: expect.any(Number) }],
    },
    { implementation: 'lloyd-before', note: 'commit abc' },
  ]);
  expect(cases[0].ratios![0].cpu!.median).toBeGreaterThan(0);
});

test('other cases are left as they are', () => {
  const [, other] = benchCases('tiny');
  expect(withStored({ library, commit: 'abc' }, other)).toBe(other);
});

test('what is no built clone is refused with what is missing', async () => {
  const folder = join(import.meta.dirname, '../output/stored');
  const rule = /^--against must be the dist folder of a built clone; received/;
  await expect(openStored(folder)).rejects.toThrow(rule);
  await mkdir(join(folder, 'dist'), { recursive: true });
  try {
    await writeFile(join(folder, 'dist/index.js'), 'export {');
    await expect(openStored(folder)).rejects.toThrow(/there is no package.json/);
    await writeFile(join(folder, 'package.json'), '{"type":"module"}');
    await expect(openStored(join(folder, 'dist'))).rejects.toThrow(/which cannot be loaded/);
  } finally {
    await rm(folder, { recursive: true });
  }
});
