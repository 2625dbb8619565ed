import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { builtinModules } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'vite';

const root = join(import.meta.dirname, '../..');

/** The library's main entry built into a folder of its own, for tests that need it in another thread or process. */
export async function buildLibrary(): Promise<{ url: string; remove(): Promise<void> }> {
  const output = join(root, 'test/output');
  await mkdir(output, { recursive: true });
  // Inside the repository, so that packages resolve.
  const folder = await mkdtemp(join(output, 'library-'));
  await build({
    root,
    configFile: false,
    logLevel: 'error',
    publicDir: false,
    resolve: { alias: { '#default-device': join(root, 'src/node/default-device.ts') } },
    build: {
      target: 'es2023',
      outDir: folder,
      minify: false,
      lib: { entry: { index: join(root, 'src/index.ts') }, formats: ['es'] },
      rolldownOptions: {
        external: (id: string) =>
          id.startsWith('node:') ||
          builtinModules.includes(id) ||
          (/^[\w@]/.test(id) && !id.startsWith('src')),
        output: { entryFileNames: '[name].js', chunkFileNames: 'chunks/[name]-[hash].js' },
      },
    },
  });
  return {
    url: pathToFileURL(join(folder, 'index.js')).href,
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
