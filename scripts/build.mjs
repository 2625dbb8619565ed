// The library build: every file that package.json's exports, imports and bin name, and the declarations beside them.
// --js leaves the declarations out: `npm start` runs the code and needs no types.
import { spawnSync } from 'node:child_process';
import { chmodSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { performance } from 'node:perf_hooks';
import { build, esmExternalRequirePlugin } from 'vite';
import { outputs, packageJson, root } from './package.mjs';
import { strippedWgsl } from './strip-wgsl.mjs';

const started = performance.now();
rmSync(`${root}/dist`, { recursive: true, force: true });

/** What the command and lloyd/node alone need: built into dist with their licences, so that no app installs them. */
const BUNDLED = ['cac', 'cli-progress', 'jpeg-js', 'pngjs'];
const packages = [
  ...Object.keys(packageJson.dependencies),
  ...Object.keys(packageJson.devDependencies),
  ...Object.keys(packageJson.peerDependencies),
].filter((name) => !BUNDLED.includes(name));
const isExternal = (id) =>
  // Resolved by package.json's `imports` in the user's own runtime or bundler: Node's device there, the browser's here.
  id === '#default-device' || packages.some((name) => id === name || id.startsWith(`${name}/`));

/**
 * `export * as kernels` stays a reference to the entry with an export a kernel: made into an object, it would bring every
 * shader to whoever names one.
 */
const kernelsEntry = {
  name: 'lloyd-kernels-entry',
  enforce: 'pre',
  resolveId: (id, importer) =>
    id === './kernels/index.ts' && importer?.endsWith('/src/index.ts')
      ? { id: './kernels.js', external: true }
      : undefined,
};

/** Node's own modules stay outside, also where a package that is built in asks for them by require. */
const nodeModules = esmExternalRequirePlugin({
  external: [/^node:/, ...builtinModules.map((name) => new RegExp(`^${name}$`))],
});

/** Writes the licences of the packages whose code is in dist. */
const notices = {
  name: 'lloyd-notices',
  writeBundle(_, bundle) {
    const ids = Object.values(bundle).flatMap(({ moduleIds = [] }) => moduleIds);
    const folders = new Set(
      ids.flatMap((id) => /^\0?(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(id)?.[1] ?? []),
    );
    const texts = [...folders].sort().map((folder) => {
      const { name, version, license } = JSON.parse(readFileSync(`${folder}/package.json`, 'utf8'));
      const file = readdirSync(folder).find((each) => /^licen[cs]e/i.test(each));
      if (!file) throw new Error(`${name} is built into dist, and has no licence to keep beside it`);
      return `${name} ${version}, ${license}\n\n${readFileSync(`${folder}/${file}`, 'utf8').trim()}\n`;
    });
    writeFileSync(`${root}/dist/THIRD-PARTY.txt`, texts.join(`\n${'-'.repeat(80)}\n\n`));
  },
};

/**
 * A chunk a room, lowest first, as each takes what it imports along. A bundler that takes one function of a chunk keeps
 * what it cannot see to be pure of the rest: the operators' tables are no part of clustering.
 */
const ROOMS =
  'gpu runtime kernels reference conv quantize io graph tune model lower run train onnx tfjs'.split(' ');
/** Modules of other chunks than their room's, so that the room imports nothing by name from outside. */
const APART = {
  // Imports the device of whoever runs it, and that the rest of gpu/.
  'src/gpu/runtime.ts': 'runtime',
  'src/gpu/default-device.ts': undefined,
  // Archives need fflate, which a page without a bundler may not have.
  'src/io/index.ts': undefined,
  'src/io/npy.ts': undefined,
  'src/io/pth.ts': undefined,
  'src/io/zip.ts': undefined,
};
const roomOf = (id) => {
  const path = id.slice(root.length + 1).split('?')[0];
  if (path in APART) return APART[path];
  return path.startsWith('shaders/') ? 'kernels' : /^src\/([\w-]+)\//.exec(path)?.[1];
};
const groups = ROOMS.map((name, i) => ({
  name,
  test: (id) => roomOf(id) === name,
  priority: ROOMS.length - i,
}));

await build({
  root,
  configFile: false,
  logLevel: 'warn',
  publicDir: false,
  plugins: [strippedWgsl(), kernelsEntry, nodeModules, notices],
  build: {
    target: 'es2023',
    outDir: 'dist',
    // Readable output: the shaders are the bulk of it, and a user's bundler minifies what it takes.
    minify: false,
    lib: { entry: Object.fromEntries(outputs().map(({ name, source }) => [name, source])), formats: ['es'] },
    rolldownOptions: {
      external: isExternal,
      output: {
        entryFileNames: '[name].js',
        chunkFileNames: 'chunks/[name]-[hash].js',
        codeSplitting: { groups },
      },
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
