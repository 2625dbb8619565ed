import { randomUUID } from 'node:crypto';
import { access, mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { LloydError } from '../gpu/errors.ts';

const STALE_MS = 24 * 3600 * 1000;

/** Where downloads and unpacked packages are kept: the platform's cache folder, `lloyd` inside it. */
export function cacheFolder(): string {
  if (process.env.XDG_CACHE_HOME) return join(process.env.XDG_CACHE_HOME, 'lloyd');
  if (process.platform === 'darwin') return join(homedir(), 'Library', 'Caches', 'lloyd');
  if (process.platform === 'win32' && process.env.LOCALAPPDATA)
    return join(process.env.LOCALAPPDATA, 'lloyd');
  return join(homedir(), '.cache', 'lloyd');
}

/**
 * The folder `name` of the cache, filled by `fill` when it is not there. The work happens in a temporary folder that
 * is renamed last, so that an interrupted run leaves nothing half done and of two processes at once one wins.
 */
export async function cachedFolder(name: string, fill: (folder: string) => Promise<void>): Promise<string> {
  const target = join(cacheFolder(), name);
  if (await exists(target)) return target;
  await inTemporaryFolder(cacheFolder(), async (folder) => {
    await fill(folder);
    await rename(folder, target).catch(async (error) => {
      if (!(await exists(target))) throw error;
    });
  });
  return target;
}

/** Runs `work` with an empty folder inside `parent` that is gone afterwards. */
export async function inTemporaryFolder<T>(parent: string, work: (folder: string) => Promise<T>): Promise<T> {
  const folder = join(parent, `${randomUUID()}.tmp`);
  try {
    await mkdir(folder, { recursive: true });
  } catch (cause) {
    const cure = 'set XDG_CACHE_HOME to a folder that can be written';
    throw new LloydError('the cache folder must be writable', parent, cure, { cause });
  }
  await removeStale(parent);
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Writes a file that others see whole or not at all. */
export async function writeWhole(path: string, bytes: Uint8Array): Promise<void> {
  await inTemporaryFolder(dirname(path), async (folder) => {
    const temporary = join(folder, 'file');
    await writeFile(temporary, bytes, { flush: true });
    await rename(temporary, path);
  });
}

export function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** What killed processes left behind; a day is longer than any run that is still at it. */
async function removeStale(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    if (!name.endsWith('.tmp')) continue;
    const path = join(parent, name);
    const age = Date.now() - (await stat(path).catch(() => ({ mtimeMs: Date.now() }))).mtimeMs;
    if (age > STALE_MS) await rm(path, { recursive: true, force: true });
  }
}
