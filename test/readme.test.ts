// The README's examples run as they stand, and its generated sections match the committed results.
import { spawnSync } from 'node:child_process';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';

const root = join(import.meta.dirname, '..');
const folder = join(root, 'test/output/readme');
const readme = await readFile(join(root, 'README.md'), 'utf8');
const blocks = [...readme.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code]) => code);

afterAll(() => rm(folder, { recursive: true, force: true }));

describe('the examples', () => {
  test('there is one a level and more', () => expect(blocks.length).toBeGreaterThanOrEqual(3));

  test.each(blocks.map((code, index) => ({ code, name: `${index + 1}: ${code.split('\n')[0]}` })))(
    '$name',
    async ({ code, name }) => {
      await mkdir(folder, { recursive: true });
      const file = join(folder, `${name.split(':')[0]}.ts`);
      // A module of its own each, run from the clone's root as a reader would.
      await writeFile(file, code);
      await import(/* @vite-ignore */ file);
    },
  );
});

describe('the generated sections', () => {
  const run = (...options: string[]) =>
    spawnSync(process.execPath, [join(root, 'scripts/readme.mjs'), ...options], {
      cwd: root,
      encoding: 'utf8',
    });

  test('are what `npm run readme` makes of the committed results', () => {
    const { status, stderr } = run('--check');
    expect(stderr).toBe('');
    expect(status).toBe(0);
  });
});
