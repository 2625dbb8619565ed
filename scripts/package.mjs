// What package.json says is the single list of entry points: the build, the staleness check and a test all read it here.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url)).replace(/[\\/]$/, '');
export const packageJson = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

/** Sources of the outputs whose declarations package.json does not name. */
const SOURCES = {
  './dist/cli.js': 'src/cli/index.ts',
  './dist/node-device.js': 'src/node/default-device.ts',
  './dist/browser-device.js': 'src/gpu/default-device.ts',
};

/** Every built file: its name in dist, and the module it is built from. */
export function outputs() {
  const files = new Map();
  for (const entry of Object.values(packageJson.exports)) {
    if (typeof entry !== 'object') continue;
    files.set(entry.default, entry.types.replace(/^\.\/dist\/types\//, '').replace(/\.d\.ts$/, '.ts'));
  }
  for (const conditions of Object.values(packageJson.imports)) {
    for (const [condition, file] of Object.entries(conditions)) {
      if (condition !== 'types') files.set(file, SOURCES[file]);
    }
  }
  for (const file of Object.values(packageJson.bin)) files.set(file, SOURCES[file]);
  return [...files].map(([file, source]) => ({
    file,
    name: file.replace(/^\.\/dist\//, '').replace(/\.js$/, ''),
    source: join(root, source),
  }));
}

/** True when dist is missing, half built, or older than anything it is built from. */
export function isStale() {
  const stamp = join(root, 'dist/.stamp');
  if (!existsSync(stamp)) return true;
  const built = statSync(stamp).mtimeMs;
  const inputs = [
    'src',
    'shaders',
    'bench',
    'scripts',
    'package.json',
    'tsconfig.json',
    'tsconfig.build.json',
  ];
  return inputs.some((path) => newest(join(root, path)) > built);
}

function newest(path) {
  if (!existsSync(path)) return 0;
  const stat = statSync(path);
  if (!stat.isDirectory()) return stat.mtimeMs;
  // A folder's own time moves when a file is removed from it.
  return readdirSync(path, { withFileTypes: true })
    .filter(({ name }) => name !== 'results')
    .reduce((latest, { name }) => Math.max(latest, newest(join(path, name))), stat.mtimeMs);
}
