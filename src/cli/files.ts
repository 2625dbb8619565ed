import { execFile } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { constants, rmSync, write as writeDescriptor } from 'node:fs';
import { access, chmod, chown, copyFile, open, readFile, realpath, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve, sep } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { LloydError } from '../gpu/errors.ts';
import { locate, type Place } from './place.ts';

/** Half-written files of this process, for a second Ctrl-C: it leaves without unwinding. */
const halfWritten = new Set<string>();
process.on('exit', () => {
  for (const path of halfWritten) rmSync(path, { force: true });
});

/**
 * Writes what a path stands for. A plain file is whole or as it was: written beside its place, then renamed, with the
 * mode and owner of the one it replaces. Links are followed; pipes and devices are written to.
 */
export async function writeAtomically(
  path: string,
  content: string | Uint8Array,
  signal?: AbortSignal,
): Promise<void> {
  const place = await locate(path);
  const bytes = typeof content === 'string' ? Buffer.from(content) : content;
  if (isReplaceable(place)) await replace(place.target, bytes);
  else if (place.descriptor !== null) await sendTo(place.descriptor, bytes);
  else await stream(path, bytes, signal);
}

/** Whether writing replaces a file: otherwise every write adds to what a reader has had already. */
export function isReplaceable({ descriptor, stats }: Place): boolean {
  return descriptor === null && (stats === null || stats.isFile());
}

async function replace(target: string, bytes: Uint8Array): Promise<void> {
  const temporary = join(dirname(target), `.lloyd-${randomUUID()}.part`);
  const before = await stat(target).catch(() => null);
  halfWritten.add(temporary);
  try {
    // A secret's replacement is never open to others, not even while it is written.
    const file = await open(temporary, 'wx', before ? 0o600 : 0o666);
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    if (before) {
      // Only root may give a file away; where that fails it is ours, as any new file would be.
      await chown(temporary, before.uid, before.gid).catch(() => {});
      await chmod(temporary, before.mode & 0o7777);
    }
    await rename(temporary, target).catch((error: NodeJS.ErrnoException) => {
      // A file that is a mount point (a container's bind mount) cannot be replaced, only filled.
      if (error.code === 'EBUSY') return copyFile(temporary, target);
      throw error;
    });
  } finally {
    await rm(temporary, { force: true });
    halfWritten.delete(temporary);
  }
}

/** To an open descriptor; stdout and stderr by their streams, so that what was printed before comes before. */
async function sendTo(descriptor: number, bytes: Uint8Array): Promise<void> {
  const own = { 1: process.stdout, 2: process.stderr }[descriptor];
  if (!own) return writeAll(bytes, (rest) => promisify(writeDescriptor)(descriptor, rest));
  await new Promise<void>((resolve, reject) => {
    own.write(bytes, (error) => (error ? reject(error) : resolve()));
  });
}

/**
 * To a pipe or device. Opened without blocking: a pipe that nobody reads would hold a thread, and with it the exit.
 */
async function stream(path: string, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
  const file = await openWhenRead(path, signal);
  try {
    await writeAll(bytes, async (rest) => file.write(rest));
  } finally {
    await file.close();
  }
}

async function openWhenRead(path: string, signal?: AbortSignal) {
  for (;;) {
    try {
      return await open(path, constants.O_WRONLY | (constants.O_NONBLOCK ?? 0));
    } catch (error) {
      const isPipe = (await stat(path)).isFIFO();
      if (!isPipe || (error as NodeJS.ErrnoException).code !== 'ENXIO') throw error;
    }
    signal?.throwIfAborted();
    await delay(50);
  }
}

/** Writes to the end, whatever a pipe takes at a time. */
async function writeAll(
  bytes: Uint8Array,
  write: (rest: Uint8Array) => Promise<{ bytesWritten: number }>,
): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    try {
      at += (await write(bytes.subarray(at))).bytesWritten;
    } catch (error) {
      // Full, until its reader has taken some.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      await delay(5);
    }
  }
}

/** Refuses a file that could not be written, before the work that fills it is done. */
export async function checkWritable(flag: string, path: string): Promise<void> {
  await placeToWrite(flag, path);
}

/** Where an output goes; refuses what could not be written. */
export async function placeToWrite(flag: string, path: string): Promise<Place> {
  const isFolderName = path.endsWith('/') || path.endsWith(sep);
  if (path === '' || isFolderName || path.includes('\0'))
    throw new LloydError(`${flag} must name a file`, path, 'add a file name');
  const place = await locate(path).catch((cause) => {
    throw new LloydError(`${flag} must name a file that can be reached`, path, cause.message, { cause });
  });
  const { stats, target, folder, descriptor } = place;
  if (descriptor !== null) {
    if (!stats) throw new LloydError(`${flag} must name an open descriptor`, path);
    return place;
  }
  if (!folder?.isDirectory()) {
    const cure = `create ${dirname(resolve(target))} first`;
    throw new LloydError(`${flag} must name a file in an existing folder`, path, cure);
  }
  if (stats?.isDirectory())
    throw new LloydError(`${flag} must name a file`, `${path}, a folder`, 'add a file name');
  if (stats?.isSocket()) throw new LloydError(`${flag} must name a file or a pipe`, `${path}, a socket`);
  if (stats) await mayWrite(target, `${flag} must name a file that may be written`, path);
  if (isReplaceable(place))
    await mayWrite(dirname(target), `${flag} must name a file in a writable folder`, path);
  return place;
}

async function mayWrite(what: string, rule: string, path: string): Promise<void> {
  await access(what, constants.W_OK).catch((cause) => {
    throw new LloydError(rule, path, 'choose another', { cause });
  });
}

/** A file's bytes, or one clear error. */
export async function readInput(path: string): Promise<Uint8Array> {
  return readFile(path).catch((cause: NodeJS.ErrnoException) => {
    const what = cause.code === 'ENOENT' ? 'no such file' : cause.message;
    throw new LloydError('the input must be a readable file', `${path} (${what})`, 'check the path', {
      cause,
    });
  });
}

/** A JSON file's value; undefined where there is none that can be read. */
export async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8'));
  } catch {
    return undefined;
  }
}

let packageRoot: Promise<string> | undefined;

/** The folder of lloyd's own package.json: the clone, or where the package is installed. */
export function findPackageRoot(): Promise<string> {
  packageRoot ??= (async () => {
    for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
      const text = await readFile(join(folder, 'package.json'), 'utf8').catch(() => null);
      if (text && JSON.parse(text).name === 'lloyd') return folder;
      if (folder === dirname(folder)) throw new LloydError('lloyd must run from its own package', folder);
    }
  })();
  return packageRoot;
}

/** The version in package.json. */
export async function packageVersion(): Promise<string> {
  return JSON.parse(await readFile(join(await findPackageRoot(), 'package.json'), 'utf8')).version;
}

/**
 * The commit a clone is at, `-dirty` when files differ from it; null outside a clone.
 *
 * @param folder the clone's; this package's own unless given
 */
export async function findCommit(folder?: string): Promise<string | null> {
  const root = folder ?? (await findPackageRoot());
  const git = async (...args: string[]) =>
    (await promisify(execFile)('git', ['-C', root, ...args])).stdout.trim();
  try {
    // An installed package may lie inside somebody else's clone, whose commits say nothing of ours.
    if ((await realpath(await git('rev-parse', '--show-toplevel'))) !== (await realpath(root))) return null;
    const commit = await git('rev-parse', '--short=12', 'HEAD');
    return (await git('status', '--porcelain', '--untracked-files=no')) ? `${commit}-dirty` : commit;
  } catch {
    return null;
  }
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
