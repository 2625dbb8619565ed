import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));

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
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/global-setup.ts'],
    // Two Dawn devices on two cores fight, and a fork's crash is a failure of its own file only.
    pool: 'forks',
    maxWorkers: 1,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
});
