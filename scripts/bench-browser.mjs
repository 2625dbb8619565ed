// npm run bench:browser -- [filter] [--quick] [--json FILE]: bundles bench/browser-main.ts for Node, then runs it.
import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { pathToFileURL } from 'node:url';
import { build } from 'vite';
import { packageJson, root } from './package.mjs';

// Inside the clone, so that it finds the clone's packages.
const folder = `${root}/node_modules/.cache/lloyd-bench-${randomUUID()}`;
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
      ssr: 'bench/browser-main.ts',
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
  status = await main(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exit(status);
