// What package.json promises: files that exist once built, a tarball without weights, a core without Node code.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'vite';
import { describe, expect, test } from 'vitest';

const root = join(import.meta.dirname, '..');
const packageJson = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
const isBuilt = existsSync(join(root, 'dist/.stamp'));
if (!isBuilt) console.log('package.test.ts: dist is not built; 5 tests skipped (npm run build)');

/** Every path that exports, imports and bin name. */
function promised(): string[] {
  const paths = (value: unknown): string[] =>
    typeof value === 'string' ? [value] : Object.values(value as object).flatMap(paths);
  return [packageJson.exports, packageJson.imports, packageJson.bin].flatMap(paths);
}

describe('package.json', () => {
  test('every entry point has a source', () => {
    for (const entry of Object.values<{ types?: string }>(packageJson.exports)) {
      if (!entry.types) continue;
      const source = entry.types.replace('./dist/types/', '').replace('.d.ts', '.ts');
      expect(existsSync(join(root, source)), source).toBe(true);
    }
  });

  test('runs no hooks, and keeps weights, data and tests out of the tarball', () => {
    expect(Object.keys(packageJson.scripts).filter((name) => /^(pre|post|prepare)/.test(name))).toEqual([]);
    for (const path of packageJson.files) {
      expect(['dist', 'shaders', 'README.md', 'CHANGELOG.md', 'LICENSE']).toContain(path);
    }
  });

  test('the core depends on nothing heavy', () => {
    for (const name of [
      'webgpu',
      '@tensorflow/tfjs',
      '@sparticuz/chromium',
      'puppeteer',
      'onnxruntime-node',
    ]) {
      expect(packageJson.dependencies).not.toHaveProperty([name]);
    }
  });
});

describe.skipIf(!isBuilt)('the built package', () => {
  test('brings an app what the core reads, and what the command alone needs inside, with its licences', async () => {
    expect(Object.keys(packageJson.dependencies)).toEqual(['@bufbuild/protobuf', 'fflate']);
    const scripts = (await readdir(join(root, 'dist'), { recursive: true })).filter((name) =>
      /\.js$/.test(name),
    );
    const named = new Set<string>();
    for (const script of scripts) {
      const code = await readFile(join(root, 'dist', script), 'utf8');
      for (const [, name] of code.matchAll(/^(?:import|export)\b[^;'"]*["']([^"'.#][^"']*)["'];/gm))
        named.add(name);
      expect(code, script).not.toMatch(/\b__require\(/);
    }
    const outside = [...named].filter((name) => !isBuiltin(name));
    expect(outside.sort()).toEqual(['@bufbuild/protobuf/wire', 'fflate']);
    const notices = await readFile(join(root, 'dist/THIRD-PARTY.txt'), 'utf8');
    for (const name of ['cac', 'cli-progress', 'jpeg-js', 'pngjs', 'string-width'])
      expect(notices).toMatch(new RegExp(`^${name} \\d[\\d.]+, (MIT|BSD-3-Clause)\n\n`, 'm'));
    expect(
      notices.match(/Permission is hereby granted|Redistribution and use/g)!.length,
    ).toBeGreaterThanOrEqual(5);
  });

  test('has every file that exports, imports and bin name', () => {
    for (const path of promised()) {
      // Declarations are left out of the build that `npm start` makes.
      if (path.endsWith('.d.ts') && !existsSync(join(root, 'dist/types'))) continue;
      expect(existsSync(join(root, path)), path).toBe(true);
    }
  });

  test('has an executable command with a shebang', async () => {
    const cli = join(root, packageJson.bin.lloyd);
    expect((await readFile(cli, 'utf8')).split('\n')[0]).toBe('#!/usr/bin/env node');
    expect((await stat(cli)).mode & 0o111).not.toBe(0);
  });

  test('packs no weights, no data, and as little as the README says', async () => {
    const { stdout, status } = spawnSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
      cwd: root,
      encoding: 'utf8',
      shell: process.platform === 'win32',
    });
    expect(status).toBe(0);
    const [{ files, size }] = JSON.parse(stdout) as [{ files: { path: string }[]; size: number }];
    expect(files.filter(({ path }) => /\.safetensors$|\.bin$|\.pth$|^test|^bench/.test(path))).toEqual([]);
    expect(size).toBeLessThan(2_000_000);
    const [, said] = /tarball \(([\d.]+) MB/.exec(await readFile(join(root, 'README.md'), 'utf8'))!;
    expect(Math.abs(size / 1e6 - Number(said))).toBeLessThan(0.05);
  });

  test('bundles for a browser without Node code', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'lloyd-bundle-'));
    try {
      await mkdir(join(folder, 'node_modules'));
      await symlink(root, join(folder, 'node_modules/lloyd'), 'dir');
      await writeFile(
        join(folder, 'main.js'),
        "import { createRuntime } from 'lloyd'; window.start = createRuntime;",
      );
      await build({
        root: folder,
        configFile: false,
        logLevel: 'silent',
        resolve: { preserveSymlinks: true },
        build: { minify: false, rolldownOptions: { input: join(folder, 'main.js') } },
      });
      const assets = join(folder, 'dist/assets');
      const code = (
        await Promise.all((await readdir(assets)).map((name) => readFile(join(assets, name), 'utf8')))
      ).join('\n');
      expect(code).toContain('requestAdapter');
      expect(code).not.toMatch(/node:|process\.(env|dlopen)|__vite-browser-external|from ["']webgpu["']/);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
