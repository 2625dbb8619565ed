// What an app ships that imports one function: bytes of its bundle by Vite (Rolldown, minified), from the built package.
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'vite';
import { describe, expect, test } from 'vitest';

const root = join(import.meta.dirname, '..');
const isBuilt = existsSync(join(root, 'dist/.stamp'));
if (!isBuilt) console.log('bundle.test.ts: dist is not built; 10 tests skipped (npm run build)');

/** An app's script, with all it imports. */
async function bundled(source: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'lloyd-bundle-'));
  try {
    await mkdir(join(folder, 'node_modules'));
    await symlink(root, join(folder, 'node_modules/lloyd'), 'dir');
    await writeFile(join(folder, 'main.js'), source);
    await build({
      root: folder,
      configFile: false,
      logLevel: 'silent',
      resolve: { preserveSymlinks: true },
      build: { minify: true, rolldownOptions: { input: join(folder, 'main.js') } },
    });
    const assets = join(folder, 'dist/assets');
    const names = await readdir(assets);
    return (await Promise.all(names.map((name) => readFile(join(assets, name), 'utf8')))).join('\n');
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

describe.skipIf(!isBuilt)('an app that imports', () => {
  test.each([
    ['pack', 'lloyd', 3_100],
    ['quantizeLinear', 'lloyd/kernels', 15_600],
    ['linearQuantize, createRuntime', 'lloyd', 31_500],
    ['preprocessImage, createRuntime', 'lloyd', 28_000],
    ['kmeans, createRuntime', 'lloyd', 60_000],
    ['* as everything', 'lloyd', 645_000],
  ])('%s from %s ships at most its bytes', async (names, entry, most) => {
    const what = names.startsWith('*') ? names : `{ ${names} }`;
    const value = names.startsWith('*') ? 'everything' : `[${names}]`;
    const code = await bundled(`import ${what} from '${entry}'; window.lloyd = ${value};`);
    const bytes = Buffer.byteLength(code);
    console.log(`bundle: ${names} from ${entry}, ${bytes} bytes`);
    expect(bytes).toBeLessThanOrEqual(most);
    expect(bytes).toBeGreaterThan(most * 0.9);
    // A command's own packages are no app's.
    expect(code).not.toMatch(/cli-progress|pngjs|\bSingleBar\b|IHDR|--adapter/);
  });

  test('`kernels` of lloyd ships the kernels that it names', async () => {
    const own = await bundled("import { kernels } from 'lloyd'; window.lloyd = kernels.quantizeLinear;");
    const entry = await bundled(
      "import { quantizeLinear } from 'lloyd/kernels'; window.lloyd = quantizeLinear;",
    );
    expect(own.length).toBe(entry.length);
    expect(own).toContain('quantize-linear');
    expect(own).not.toMatch(/conv2d|kmeans|softmax/);
  });
});

describe.skipIf(!isBuilt)('the built modules', () => {
  const read = (file: string) => readFileSync(join(root, 'dist', file), 'utf8');
  /** Every file that importing one loads, and what else they name. */
  function closure(entry: string): { files: Set<string>; others: Set<string> } {
    const files = new Set([entry]);
    const others = new Set<string>();
    for (const file of files) {
      for (const [, name] of read(file).matchAll(/^(?:import|export)\b[^;'"]*["']([^"']+)["'];/gm)) {
        if (name.startsWith('.')) files.add(join(file, '..', name));
        else others.add(name);
      }
    }
    return { files, others };
  }

  test('hold shaders without comments', () => {
    const { files } = closure('kernels.js');
    const shaders = [...files].flatMap((file) =>
      [...read(file).matchAll(/"(?:[^"\\\n]|\\.)*@compute(?:[^"\\\n]|\\.)*"/g)].map(([text]) =>
        JSON.parse(text),
      ),
    );
    expect(shaders.length).toBeGreaterThan(80);
    for (const shader of shaders) expect(shader).not.toMatch(/\/\/|\/\*|\n\s*\n/);
  });

  test('of lloyd and lloyd/kernels import nothing by name but the device, so that an import map has two lines', () => {
    expect([...closure('kernels.js').others]).toEqual([]);
    expect([...closure('index.js').others]).toEqual(['#default-device']);
    expect([...closure('browser-device.js').others]).toEqual([]);
  });

  test('of Node and the browser make no cycle with the device that they import', () => {
    for (const device of ['node-device.js', 'browser-device.js'])
      expect([...closure(device).files].filter((file) => /runtime|index/.test(file))).toEqual([]);
  });
});
