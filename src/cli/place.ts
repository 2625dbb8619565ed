import { randomUUID } from 'node:crypto';
import { type BigIntStats, fstatSync } from 'node:fs';
import { lstat, readlink, realpath, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join } from 'node:path';
import { LloydError } from '../gpu/errors.ts';

/** Where a path ends once the file system has followed it: what tells two spellings of one file. */
export interface Place {
  /** As it was given. */
  path: string;
  /** Where its symbolic links end. */
  target: string;
  /** The file itself; null where there is none yet. */
  stats: BigIntStats | null;
  /** Where `target` lies; null where there is no such folder. */
  folder: BigIntStats | null;
  /** An open descriptor of this process, as /dev/stdout is; null otherwise. */
  descriptor: number | null;
}

/** As many as the kernel follows before it says ELOOP. */
const MOST_LINKS = 40;

/**
 * Follows a path as the system would: `a/../b` through the folder that `a` really is, a link that dangles to the file
 * it would create.
 */
export async function locate(path: string): Promise<Place> {
  const stats = await found(stat(path, { bigint: true }));
  let target = path;
  for (let links = 0; ; links++) {
    if (links > MOST_LINKS)
      throw new LloydError('a path must not lead through links that go round in circles', path);
    const descriptor = descriptorOf(target);
    if (descriptor !== null) return { path, target, stats, folder: null, descriptor };
    const link = await found(readlink(target));
    if (link === null) break;
    target = isAbsolute(link) ? link : join(await realpath(dirname(target)), link);
  }
  // The folder's real name: writing goes through it, and must not follow a link that changes meanwhile.
  const folder = await found(realpath(dirname(target)));
  if (folder === null) return { path, target, stats, folder: null, descriptor: null };
  return {
    path,
    target: join(folder, basename(target)),
    stats,
    folder: await found(stat(folder, { bigint: true })),
    descriptor: null,
  };
}

/** The file behind an open descriptor, where it is a plain one: what a shell's `>` made of stdout. */
export function placeOfDescriptor(descriptor: number): Place | null {
  try {
    const stats = fstatSync(descriptor, { bigint: true });
    return stats.isFile()
      ? { path: `descriptor ${descriptor}`, target: '', stats, folder: null, descriptor }
      : null;
  } catch {
    return null;
  }
}

/** Whether two places are one file: the same inode (a hard link too), or the same name to be. */
export async function isSame(a: Place, b: Place): Promise<boolean> {
  if (a.descriptor !== null && b.descriptor !== null) {
    if (a.descriptor === b.descriptor) return true;
  }
  if (a.stats && b.stats) {
    // Terminals and /dev/null take any number of writers.
    return isOne(a.stats, b.stats) && !a.stats.isCharacterDevice();
  }
  if (a.stats || b.stats || !a.folder || !b.folder || !isOne(a.folder, b.folder)) return false;
  const [first, second] = [basename(a.target), basename(b.target)];
  if (first === second) return true;
  return folded(first) === folded(second) && (await foldsNames(dirname(a.target)));
}

const isOne = (a: BigIntStats, b: BigIntStats) => a.dev === b.dev && a.ino === b.ino;
const folded = (name: string) => name.normalize('NFC').toLowerCase();

/** Whether a folder takes `A` and `a` for one name; only the file system knows. */
async function foldsNames(folder: string): Promise<boolean> {
  const probe = join(folder, `.lloyd-${randomUUID()}.part`);
  try {
    await writeFile(probe, '', { flag: 'wx' });
    return (await found(lstat(join(folder, basename(probe).toUpperCase())))) !== null;
  } finally {
    await rm(probe, { force: true });
  }
}

/** `/dev/fd/3`, `/proc/self/fd/3`: where /dev/stdout and its kin lead. */
function descriptorOf(path: string): number | null {
  const match = /^(?:\/dev\/fd|\/proc\/(?:self|thread-self|(\d+))\/fd)\/(\d+)$/.exec(path);
  if (!match || (match[1] !== undefined && Number(match[1]) !== process.pid)) return null;
  return Number(match[2]);
}

/** What a path has, or null where it has nothing: any other failure, such as a folder that may not be read, is told. */
async function found<T>(asked: Promise<T>): Promise<T | null> {
  try {
    return await asked;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // EINVAL: no link. ENOTDIR: something on the way is a file.
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'EINVAL' || code === 'UNKNOWN') return null;
    throw error;
  }
}
