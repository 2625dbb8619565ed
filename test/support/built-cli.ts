import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { builtinModules } from 'node:module';
import { join } from 'node:path';
import { build } from 'vite';

const root = join(import.meta.dirname, '../..');

/** The command line built into a folder of its own, for tests that need a process with signals. */
export async function buildCli(): Promise<{
  /** The script, for `node`. */
  entry: string;
  spawn(...argv: string[]): ChildProcess;
  remove(): Promise<void>;
}> {
  const output = join(root, 'test/output');
  await mkdir(output, { recursive: true });
  // Inside the repository, so that packages resolve.
  const folder = await mkdtemp(join(output, 'cli-'));
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
      lib: { entry: { cli: join(root, 'src/cli/index.ts') }, formats: ['es'] },
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
    entry: join(folder, 'cli.js'),
    spawn: (...argv) => spawn(process.execPath, [join(folder, 'cli.js'), ...argv], { cwd: root }),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
