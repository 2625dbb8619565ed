import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { builtinModules } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'vite';

const root = join(import.meta.dirname, '../..');

/** An entry of the sources built into a folder of its own, for tests that need it in another thread or process. */
async function buildEntry(name: string, source: string) {
  const output = join(root, 'test/output');
  await mkdir(output, { recursive: true });
  // Inside the repository, so that packages resolve.
  const folder = await mkdtemp(join(output, `${name}-`));
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
      lib: { entry: { [name]: join(root, source) }, formats: ['es'] },
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
    entry: join(folder, `${name}.js`),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

/** The library's main entry, as a module to import. */
export async function buildLibrary(): Promise<{ url: string; remove(): Promise<void> }> {
  const { entry, remove } = await buildEntry('library', 'src/index.ts');
  return { url: pathToFileURL(entry).href, remove };
}

/** The command line, for tests that need a process with signals. */
export async function buildCli(): Promise<{
  /** The script, for `node`. */
  entry: string;
  spawn(...argv: string[]): ChildProcess;
  remove(): Promise<void>;
}> {
  const { entry, remove } = await buildEntry('cli', 'src/cli/index.ts');
  return { entry, remove, spawn: (...argv) => spawn(process.execPath, [entry, ...argv], { cwd: root }) };
}
