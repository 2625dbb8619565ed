import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';
import { strippedWgsl } from '../scripts/strip-wgsl.mjs';
import { demoData, pageWeight } from './data-plugin.mjs';
import { packageLine } from './package-line.mjs';
import { contentSecurityPolicy } from './policy.mjs';

// The page shows the WGSL of what a session runs, comments and all; of training and clustering it shows none.
const UNSEEN =
  /gradient|statistics|batch-norm-merge|sgd-step|cross-entropy|distillation|moving-average|fake-quantize|augment|kmeans/;

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));

// tfjs is three times the page, so the files it loads into say so: data-plugin.mjs weighs them apart.
const output = {
  chunkFileNames: ({ moduleIds }) =>
    moduleIds.some((id) => id.includes('@tensorflow'))
      ? 'assets/tfjs-[name]-[hash].js'
      : 'assets/[name]-[hash].js',
};

export default defineConfig({
  root: path('.'),
  // Relative, so that the built page works from any sub-path.
  base: './',
  resolve: {
    alias: [
      { find: '#default-device', replacement: path('../src/gpu/default-device.ts') },
      { find: /^lloyd$/, replacement: path('../src/index.ts') },
      { find: /^lloyd\/(\w+)$/, replacement: path('../src/$1/index.ts') },
    ],
  },
  plugins: [packageLine(), strippedWgsl(UNSEEN), contentSecurityPolicy(), demoData(), pageWeight()],
  worker: { format: 'es', plugins: () => [strippedWgsl(UNSEEN)], rolldownOptions: { output } },
  server: { fs: { allow: [path('..')] } },
  build: {
    target: 'es2023',
    outDir: path('dist'),
    emptyOutDir: true,
    chunkSizeWarningLimit: 2500,
    rolldownOptions: { input: { index: path('index.html'), embed: path('embed/index.html') }, output },
  },
});
