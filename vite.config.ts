import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));

/** Files that start a browser or processes whose end they wait for. */
const ALONE = ['test/browser/*.test.ts', 'test/bench/browser.test.ts', 'test/cli/interrupt.test.ts'];

export default defineConfig({
  resolve: {
    alias: [
      { find: '#default-device', replacement: path('src/node/default-device.ts') },
      // The README's examples import the package by its name; tests run them on the sources.
      { find: /^lloyd$/, replacement: path('src/index.ts') },
      { find: /^lloyd\/(\w+)$/, replacement: path('src/$1/index.ts') },
    ],
  },
  test: {
    globalSetup: ['test/support/global-setup.ts'],
    // A fork's crash is a failure of its own file only.
    pool: 'forks',
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // Most of the time goes to compiling pipelines, which lavapipe does on one core: two files at a time, each with one
    // of its threads, so that they do not fight over the cores.
    projects: [
      {
        extends: true,
        test: {
          name: 'side by side',
          include: ['test/**/*.test.ts'],
          exclude: ALONE,
          maxWorkers: Math.min(2, availableParallelism()),
          env: { LP_NUM_THREADS: process.env.LP_NUM_THREADS ?? '1' },
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: { name: 'alone', include: ALONE, maxWorkers: 1, sequence: { groupOrder: 1 } },
      },
    ],
  },
});
