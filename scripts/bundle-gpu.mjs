// The program as one folder for a machine without npm: everything bundled in but what has native parts. There, from the
// root of a copy of this repository with `webgpu` somewhere Node finds it:
//   node dist-gpu/cli.js bench --gpu-report --json report.json
import { rmSync } from 'node:fs';
import { build } from 'vite';
import { outputs, root } from './package.mjs';

// Loaded when they are needed; a peer that is missing is a line of the report.
const NATIVE = ['webgpu', 'onnxruntime-node', '@sparticuz/chromium', 'puppeteer', 'tfjs-node'];
const { source } = outputs().find(({ name }) => name === 'cli');

rmSync(`${root}/dist-gpu`, { recursive: true, force: true });
await build({
  root,
  configFile: false,
  logLevel: 'warn',
  publicDir: false,
  resolve: { alias: [{ find: '#default-device', replacement: `${root}/src/node/default-device.ts` }] },
  ssr: { noExternal: true, external: NATIVE },
  build: {
    ssr: source,
    target: 'node20',
    outDir: 'dist-gpu',
    minify: false,
    rolldownOptions: { output: { entryFileNames: 'cli.js', chunkFileNames: 'chunks/[name]-[hash].js' } },
  },
});
