// The library build: every file that package.json's exports, imports and bin name, and the declarations beside them.
// --js leaves the declarations out: `npm start` runs the code and needs no types.
import { spawnSync } from 'node:child_process';
import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { performance } from 'node:perf_hooks';
import { build } from 'vite';
import { outputs, packageJson, root } from './package.mjs';
import { strippedWgsl } from './strip-wgsl.mjs';

const started = performance.now();
rmSync(`${root}/dist`, { recursive: true, force: true });

const packages = [
  ...Object.keys(packageJson.dependencies),
  ...Object.keys(packageJson.devDependencies),
  ...Object.keys(packageJson.peerDependencies),
];
const isExternal = (id) =>
  // Resolved by package.json's `imports` in the user's own runtime or bundler: Node's device there, the browser's here.
  id === '#default-device' ||
  id.startsWith('node:') ||
  builtinModules.includes(id) ||
  packages.some((name) => id === name || id.startsWith(`${name}/`));

await build({
  root,
  configFile: false,
  logLevel: 'warn',
  publicDir: false,
  plugins: [strippedWgsl()],
  build: {
    target: 'es2023',
    outDir: 'dist',
    // Readable output: the shaders are the bulk of it, and a user's bundler minifies what it takes.
    minify: false,
    lib: { entry: Object.fromEntries(outputs().map(({ name, source }) => [name, source])), formats: ['es'] },
    rolldownOptions: {
      external: isExternal,
      output: { entryFileNames: '[name].js', chunkFileNames: 'chunks/[name]-[hash].js' },
    },
  },
});
for (const file of Object.values(packageJson.bin)) chmodSync(`${root}/${file}`, 0o755);

if (!process.argv.includes('--js')) writeDeclarations();
// Last, so that an interrupted build is a stale one.
writeFileSync(`${root}/dist/.stamp`, '');
console.error(`built dist in ${((performance.now() - started) / 1000).toFixed(1)} s`);

function writeDeclarations() {
  const compiler = `${root}/node_modules/typescript/bin/tsc`;
  const tsc = spawnSync(process.execPath, [compiler, '-p', 'tsconfig.build.json'], {
    cwd: root,
    stdio: 'inherit',
  });
  if (tsc.status === 0) return;
  console.error('the declarations could not be written; dist is incomplete');
  process.exit(1);
}
