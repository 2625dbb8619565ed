import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';
import { demoData, pageWeight } from './data-plugin.mjs';

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));

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
  plugins: [demoData(), pageWeight()],
  worker: { format: 'es' },
  server: { fs: { allow: [path('..')] } },
  build: {
    target: 'es2023',
    outDir: path('dist'),
    emptyOutDir: true,
    // tfjs is 1 MB before compression, and loads only when its panel asks for it.
    chunkSizeWarningLimit: 2000,
    rolldownOptions: { input: { index: path('index.html'), embed: path('embed/index.html') } },
  },
});
