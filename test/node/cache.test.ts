import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { cachedFolder, cacheFolder, writeWhole } from '../../src/node/cache.ts';
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

  test('what a killed process left is removed after a day', async () => {
    const old = join(cacheFolder(), 'old.tmp');
    const fresh = join(cacheFolder(), 'fresh.tmp');
    await mkdir(old, { recursive: true });
    await mkdir(fresh);
    await utimes(old, 0, 0);
    await writeWhole(join(cacheFolder(), 'file'), new Uint8Array([7]));
    const names = await readdir(cacheFolder());
    expect(names).not.toContain('old.tmp');
    expect(names).toContain('fresh.tmp');
    expect([...(await readFile(join(cacheFolder(), 'file')))]).toEqual([7]);
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
    const damaged = Buffer.from(archive);
    damaged[0] ^= 1;
    await expect(read(damaged)).rejects.toThrow(/right checksum/);
    for (const path of ['../out', '/etc/out', 'a/../../out']) {
      await expect(extractTar(inPieces(tar([[path, 'x']]), 512), join(home, 'x'))).rejects.toThrow(
        /stay inside/,
      );
    }
  });
});
