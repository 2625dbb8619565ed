// npm run fuzz -- [--seconds N] [--seed S] [--target NAME] ...: the sources and test/fuzz/ as one bundle, then run.
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { build } from 'vite';
import { root } from './package.mjs';

// Inside the repository, so that packages resolve.
mkdirSync(`${root}/test/output`, { recursive: true });
const folder = mkdtempSync(`${root}/test/output/fuzz-`);
try {
  await build({
    root,
    configFile: false,
    logLevel: 'error',
    publicDir: false,
    resolve: { alias: [{ find: '#default-device', replacement: `${root}/src/node/default-device.ts` }] },
    build: {
      ssr: true,
      target: 'node20',
      outDir: folder,
      minify: false,
      rolldownOptions: {
        input: { main: `${root}/test/fuzz/main.ts`, worker: `${root}/test/fuzz/worker.ts` },
        output: { entryFileNames: '[name].js', chunkFileNames: 'chunks/[name]-[hash].js' },
      },
    },
  });
  const { status } = spawnSync(process.execPath, [`${folder}/main.js`, ...process.argv.slice(2)], {
    stdio: 'inherit',
  });
  process.exitCode = status ?? 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
