import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheFolder, writeWhole } from './cache.ts';

const path = () => join(cacheFolder(), 'tuning.json');

/** The text of the tuning picks in the cache folder; null where there is no such file. */
export function readTuning(): Promise<string | null> {
  return readFile(path(), 'utf8').catch(() => null);
}

/** Replaces the file whole; a cache folder that cannot be written only forgets. */
export async function writeTuning(text: string): Promise<void> {
  await writeWhole(path(), new TextEncoder().encode(text)).catch(() => undefined);
}
