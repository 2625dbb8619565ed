// Runs a module of bench/ that the package does not ship: bundled for Node, its shaders included, then loaded.
import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { pathToFileURL } from 'node:url';
import { build } from 'vite';
import { packageJson, root } from './package.mjs';

/** Calls the module's `main` with the command line and the clone's folder; returns its exit code. */
export async function runBundled(source) {
  // Inside the clone, so that it finds the clone's packages.
  const folder = `${root}/.cache/lloyd-bench-${randomUUID()}`;
  const packages = ['dependencies', 'devDependencies'].flatMap((kind) => Object.keys(packageJson[kind]));
  let status = 1;
  try {
    await build({
      root,
      configFile: false,
      logLevel: 'warn',
      publicDir: false,
      resolve: { alias: { '#default-device': `${root}/src/node/default-device.ts` } },
      build: {
        target: 'es2023',
        outDir: folder,
        emptyOutDir: false,
        minify: false,
        ssr: source,
        rolldownOptions: {
          external: (id) =>
            id.startsWith('node:') ||
            builtinModules.includes(id) ||
            packages.some((name) => id === name || id.startsWith(`${name}/`)),
          output: { entryFileNames: 'main.js' },
        },
      },
    });
    const { main } = await import(pathToFileURL(`${folder}/main.js`).href);
    status = await main(process.argv.slice(2), root);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return status;
}
