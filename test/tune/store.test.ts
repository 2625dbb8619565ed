import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { readTuning, writeTuning } from '../../src/node/tuning-text.ts';
import { adapterKey, openTuningCache, type TuningStore } from '../../src/tune/store.ts';

const runtime = (description: string) =>
  ({
    device: { adapterInfo: { vendor: 'v', architecture: 'a', device: 'd', description } },
  }) as Parameters<typeof openTuningCache>[0];
const pick = (label: string) => ({ label, tried: 3, milliseconds: 1, defaultMilliseconds: 2 });

function memory(text: string | null = null): TuningStore & { text: string | null } {
  const store = {
    text,
    read: async () => store.text,
    async write(written: string) {
      store.text = written;
    },
  };
  return store;
}

describe('the tuning cache', () => {
  test('gives back what was saved, to the same adapter and driver alone', async () => {
    const store = memory();
    const cache = await openTuningCache(runtime('driver 1'), store);
    cache.set('layer', pick('best'));
    expect(cache.get('layer')).toEqual(pick('best'));
    expect(store.text).toBeNull();
    await cache.save();
    expect((await openTuningCache(runtime('driver 1'), store)).get('layer')).toEqual(pick('best'));
    expect((await openTuningCache(runtime('driver 2'), store)).get('layer')).toBeUndefined();
  });

  test('keeps the picks of other adapters, and what another process wrote meanwhile', async () => {
    const store = memory();
    const [a, b] = [
      await openTuningCache(runtime('one'), store),
      await openTuningCache(runtime('two'), store),
    ];
    const c = await openTuningCache(runtime('one'), store);
    a.set('x', pick('a'));
    b.set('x', pick('b'));
    c.set('y', pick('c'));
    for (const cache of [a, b, c]) await cache.save();
    const one = await openTuningCache(runtime('one'), store);
    expect([one.get('x')?.label, one.get('y')?.label]).toEqual(['a', 'c']);
    expect((await openTuningCache(runtime('two'), store)).get('x')?.label).toBe('b');
  });

  const wellFormed = (picks: unknown) =>
    JSON.stringify({ format: 'lloyd-tuning-1', adapters: { [adapterKey(runtime('one'))]: picks } });
  test.each([
    ['nothing', null],
    ['half a file', '{"format":"lloyd-tuning-1","adap'],
    ['another type', '[]'],
    ['null', 'null'],
    ['another format', '{"format":"lloyd-tuning-9","adapters":{}}'],
    ['adapters of another type', '{"format":"lloyd-tuning-1","adapters":[1]}'],
    ['picks of another type', wellFormed('fast')],
    ['a pick without its times', wellFormed({ layer: { label: 'best', tried: 1 } })],
    ['a pick of another type', wellFormed({ layer: 'best' })],
    ['an inherited name', wellFormed({})],
  ])('takes %s as empty and writes it anew', async (_, text) => {
    const store = memory(text);
    const cache = await openTuningCache(runtime('one'), store);
    expect(cache.get('layer')).toBeUndefined();
    expect(cache.get('toString')).toBeUndefined();
    cache.set('layer', pick('new'));
    await cache.save();
    expect((await openTuningCache(runtime('one'), store)).get('layer')).toEqual(pick('new'));
  });

  test('writes nothing when nothing is new', async () => {
    const store = memory('rubbish');
    await (await openTuningCache(runtime('one'), store)).save();
    expect(store.text).toBe('rubbish');
  });
});

describe('the file in the cache folder', () => {
  const before = process.env.XDG_CACHE_HOME;
  const folders: string[] = [];
  afterAll(async () => {
    if (before === undefined) delete process.env.XDG_CACHE_HOME;
    else process.env.XDG_CACHE_HOME = before;
    for (const folder of folders) await rm(folder, { recursive: true });
  });
  const useFolder = async () => {
    const folder = await mkdtemp(join(tmpdir(), 'lloyd-tuning-'));
    folders.push(folder);
    process.env.XDG_CACHE_HOME = folder;
    return folder;
  };

  test('is made with its folder and read back', async () => {
    await useFolder();
    expect(await readTuning()).toBeNull();
    await writeTuning('{}');
    expect(await readTuning()).toBe('{}');
    await writeTuning('{"a":1}');
    expect(await readTuning()).toBe('{"a":1}');
  });

  test('is forgotten where the folder cannot be made', async () => {
    const folder = await useFolder();
    await writeFile(join(folder, 'lloyd'), 'a file where the folder would be');
    await writeTuning('{}');
    expect(await readTuning()).toBeNull();
  });
});
