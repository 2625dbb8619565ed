import { createHash, randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { access, lstat, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { homedir, hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { LloydError } from '../gpu/errors.ts';

/** Longer than any run that is still at it: for folders whose process cannot be asked for. */
const STALE_MS = 24 * 3600 * 1000;

/** Containers that share a cache do not see each other's processes; they have names of their own. */
const HOST = createHash('sha256').update(hostname()).digest('hex').slice(0, 8);

/** Temporary folders of ours and of nobody else: host, process, and a name that is drawn. */
const OURS = /^lloyd-([0-9a-f]{8})-(\d+)-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.tmp$/;

/** What this process is at: gone with it, also where it leaves without unwinding. */
const live = new Set<string>();
process.on('exit', () => {
  for (const folder of live) rmSync(folder, { recursive: true, force: true });
});

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
  const folder = join(parent, `lloyd-${HOST}-${process.pid}-${randomUUID()}.tmp`);
  live.add(folder);
  try {
    await mkdir(folder, { recursive: true });
  } catch (cause) {
    live.delete(folder);
    const cure = 'set XDG_CACHE_HOME to a folder that can be written';
    throw new LloydError('the cache folder must be writable', parent, cure, { cause });
  }
  await removeLeftovers(parent);
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
    live.delete(folder);
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

/**
 * Removes what killed processes of ours left in a folder: at once where the process is known to be gone, else after a
 * day. Anything else there, whatever it is called, is somebody's.
 */
export async function removeLeftovers(parent: string): Promise<void> {
  for (const name of await readdir(parent).catch(() => [])) {
    const match = OURS.exec(name);
    if (!match) continue;
    const path = join(parent, name);
    const found = await lstat(path).catch(() => null);
    if (!found?.isDirectory()) continue;
    const isGone = match[1] === HOST ? !isRunning(Number(match[2])) : false;
    // What cannot be removed, another's on a shared folder, is no reason to fail.
    if (isGone || Date.now() - found.mtimeMs > STALE_MS)
      await rm(path, { recursive: true, force: true }).catch(() => {});
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: there is one, of another user.
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
