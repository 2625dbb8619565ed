import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import {
  cachedFolder,
  cacheFolder,
  inTemporaryFolder,
  removeLeftovers,
  writeWhole,
} from '../../src/node/cache.ts';
import { extractTar, readTar } from '../../src/node/tar.ts';
import { tar } from './tar-writer.ts';

let home: string;
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'lloyd-cache-'));
  vi.stubEnv('XDG_CACHE_HOME', home);
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await rm(home, { recursive: true });
});

describe('cachedFolder', () => {
  const fill = async (folder: string) => {
    await writeFile(join(folder, 'a'), 'half');
    await new Promise((resolve) => setTimeout(resolve, 20));
    await writeFile(join(folder, 'a'), 'whole');
  };

  test('filled once by any number at the same time, and left whole', async () => {
    const folders = await Promise.all(Array.from({ length: 5 }, () => cachedFolder('many', fill)));
    expect(new Set(folders)).toEqual(new Set([join(home, 'lloyd', 'many')]));
    expect(await readFile(join(folders[0], 'a'), 'utf8')).toBe('whole');
    await cachedFolder('many', () => Promise.reject(new Error('filled again')));
    expect(await readdir(cacheFolder())).toEqual(['many']);
  });

  test('a failure leaves nothing behind, and the next call starts over', async () => {
    await expect(cachedFolder('fails', async () => Promise.reject(new Error('disk full')))).rejects.toThrow(
      'disk full',
    );
    expect(await readdir(cacheFolder())).not.toContain('fails');
    expect(await readdir(await cachedFolder('fails', fill))).toEqual(['a']);
  });

  /** Runs a process that ends amid its work on a temporary folder. */
  const left = async (parent: string, ending: string) => {
    const script = `const { inTemporaryFolder } = await import(process.argv[1]);
      const { writeFile } = await import('node:fs/promises');
      await inTemporaryFolder(process.argv[2], async (folder) => {
        await writeFile(folder + '/half', 'x');
        ${ending};
        await new Promise((resolve) => setTimeout(resolve, 60_000));
      });`;
    const argv = ['--input-type=module', '-e', script, join(home, 'built', 'cache.js'), parent];
    const child = spawn(process.execPath, argv, { stdio: 'ignore' });
    return new Promise((resolve) => child.on('exit', resolve));
  };

  test('what a killed process left is removed at once, what it exits from never stays', async () => {
    await build({
      configFile: false,
      logLevel: 'error',
      publicDir: false,
      build: {
        outDir: join(home, 'built'),
        lib: { entry: fileURLToPath(new URL('../../src/node/cache.ts', import.meta.url)), formats: ['es'] },
        rolldownOptions: { external: /^node:/, output: { entryFileNames: 'cache.js' } },
      },
    });
    await writeFile(join(home, 'built', 'package.json'), '{"type":"module"}');
    const parent = await mkdtemp(join(home, 'killed-'));
    await left(parent, "process.kill(process.pid, 'SIGKILL')");
    expect((await readdir(parent)).length).toBe(1);
    await removeLeftovers(parent);
    expect(await readdir(parent)).toEqual([]);
    await left(parent, 'process.exit(1)');
    expect(await readdir(parent)).toEqual([]);
  });

  test('only what it made is removed, and not while it may be in use', async () => {
    const parent = await mkdtemp(join(home, 'others-'));
    const uuid = '01234567-89ab-cdef-0123-456789abcdef';
    const elsewhere = `lloyd-ffffffff-1-${uuid}.tmp`;
    const others = [
      'mine.tmp',
      `${uuid}.tmp`,
      'lloyd.tmp',
      `lloyd-ffffffff-1-${uuid}.tmp.bak`,
      `lloyd-x-1-${uuid}.tmp`,
    ];
    for (const name of others) {
      await mkdir(join(parent, name));
      await utimes(join(parent, name), 0, 0);
    }
    // Our own name, but no folder: a file, and a link to a folder of somebody's.
    const file = `lloyd-ffffffff-2-${uuid}.tmp`;
    await writeFile(join(parent, file), '');
    await utimes(join(parent, file), 0, 0);
    await mkdir(join(parent, elsewhere));
    const ours = await inTemporaryFolder(parent, async (folder) => {
      await utimes(folder, 0, Date.now() / 1000);
      await removeLeftovers(parent);
      return (await readdir(parent)).includes(basename(folder));
    });
    expect(ours).toBe(true);
    expect((await readdir(parent)).sort()).toEqual([...others, file, elsewhere].sort());
    await utimes(join(parent, elsewhere), 0, 0);
    await writeWhole(join(parent, 'file'), new Uint8Array([7]));
    expect((await readdir(parent)).sort()).toEqual([...others, file, 'file'].sort());
    expect([...(await readFile(join(parent, 'file')))]).toEqual([7]);
  });
});

async function* inPieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

describe('readTar', () => {
  const archive = tar([
    ['a/one', 'x'.repeat(700)],
    ['dir/', '', '5'],
    ['a/two', ''],
    ['link', '', '2'],
    ['a/three', 'yes'],
  ]);

  test.each([1, 511, 512, 513, 1 << 20])('in pieces of %i bytes', async (size) => {
    const found: [string, number][] = [];
    for await (const { path, bytes } of readTar(inPieces(archive, size))) found.push([path, bytes.length]);
    expect(found).toEqual([
      ['a/one', 700],
      ['a/two', 0],
      ['a/three', 3],
    ]);
  });

  test('stopping early lets the stream go', async () => {
    const stream = inPieces(archive, 100);
    for await (const { path } of readTar(stream)) if (path === 'a/one') break;
    expect((await stream.next()).done).toBe(true);
  });

  test('refuses an archive that is cut off, damaged, or leads out of its folder', async () => {
    const read = async (bytes: Buffer) => {
      for await (const _ of readTar(inPieces(bytes, 512)));
    };
    await expect(read(archive.subarray(0, 900))).rejects.toThrow(/must be whole/);
    // Between two files, and nowhere at all: the block that ends an archive is missing.
    await expect(read(archive.subarray(0, 1536))).rejects.toThrow(/must be whole/);
    await expect(read(Buffer.alloc(0))).rejects.toThrow(/must be whole/);
    for (const size of ['-1', '12345678x', '0x20', '1e3', '\x80\x01']) {
      const wrong = Buffer.from(archive);
      wrong.write(size.padEnd(12, '\0'), 124, 'latin1');
      wrong.fill(0x20, 148, 156);
      const sum = wrong.subarray(0, 512).reduce((total, byte) => total + byte, 0);
      wrong.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
      await expect(read(wrong)).rejects.toThrow(/must be in octal/);
    }
    const damaged = Buffer.from(archive);
    damaged[0] ^= 1;
    await expect(read(damaged)).rejects.toThrow(/right checksum/);
    for (const path of ['../out', '/etc/out', 'a/../../out', '..\\out', 'c:\\out']) {
      await expect(extractTar(inPieces(tar([[path, 'x']]), 512), join(home, 'x'))).rejects.toThrow(
        /stay inside/,
      );
    }
    await expect(extractTar(inPieces(tar([['a/..', 'x']]), 512), join(home, 'x'))).rejects.toThrow(
      /must have a name/,
    );
  });
});
